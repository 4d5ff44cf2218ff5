"""all-MiniLM-L6-v2, a model that many people know, asked in the way of an ``Elmo``."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence

import numpy as np

from elmo_jax import Elmo

from ..peers import Peer
from ..systems import peer_vectors

_PART = 500  # sentences per request: their words in all layers are in memory at a time


class MiniLM:
    """The peer ``minilm``: the embeddings as layer 0, and six layers above them.

    A word's vectors are the means over its pieces. A sentence has one vector alone, the one that
    ``encode`` returns.
    """

    config = types.SimpleNamespace(n_output_layers=7, output_dim=384)

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.versions: dict[str, str] = peer.ask("open")["versions"]

    def stream(
        self, sentences: Sequence[Sequence[str]], layers: str, *, dtype: str = "float32"
    ) -> Iterator[np.ndarray]:
        """The words' vectors, [7, T, D] for each sentence; ``layers`` is "all"."""
        for start in range(0, len(sentences), _PART):
            for vectors_LTD in self._vectors(sentences[start : start + _PART], "layers"):
                yield vectors_LTD.astype(dtype)

    def embed_sentences(
        self, sentences: Sequence[Sequence[str]], layers: str, pooling: str
    ) -> np.ndarray:
        """Its own sentence vectors, float32 [S, 1, D]; they are "all", and made by a "mean"."""
        return np.stack(self._vectors(sentences, "sentences"))[:, None]

    def _vectors(self, sentences: Sequence[Sequence[str]], kind: str) -> list[np.ndarray]:
        # Whitespace separates words on their way to a peer, so no word may contain any.
        words = [["_".join(word.split()) or "_" for word in sentence] for sentence in sentences]
        return peer_vectors(self._peer, words, kind)


Model = Elmo | MiniLM
"""What a task measures."""
