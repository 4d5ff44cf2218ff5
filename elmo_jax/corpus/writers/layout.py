"""What a writer must know of a file before the first vectors come."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from ...text.readers import Record

RecordVectors = Iterable[tuple[Record, np.ndarray]]
"""Records with their vectors: [L, T, D] or [T, D]; pooled [L, D] or [D]."""


@dataclasses.dataclass(frozen=True)
class FileLayout:
    """Size and shape of a file of vectors, known from one pass over the text.

    A row is the vector of a token, or, if ``pooled``, of a sentence; with all layers, the stack of
    its L vectors.

    Attributes:
        shape: of a row: (D,), or (L, D) with all layers.
        pooled: whether there is one row per sentence, not per token.
        dtype: "float32" or "float16".
        sentences: number of sentences.
        tokens: number of words.
        text_bytes: size of the texts in UTF-8.
        longest_key: characters of the longest key; 0 if no record has one.
        with_text: whether the texts are stored beside the vectors.
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
        """Number of rows in the file."""
        return self.sentences if self.pooled else self.tokens

    @property
    def row_bytes(self) -> int:
        """Size of a row."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def value_bytes(self) -> int:
        """Size of all vectors: the least that a file takes in any format."""
        return self.n_rows * self.row_bytes

    def rows(self, vectors: np.ndarray) -> np.ndarray:
        """The vectors of one sentence as [rows, *shape]."""
        if self.pooled:
            return vectors[np.newaxis]
        return vectors.swapaxes(0, 1) if len(self.shape) > 1 else vectors
