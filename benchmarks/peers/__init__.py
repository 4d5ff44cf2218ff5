"""The implementations that elmo-jax is compared with, and elmo-jax itself, behind one protocol.

Each runs in a process of its own, most in a virtual environment of their own with pinned packages,
and embeds the same sentences with the same weight file::

    with open_peer("allennlp") as peer:
        peer.ask("open", options="options.json", weights="weights.hdf5")
        peer.ask("embed", sentences="text.txt", batch_size=32)["seconds"]

``worker.py`` says what can be asked, ``workers/`` how each implementation answers.
"""

from .process import Peer, open_peer

__all__ = ["Peer", "open_peer"]
