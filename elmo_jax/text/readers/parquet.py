"""Parquet: a table with the sentences in one column, read by pyarrow.

Rows are read by bytes, not by number: a few kilobytes of a dictionary page may stand for a text of
many gigabytes. What pyarrow cannot divide is a page, of at most 2 GiB.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from ...errors import ElmoError, optional_module
from .record import Record, SourceFile
from .stored_bytes import check_unchanged

_BATCH_ROWS, _BATCH_BYTES = 1024, 16 << 20
_BUFFER_BYTES = 1 << 20


def read_parquet(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per row. Raises ElmoError without pyarrow, or for a file of another format."""
    pyarrow = optional_module("pyarrow", f"reading {source.name}", "parquet")
    parquet = optional_module("pyarrow.parquet", f"reading {source.name}", "parquet")
    errors = (pyarrow.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError)
    batches = _batches(file, source, parquet)
    number = 0
    while True:
        try:
            batch = next(batches, None)
        except ElmoError:
            raise
        except errors as error:
            raise ElmoError(
                f"Cannot read {source.name} as Parquet, after row {number:,}: {error}"
            ) from None
        if batch is None:
            return
        for value, key in zip(*batch, strict=True):
            number += 1
            yield source.record_from_value(value, key, number, "row")


def _batches(
    file: IO[bytes], source: SourceFile, parquet: Any
) -> Iterator[tuple[list[object], list[object]]]:
    """Rows in order, some at a time: their sentences, and their keys."""
    columns = [name for name in (source.column, source.key_column) if name is not None]
    names = list(dict.fromkeys(columns))
    options = {"buffer_size": _BUFFER_BYTES, "page_checksum_verification": True}
    most_bytes = min(_BATCH_BYTES, source.most_bytes)
    with _seekable(file, source) as seekable:
        table = parquet.ParquetFile(seekable, **options)
        source.check_columns(table.schema_arrow.names)
        first_row = 1
        for n_rows, groups in _batch_sizes(table, seekable, names, parquet):
            for batch in table.iter_batches(n_rows, row_groups=groups, columns=names):
                # Rows whose sizes differ much are taken one by one.
                step = len(batch) if _n_bytes(batch) <= most_bytes else 1
                for start in range(0, len(batch), step or 1):
                    rows = batch.slice(start, step)
                    if step == 1:
                        row = first_row + start
                        source.check_size(_n_bytes(rows), row, "the row", "row")
                    values = [rows.column(name).to_pylist() for name in columns]
                    yield values[0], values[1] if values[1:] else [None] * len(rows)
                first_row += len(batch)
        check_unchanged(seekable)


def _n_bytes(batch: Any) -> int:
    """How many bytes the values of a batch take, if none is shared."""
    return sum(
        (array.dictionary_decode() if hasattr(array, "dictionary_decode") else array).nbytes
        for array in batch.columns
    )


def _batch_sizes(
    table: Any, file: IO[bytes], names: list[str], parquet: Any
) -> Iterator[tuple[int, list[int]]]:
    """The numbers of rows to read at a time, each with its row groups, in order."""
    schema = [table.schema.column(leaf) for leaf in range(table.metadata.num_columns)]
    leaves = [
        leaf
        for leaf, column in enumerate(schema)
        if column.path in names or column.path.split(".")[0] in names
    ]
    texts = [schema[leaf].path for leaf in leaves if schema[leaf].physical_type == "BYTE_ARRAY"]
    with_dictionaries = parquet.ParquetFile(file, read_dictionary=texts, buffer_size=_BUFFER_BYTES)

    def batch_rows(group: int) -> int:
        # This comes first: of a damaged group, the calls below abort the process.
        longest = _longest_in_dictionaries(with_dictionaries, group, names)
        metadata = table.metadata.row_group(group)
        n_bytes = 0
        for column in map(metadata.column, leaves):
            size = column.total_uncompressed_size
            if "DELTA_BYTE_ARRAY" in column.encodings:  # a text repeats the start of the last one
                longest = max(longest, size)
            n_bytes += size + column.num_values * longest
        return max(1, min(_BATCH_ROWS, _BATCH_BYTES * metadata.num_rows // max(1, n_bytes)))

    for n_rows, groups in itertools.groupby(range(table.num_row_groups), batch_rows):
        yield n_rows, list(groups)


def _longest_in_dictionaries(table: Any, group: int, names: list[str]) -> int:
    """The bytes of the longest text in the dictionaries of a group of rows.

    pyarrow shows a dictionary beside any row.
    """
    batch = next(table.iter_batches(1, row_groups=[group], columns=names), None)
    return max(map(_longest_in_dictionary, [] if batch is None else batch.columns), default=0)


def _longest_in_dictionary(array: Any) -> int:
    compute = optional_module("pyarrow.compute", "reading Parquet", "parquet")
    while hasattr(array, "flatten") and not hasattr(array, "dictionary"):
        parts = array.flatten()  # the values of lists; the fields of a struct
        if isinstance(parts, list):
            return max(map(_longest_in_dictionary, parts), default=0)
        array = parts
    if not hasattr(array, "dictionary"):
        return 0
    return compute.max(compute.binary_length(array.dictionary)).as_py() or 0


@contextlib.contextmanager
def _seekable(file: IO[bytes], source: SourceFile) -> Iterator[IO[bytes]]:
    """The file, or a decompressed copy of it: Parquet is read from its end."""
    if isinstance(getattr(file, "raw", None), io.FileIO):
        yield file
        return
    with tempfile.TemporaryFile() as copy:
        try:
            shutil.copyfileobj(file, copy)
        except OSError as error:
            raise ElmoError(
                f"Cannot copy {source.name} to a temporary file: {error.strerror or error}."
            ) from None
        yield copy
