"""Parquet: one row per sentence if pooled, else one row per token; written by pyarrow.

Columns: ``key`` if records have keys; for sentences ``text``, for tokens ``sentence`` (counted from
0), ``position`` (in the sentence, from 0) and ``token``; then ``vector``, or with all layers
``layer_0``, ``layer_1``, …, each a list of fixed size D. A sentence without tokens has no row then.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import optional_module
from ...text.readers import Record
from .layout import FileLayout, RecordVectors

_GROUP_BYTES = 1 << 26
"""The approximate size of a row group, which is in memory until it is written."""

_GROUP_ROWS = 1 << 16


def check(layout: FileLayout) -> None:
    """Raise ElmoError if pyarrow is not installed."""
    _import_pyarrow()


def notes(layout: FileLayout) -> Iterator[str]:
    """No remarks."""
    yield from ()


def estimated_bytes(layout: FileLayout) -> int:
    """The approximate size of the file."""
    words = layout.text_bytes if layout.with_text or not layout.pooled else 0
    keys = layout.sentences * layout.longest_key
    return 4000 + layout.value_bytes + layout.n_rows * 8 + words + keys


def write(path: Path, layout: FileLayout, results: RecordVectors) -> None:
    """Write results one by one."""
    pyarrow, parquet = _import_pyarrow()
    schema = pyarrow.schema([*_text_columns(pyarrow, layout), *_vector_columns(pyarrow, layout)])
    texts = [name for name in schema.names if name in ("key", "text", "token")]
    max_rows = max(1, min(_GROUP_ROWS, _GROUP_BYTES // layout.row_bytes))
    with (
        path.open("wb") as file,
        parquet.ParquetWriter(
            file,
            schema,
            # Vectors do not compress, and their minima and maxima help no reader.
            compression=dict.fromkeys(texts, "snappy"),
            use_dictionary=[name for name in texts if name != "text"],
            write_statistics=[name for name in schema.names if name in ("key", "sentence")],
        ) as writer,
    ):
        for group in _row_groups(layout, results, max_rows):
            rows = np.concatenate([layout.rows(vectors) for _, _, vectors in group])
            columns = [*_text_cells(layout, group), *_vector_cells(pyarrow, layout, rows)]
            arrays = [
                column if isinstance(column, pyarrow.Array) else pyarrow.array(column, field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            table = pyarrow.Table.from_arrays(arrays, schema=schema)
            writer.write_table(table, row_group_size=max(1, len(table)))


def _import_pyarrow() -> tuple[Any, Any]:
    purpose = "writing Parquet"
    return (
        optional_module("pyarrow", purpose, "parquet"),
        optional_module("pyarrow.parquet", purpose, "parquet"),
    )


_RowGroup = list[tuple[int, Record, np.ndarray]]
"""Sentences: index, record, vectors."""


def _row_groups(layout: FileLayout, results: RecordVectors, max_rows: int) -> Iterator[_RowGroup]:
    """Whole sentences that fill a row group. Where a group ends depends on its sentences only."""
    group: _RowGroup = []
    n_rows = 0
    for index, (record, vectors) in enumerate(results):
        group.append((index, record, vectors))
        n_rows += 1 if layout.pooled else len(record.words)
        if n_rows >= max_rows:
            yield group
            group, n_rows = [], 0
    if group:
        yield group


def _text_columns(pyarrow: Any, layout: FileLayout) -> Iterator[Any]:
    string = pyarrow.string()
    if layout.longest_key:
        yield pyarrow.field("key", string)
    if not layout.pooled:
        yield pyarrow.field("sentence", pyarrow.int64())
        yield pyarrow.field("position", pyarrow.int32())
        yield pyarrow.field("token", string)
    elif layout.with_text:
        yield pyarrow.field("text", string)


def _text_cells(layout: FileLayout, group: _RowGroup) -> Iterator[Any]:
    """The columns of ``_text_columns``."""
    if layout.pooled:
        if layout.longest_key:
            yield [record.key for _, record, _ in group]
        if layout.with_text:
            yield [record.text for _, record, _ in group]
        return
    if layout.longest_key:
        yield [record.key for _, record, _ in group for _ in record.words]
    yield [index for index, record, _ in group for _ in record.words]
    yield [position for _, record, _ in group for position in range(len(record.words))]
    yield [word for _, record, _ in group for word in record.words]


def _vector_columns(pyarrow: Any, layout: FileLayout) -> Iterator[Any]:
    number = pyarrow.from_numpy_dtype(np.dtype(layout.dtype))
    vector = pyarrow.list_(number, layout.shape[-1])
    if len(layout.shape) == 1:
        yield pyarrow.field("vector", vector)
    else:
        yield from (pyarrow.field(f"layer_{i}", vector) for i in range(layout.shape[0]))


def _vector_cells(pyarrow: Any, layout: FileLayout, rows: np.ndarray) -> Iterator[Any]:
    """The columns of ``_vector_columns`` from [rows, D] or [rows, L, D]."""
    layers = [rows] if len(layout.shape) == 1 else list(rows.swapaxes(0, 1))
    for layer in layers:
        flat = pyarrow.array(np.ascontiguousarray(layer).reshape(-1))
        yield pyarrow.FixedSizeListArray.from_arrays(flat, layout.shape[-1])
