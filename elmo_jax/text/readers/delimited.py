"""CSV and TSV: the first line names the columns, and one column holds the sentences."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from collections.abc import Iterator
from typing import IO

from ...errors import ElmoError, counted
from .lines import decoded_lines
from .record import Record, SourceFile

_CSV_LIMIT = 1 << 16  # longer rows need a higher limit of cells in the module csv


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
    row = _Row()
    lines = _lines_of_row(decoded_lines(file, source), source, row)
    first = next(lines, "")
    delimiter = next((mark for mark in delimiters if mark in first), delimiters[0])
    reader = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    while True:
        number = row.number = reader.line_num + 1
        row.size = 0
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise source.error(
                number,
                f"cannot read the row: {error}. A cell that begins with a quote must end with "
                'one, and quotes inside it are doubled: "He said ""yes"" .".',
            ) from None
        finally:
            if row.limit_before is not None:
                csv.field_size_limit(row.limit_before)
                row.limit_before = None
        if cells is None:
            return
        if cells:
            yield number, cells


@dataclasses.dataclass
class _Row:
    """The row that is being read."""

    number: int = 1  # of its first line
    size: int = 0  # so far
    limit_before: int | None = None  # of cells in the module csv, if it was raised for this row


def _lines_of_row(
    numbered: Iterator[tuple[int, str]], source: SourceFile, row: _Row
) -> Iterator[str]:
    """Lines, with an error if those of one row are too long: a quote may never be closed."""
    for _, line in numbered:
        row.size += len(line)
        if row.size > _CSV_LIMIT:
            source.check_size(row.size, row.number, "the row from here on")
            if row.limit_before is None:
                row.limit_before = csv.field_size_limit(source.most_bytes)
        yield line
