"""CSV: a row a sentence if pooled, otherwise a row a token; a column for each number.

Columns: ``key`` where records have keys; of sentences ``text``, of tokens ``sentence`` (counted
from 0), ``position`` (in it, from 0) and ``token``; then the numbers ``v0``, ``v1``, …, or for all
layers ``layer_0_v0``, … A number has as many digits as it takes to read the same one again.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...text.readers import Record
from .layout import Layout, Results

_NUMBER_BYTES = {"float32": 14, "float16": 9}
"""Of a number with its comma: "-0.0123456789,"."""


def check(layout: Layout) -> None:
    """Raise ElmoError for what the format cannot hold: it holds everything."""


def notes(layout: Layout) -> Iterator[str]:
    """What the user should know about this file."""
    if not layout.pooled:
        yield "a .csv file of token vectors is large and slow to read; .npz and .parquet are not"


def estimated_bytes(layout: Layout) -> int:
    """About how large the file will be."""
    n_numbers = layout.value_bytes // np.dtype(layout.dtype).itemsize
    names = layout.text_bytes if layout.with_text or not layout.pooled else 0
    beside = layout.longest_key + (4 if layout.pooled else 12)
    return 1000 + n_numbers * _NUMBER_BYTES[layout.dtype] + layout.n_rows * beside + names


def write(path: Path, layout: Layout, results: Results) -> None:
    """Write results as they come."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*_text_columns(layout), *_number_columns(layout)])
        for number, (record, vectors) in enumerate(results):
            numbers = layout.rows(vectors).reshape(-1, np.prod(layout.shape, dtype=int))
            # As strings of NumPy: the shortest that give the same float32 or float16 again.
            for texts, row in zip(_texts(layout, number, record), numbers.astype(str), strict=True):
                rows.writerow([*texts, *row.tolist()])


def _text_columns(layout: Layout) -> list[str]:
    key = ["key"] if layout.longest_key else []
    if not layout.pooled:
        return [*key, "sentence", "position", "token"]
    return [*key, "text"] if layout.with_text else key


def _texts(layout: Layout, number: int, record: Record) -> Iterator[list[str]]:
    """The cells of ``_text_columns`` for each row of a sentence."""
    key = [record.key or ""] if layout.longest_key else []
    if not layout.pooled:
        for position, word in enumerate(record.words):
            yield [*key, str(number), str(position), word]
    else:
        yield [*key, record.text] if layout.with_text else key


def _number_columns(layout: Layout) -> list[str]:
    names = [f"v{i}" for i in range(layout.shape[-1])]
    if len(layout.shape) == 1:
        return names
    return [f"layer_{layer}_{name}" for layer in range(layout.shape[0]) for name in names]
