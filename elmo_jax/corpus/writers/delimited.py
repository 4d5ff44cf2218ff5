"""CSV and TSV: one row per sentence if pooled, else one row per token; one column per number.

The columns of ``FileLayout.text_columns`` come first, then the numbers ``v0``, ``v1``, …, or with
all layers ``layer_0_v0``, … Numbers have the digits that are needed to read them back exactly.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np

from .layout import FileLayout, RecordVectors

_NUMBER_BYTES = {"float32": 12, "float16": 8}  # with the comma: "-0.16019443,"


def check(layout: FileLayout) -> None:
    """Raise ElmoError if a long key would be repeated for too many words."""
    layout.check_repeated_keys()


def notes(layout: FileLayout) -> Iterator[str]:
    """Remarks for the user."""
    if not layout.pooled:
        yield "a table of token vectors as text is large and slow to read; .npz, .parquet are not"


def estimated_bytes(layout: FileLayout) -> int:
    """The approximate size of the file."""
    texts = layout.text_bytes if layout.with_text or not layout.pooled else 0
    other_cells = layout.longest_key + (4 if layout.pooled else 12)
    return 1000 + number_bytes(layout) + layout.n_rows * other_cells + texts


def number_bytes(layout: FileLayout) -> int:
    """The approximate size of all numbers as text, with what separates them."""
    n_numbers = layout.value_bytes // np.dtype(layout.dtype).itemsize
    return n_numbers * _NUMBER_BYTES[layout.dtype]


def write(path: Path, layout: FileLayout, results: RecordVectors, *, delimiter: str = ",") -> None:
    """Write results one by one."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(_UnixLines(file), delimiter=delimiter)
        numbers = _number_columns(layout)
        writer.writerow([*layout.text_columns([]), *numbers])
        for index, (record, vectors) in enumerate(results):
            texts = layout.text_columns([(index, record)]).values()
            # NumPy writes the shortest decimals that read back as the same float32 or float16.
            cells = layout.rows(vectors).reshape(-1, len(numbers)).astype(str)
            writer.writerows(zip(*texts, *cells.T.tolist(), strict=True))


class _UnixLines:
    """Ends rows with a line feed only.

    The csv module quotes a carriage return in a cell only if it is part of the line ends.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


def _number_columns(layout: FileLayout) -> list[str]:
    names = [f"v{i}" for i in range(layout.shape[-1])]
    if len(layout.shape) == 1:
        return names
    return [f"layer_{layer}_{name}" for layer in range(layout.shape[0]) for name in names]
