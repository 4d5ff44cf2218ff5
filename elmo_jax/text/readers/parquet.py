"""Parquet: a table one of whose columns holds the sentences; read through pyarrow."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO

from ...errors import ElmoError, optional_module
from .record import Record, Source

_ROWS = 1024


def read_parquet(file: IO[bytes], source: Source) -> Iterator[Record]:
    """A record a row.

    Raises:
        ElmoError: if pyarrow is not installed, the file is no Parquet, there is no such column,
            or at a row with something else than a string or a list of words.
    """
    pyarrow = optional_module("pyarrow", f"reading {source.file}", "parquet")
    parquet = optional_module("pyarrow.parquet", f"reading {source.file}", "parquet")
    names = [name for name in (source.column, source.key_column) if name is not None]
    try:
        with _seekable(file) as seekable:
            table = parquet.ParquetFile(seekable)
            there = table.schema_arrow.names
            for name in names:
                if name not in there:
                    raise ElmoError(
                        f"{source.file} has no column {name!r}; those there: "
                        f"{', '.join(map(repr, there))}."
                    )
            number = 0
            for batch in table.iter_batches(_ROWS, columns=list(dict.fromkeys(names))):
                values = batch.column(names[0]).to_pylist()
                keys = batch.column(names[1]).to_pylist() if names[1:] else [None] * len(values)
                for value, key in zip(values, keys, strict=True):
                    number += 1
                    yield source.of_value(value, key, number, "row")
    except pyarrow.ArrowException as error:
        raise ElmoError(f"Cannot read {source.file} as Parquet: {error}") from None


@contextlib.contextmanager
def _seekable(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """The file, or a copy of what a compressed one unpacks to: a table is read from its end."""
    if isinstance(getattr(file, "raw", None), io.FileIO):
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        yield copy
