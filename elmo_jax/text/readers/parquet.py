"""Parquet: a table with the sentences in one column, read by pyarrow."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO

from ...errors import ElmoError, optional_module
from .record import Record, SourceFile

_ROWS_PER_BATCH = 1024


def read_parquet(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per row. Raises ElmoError without pyarrow, or for a file of another format."""
    pyarrow = optional_module("pyarrow", f"reading {source.name}", "parquet")
    parquet = optional_module("pyarrow.parquet", f"reading {source.name}", "parquet")
    names = [name for name in (source.column, source.key_column) if name is not None]
    try:
        with _seekable(file) as seekable:
            table = parquet.ParquetFile(seekable)
            source.check_columns(table.schema_arrow.names)
            number = 0
            for batch in table.iter_batches(_ROWS_PER_BATCH, columns=list(dict.fromkeys(names))):
                values = batch.column(names[0]).to_pylist()
                keys = batch.column(names[1]).to_pylist() if names[1:] else [None] * len(values)
                for value, key in zip(values, keys, strict=True):
                    number += 1
                    yield source.record_from_value(value, key, number, "row")
    except pyarrow.ArrowException as error:
        raise ElmoError(f"Cannot read {source.name} as Parquet: {error}") from None


@contextlib.contextmanager
def _seekable(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """The file, or a decompressed copy of it: Parquet is read from its end."""
    if isinstance(getattr(file, "raw", None), io.FileIO):
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        yield copy
