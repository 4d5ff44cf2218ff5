"""What the writers are told of a file before its first result comes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from ...text.readers import Record

Results = Iterable[tuple[Record, np.ndarray]]
"""Records and their vectors: [L, T, D] or [T, D], pooled [L, D] or [D]."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """What will be in a file, all of it known from one pass over the text.

    Attributes:
        shape: of one vector a token, or a sentence if ``pooled``: (D,), or (L, D) for all layers.
        pooled: whether there is one a sentence.
        dtype: of the numbers.
        sentences: how many there are.
        tokens: how many words they have together.
        text_bytes: the size of their texts.
        longest_key: characters of the longest key; 0 if no record has one.
        with_text: whether the texts are to be kept beside the vectors.
    """

    shape: tuple[int, ...]
    pooled: bool
    dtype: str
    sentences: int
    tokens: int
    text_bytes: int
    longest_key: int
    with_text: bool

    @property
    def n_rows(self) -> int:
        """Vectors, or stacks of one for each layer, in all."""
        return self.sentences if self.pooled else self.tokens

    @property
    def row_bytes(self) -> int:
        """Size of one of them."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def value_bytes(self) -> int:
        """Size of all of them: what every format needs at least."""
        return self.n_rows * self.row_bytes

    def rows(self, vectors: np.ndarray) -> np.ndarray:
        """The vectors of one sentence as [rows, *shape]: a row a token, or one row."""
        if self.pooled:
            return vectors[np.newaxis]
        return vectors.swapaxes(0, 1) if len(self.shape) > 1 else vectors
