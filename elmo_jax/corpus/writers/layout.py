"""What a writer must know of a file before the first vectors come."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...errors import ElmoError, check_count, shortened
from ...model.config import DTYPES
from ...text.readers import Record
from .sentence_keys import SENTENCE_KEYS

RecordVectors = Iterable[tuple[Record, np.ndarray]]
"""Records with their vectors: [L, T, D] or [T, D]; pooled [L, D] or [D]."""


_MOST_REPEATED = 1 << 26  # characters of one sentence's key in a table of words


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
    longest_key_at: int = 0  # the number of that record, from 0
    repeated_key: int = 0  # the most characters of a record's key times its words
    repeated_key_at: int = 0  # the number of that record, from 0

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> FileLayout:
        """The layout of a manifest; raises ElmoError or TypeError for anything else."""
        layout = cls(**{**values, "shape": tuple(values["shape"])})
        if len(layout.shape) not in (1, 2):
            raise ElmoError(f"shape is {shortened(values['shape'])}, expected one or two numbers")
        for size in layout.shape:
            check_count(size, "a number of the shape")
        for field in dataclasses.fields(cls):
            value = getattr(layout, field.name)
            if field.type == "int":
                check_count(value, field.name, 0)
            elif field.type == "bool" and not isinstance(value, bool):
                raise ElmoError(f"{field.name} is {shortened(value)}, expected true or false")
        if layout.dtype not in DTYPES or layout.sentence_keys not in (None, *SENTENCE_KEYS):
            raise ElmoError("dtype or sentence_keys is unknown")
        return layout

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

    def key(self, record: Record) -> str:
        """The key of a record, "" without one."""
        key = record.key or ""
        if len(key) > self.longest_key:
            raise ElmoError(f"The key {shortened(key)} is longer than the longest of its corpus.")
        return key

    def check_repeated_keys(self) -> None:
        """Raise ElmoError if a table of words would repeat a long key for too many of them."""
        if not self.pooled and self.repeated_key > _MOST_REPEATED:
            raise ElmoError(
                f"The key of record {self.repeated_key_at + 1:,} is so long that it would take "
                f"{self.repeated_key:,} characters in a table with a row for each of its words. "
                "Give it a shorter key, write a .h5 or .npz file, or pool the sentences "
                "(pooling=). (The key of a CoNLL-U sentence without sent_id is its text.)"
            )

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
