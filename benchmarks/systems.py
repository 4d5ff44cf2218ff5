"""The systems that are compared: opened, and checked for equality before they are timed."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elmo_jax import ElmoError

from . import manylangs
from .measure import SUMS, Tolerance, assert_equal
from .models import Model
from .peers import open_peer
from .question import Setting
from .texts import Sentence, even_sample, write_sentences

ELMO_JAX, MINILM = "elmo-jax", "minilm"
LABELS = {
    ELMO_JAX: "elmo-jax",
    "allennlp": "AllenNLP",
    "torch_lstm": "PyTorch nn.LSTM",
    manylangs.PEER: "ELMoForManyLangs",
}

# PyTorch's LSTM cannot clip its states: where a clip of the model bites, its numbers and those that
# follow in the sentence differ. Elsewhere SUMS holds.
UNCLIPPED = Tolerance("nn.LSTM has no clips", largest=1e-4, share=0.9)
TOLERANCES = {
    "allennlp": SUMS,
    "simple_elmo": SUMS,
    "torch_lstm": UNCLIPPED,
    manylangs.PEER: SUMS,
}
"""The peers that compute an ELMo's layers."""

_CHECKED_TOKENS = 200


@dataclasses.dataclass(frozen=True)
class System:
    """One way to run a peer; without a batch size, the peer chooses its batches."""

    label: str
    peer: str
    batch_size: int | None = None
    order: str = "given"

    def embed(self, peer: Any, text: Path, output: str) -> float:
        """Seconds to embed a text."""
        options = {"batch_size": self.batch_size, "order": self.order}
        return float(peer.ask("embed", sentences=text, output=output, **options)["seconds"][0])


SYSTEMS = (
    System("elmo-jax", ELMO_JAX),
    System("AllenNLP as documented (32, as given)", "allennlp", 32),
    System("AllenNLP sorted, 64", "allennlp", 64, "sorted"),
    System("AllenNLP sorted, 128", "allennlp", 128, "sorted"),
    System("simple_elmo", "simple_elmo"),
    System("PyTorch nn.LSTM sorted, 64", "torch_lstm", 64, "sorted"),
    System("PyTorch nn.LSTM sorted, 128", "torch_lstm", 128, "sorted"),
    System("ELMoForManyLangs as documented (64, sorted)", manylangs.PEER, 64, "sorted"),
)
"""The systems that give all layers of every token, elmo-jax first."""


def add_peers(
    parser: argparse.ArgumentParser, peers: Sequence[str], default: Sequence[str] | None = None
) -> None:
    """Declare ``--peers``; by default those that open the default model."""
    help = f"compare with these, of {', '.join(peers)}; with no name elmo-jax runs alone"
    default = default or [name for name in peers if name != manylangs.PEER]
    names: dict[str, Any] = {"choices": peers, "default": default}
    parser.add_argument("--peers", nargs="*", metavar="NAME", help=help, **names)


def source(name: str, model: Model, *, native: bool = False) -> dict[str, Path]:
    """What a peer opens: the published files; elmo-jax its own format if ``native``.

    Raises:
        ElmoError: if the files are of a format that the peer does not read.
    """
    if name == MINILM:
        return {}
    if name == ELMO_JAX:
        return {"folder": model.native} if native else model.published
    if (name == manylangs.PEER) != model.is_manylangs:
        peers = f"--peers {manylangs.PEER}" if model.is_manylangs else "another of --peers"
        raise ElmoError(f"{name} cannot open the model {model.name}. Choose {peers}.")
    return model.published


@contextlib.contextmanager
def opened(names: Sequence[str], setup: Setting) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """elmo-jax and peers with the model open, each in its own process.

    Yields:
        The peers by name, and what a result says of them: the setting, the versions of their
        packages, and the largest difference of their vectors from those of elmo-jax.

    Raises:
        ElmoError: if one is not installed, cannot open the model, or computes something else.
    """
    sources = {name: source(name, setup.model) for name in (ELMO_JAX, *names)}
    with contextlib.ExitStack() as stack:
        peers = {name: stack.enter_context(open_peer(name)) for name in sources}
        replies = {name: peer.ask("open", **sources[name]) for name, peer in peers.items()}
        sample = even_sample(setup.sentences, _CHECKED_TOKENS)
        expected = peer_vectors(peers[ELMO_JAX], sample)
        differences = {}
        for name in TOLERANCES.keys() & peers.keys():
            vectors = peer_vectors(peers[name], sample)
            differences[name] = assert_equal(name, vectors, expected, TOLERANCES[name])
        head = {
            "setting": setup.json(),
            "versions": {name: reply["versions"] for name, reply in replies.items()},
            "largest_difference": {name: float(f"{x:.3g}") for name, x in differences.items()},
        }
        yield peers, head


def peer_vectors(
    peer: Any, sentences: Sequence[Sentence], kind: str = "layers"
) -> list[np.ndarray]:
    """A peer's vectors of each sentence, float32: [L, T, D], or [D] of ``kind`` "sentences"."""
    with tempfile.TemporaryDirectory() as folder:
        text, output = Path(folder) / "text.txt", Path(folder) / "vectors.npz"
        write_sentences(text, sentences)
        peer.ask("vectors", sentences=text, output=output, kind=kind)
        with np.load(output) as arrays:
            return [arrays[str(index)] for index in range(len(arrays))]
