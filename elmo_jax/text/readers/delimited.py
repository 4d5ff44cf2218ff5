"""CSV and TSV: the first line names the columns, and one column holds the sentences."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from typing import IO

from ...errors import ElmoError, counted
from .lines import decoded_lines
from .record import Record, SourceFile


def read_csv(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per row; cells may be quoted, as Python's module csv and spreadsheets do."""
    # Where the comma is the decimal point, spreadsheets write semicolons between cells.
    yield from _read(file, source, ",;")


def read_tsv(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """``read_csv`` with tabs between cells."""
    yield from _read(file, source, "\t")


def _read(file: IO[bytes], source: SourceFile, delimiters: str) -> Iterator[Record]:
    rows = _rows(file, source, delimiters)
    _, header = next(rows, (0, None))
    if header is None:
        raise ElmoError(f"{source.name} is empty: its first line must name the columns.")
    source.check_columns(header)
    column = header.index(source.column or "")
    key_column = header.index(source.key_column) if source.key_column else None
    for number, cells in rows:
        if len(cells) != len(header):
            raise source.error(
                number,
                f"{counted(len(cells), 'cell')}, expected {len(header)} as in the first line.",
            )
        key = None if key_column is None else cells[key_column] or None
        yield source.record_from_string(cells[column], key, number)


def _rows(file: IO[bytes], source: SourceFile, delimiters: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row, with the number of its first line. Blank lines are skipped."""
    lines = (line for _, line in decoded_lines(file, source))
    first = next(lines, "")
    delimiter = next((mark for mark in delimiters if mark in first), delimiters[0])
    reader = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise source.error(
                number,
                f"cannot read the row: {error}. A cell that begins with a quote must end with "
                'one, and quotes inside it are doubled: "He said ""yes"" .".',
            ) from None
        if cells is None:
            return
        if cells:
            yield number, cells
