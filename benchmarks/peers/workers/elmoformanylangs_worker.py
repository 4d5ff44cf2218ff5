"""ELMoForManyLangs 0.0.4.post2: its own ``Embedder``, on PyTorch.

A call of ``sents2elmo`` for each batch. Given a longer text, it sorts that by length and cuts it
into the same batches, but goes through them in random order, and the LSTM state is carried from
batch to batch: the vectors of two runs would differ. It is called as its documentation has it, so
PyTorch notes what gradients would need. It runs on a GPU where PyTorch sees one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from elmoformanylangs import Embedder

PACKAGES = ("elmoformanylangs", "overrides", "torch", "numpy")
BATCH_SIZE = 64  # the default of Embedder


class Model:
    """An ``Embedder`` of the folder of a model."""

    def __init__(self, folder: str) -> None:
        self._embedder = Embedder(folder)

    def reset(self) -> None:
        """Forget the state of the last batch."""
        self._embedder.model.encoder.reset_states()

    def embed(self, batch: list[list[str]], output: str) -> Iterable[Any]:
        """Of sentences, the mean over layers and words."""
        self._embedder.batch_size = len(batch)
        layers = self._embedder.sents2elmo(batch, output_layer=-2)
        return layers if output == "layers" else [array.mean(axis=(0, 1)) for array in layers]
