"""CSV and TSV: a table whose first line names its columns, one of which holds the sentences."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import IO

from ...errors import ElmoError, counted
from .lines import decoded_lines
from .record import Record, Source


def read_csv(file: IO[bytes], source: Source) -> Iterator[Record]:
    """A record a row; cells may be quoted, as Python's module csv and spreadsheets write them.

    Where the first line has no comma, semicolons are what separates cells: so spreadsheets write
    CSV where the comma is a decimal point.

    Raises:
        ElmoError: for a column that is not there, a row of another number of cells, or quotes
            that do not match.
    """
    yield from _read(file, source, ",;")


def read_tsv(file: IO[bytes], source: Source) -> Iterator[Record]:
    """The same, with tabs between cells."""
    yield from _read(file, source, "\t")


def _read(file: IO[bytes], source: Source, delimiters: str) -> Iterator[Record]:
    rows = _rows(file, source, delimiters)
    _, header = next(rows, (0, None))
    if header is None:
        raise ElmoError(f"{source.file} is empty: expected a first line with names of columns.")
    for name in filter(None, (source.column, source.key_column)):
        if header.count(name) != 1:
            problem = f"no column {name!r}" if name not in header else f"several columns {name!r}"
            raise ElmoError(
                f"{source.file} has {problem}; its first line names: "
                f"{', '.join(map(repr, header))}."
            )
    column = header.index(source.column or "")
    key_column = header.index(source.key_column) if source.key_column else None
    for number, cells in rows:
        if len(cells) != len(header):
            raise source.error(
                number,
                f"{counted(len(cells), 'cell')}, expected {len(header)}, as the first line has.",
            )
        key = None if key_column is None else cells[key_column] or None
        yield source.of_string(cells[column], key, number)


def _rows(file: IO[bytes], source: Source, delimiters: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row, with the number of its first line. Blank lines are passed over."""
    lines = (line for _, line in decoded_lines(file, source))
    first = next(lines, "")
    delimiter = next((mark for mark in delimiters if mark in first), delimiters[0])
    reader = csv.reader(_with(first, lines), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise source.error(
                number,
                f"cannot read the row: {error}. A cell that begins with a quote has to end with "
                'one, and quotes inside it are doubled: "He said ""yes"" .".',
            ) from None
        if cells is None:
            return
        if cells:
            yield number, cells


def _with(first: str, lines: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from lines
