"""What a writer must know of a file before the first vectors come."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...text.readers import Record

RecordVectors = Iterable[tuple[Record, np.ndarray]]
"""Records with their vectors: [L, T, D] or [T, D]; pooled [L, D] or [D]."""


@dataclasses.dataclass(frozen=True)
class FileLayout:
    """Size and shape of a file of vectors, known from one pass over the text.

    A row is the vector of a token, or, if ``pooled``, of a sentence; with all layers, the stack of
    its L vectors.
    """

    shape: tuple[int, ...]  # of a row: (D,), or (L, D) with all layers
    pooled: bool
    dtype: str  # "float32" or "float16"
    sentences: int
    tokens: int
    text_bytes: int  # of all texts in UTF-8
    longest_key: int  # in characters; 0 if no record has a key
    with_text: bool  # whether the texts are stored beside the vectors
    sentence_keys: str | None = None  # "text" or "words": sentences name datasets, in HDF5
    escape_keys: bool = False  # whether / and . are escaped in those names

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

    def text_columns(self, sentences: Sequence[tuple[int, Record]]) -> dict[str, list[Any]]:
        """The columns beside the vectors in a table of some sentences: names and cells.

        They are ``key`` if records have keys; then ``text`` for sentences, and for tokens
        ``sentence`` (counted from 0), ``position`` (in the sentence, from 0) and ``token``.
        """
        texts: dict[str, list[Any]] = {}
        if self.pooled:
            keys = [record.key for _, record in sentences]
            if self.with_text:
                texts = {"text": [record.text for _, record in sentences]}
        else:
            keys = [record.key for _, record in sentences for _ in record.words]
            texts = {
                "sentence": [index for index, record in sentences for _ in record.words],
                "position": [i for _, record in sentences for i in range(len(record.words))],
                "token": [word for _, record in sentences for word in record.words],
            }
        return {"key": keys, **texts} if self.longest_key else texts
