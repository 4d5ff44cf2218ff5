"""Parquet: a row a sentence if pooled, otherwise a row a token; written through pyarrow.

Columns: ``key`` where records have keys; of sentences ``text``, of tokens ``sentence`` (counted
from 0), ``position`` (in it, from 0) and ``token``; then ``vector``, or for all layers ``layer_0``,
``layer_1``, …, each a list of the fixed size D. A sentence without tokens has no row of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import optional_module
from ...text.readers import Record
from .layout import Layout, Results

_GROUP_BYTES = 1 << 26
"""About how much a row group holds, before it is written; it is what the writer has in memory."""

_MOST_ROWS = 1 << 16


def check(layout: Layout) -> None:
    """Raise ElmoError if the format cannot be written here: if pyarrow is not installed."""
    _parquet()


def notes(layout: Layout) -> Iterator[str]:
    """What the user should know about this file: nothing."""
    yield from ()


def estimated_bytes(layout: Layout) -> int:
    """About how large the file will be."""
    words = layout.text_bytes if layout.with_text or not layout.pooled else 0
    keys = layout.sentences * layout.longest_key
    return 4000 + layout.value_bytes + layout.n_rows * 8 + words + keys


def write(path: Path, layout: Layout, results: Results) -> None:
    """Write results as they come."""
    pyarrow, parquet = _parquet()
    schema = pyarrow.schema([*_text_columns(pyarrow, layout), *_vector_columns(pyarrow, layout)])
    texts = [name for name in schema.names if name in ("key", "text", "token")]
    most_rows = max(1, min(_MOST_ROWS, _GROUP_BYTES // layout.row_bytes))
    with (
        path.open("wb") as file,
        parquet.ParquetWriter(
            file,
            schema,
            # Vectors do not shrink, and their least and greatest number say nothing.
            compression=dict.fromkeys(texts, "snappy"),
            use_dictionary=[name for name in texts if name != "text"],
            write_statistics=[name for name in schema.names if name in ("key", "sentence")],
        ) as writer,
    ):
        for group in _groups(layout, results, most_rows):
            rows = np.concatenate([layout.rows(vectors) for _, _, vectors in group])
            columns = [*_texts(layout, group), *_vectors(pyarrow, layout, rows)]
            arrays = [
                column if isinstance(column, pyarrow.Array) else pyarrow.array(column, field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            table = pyarrow.Table.from_arrays(arrays, schema=schema)
            writer.write_table(table, row_group_size=max(1, len(table)))


def _parquet() -> tuple[Any, Any]:
    purpose = "writing Parquet"
    return (
        optional_module("pyarrow", purpose, "parquet"),
        optional_module("pyarrow.parquet", purpose, "parquet"),
    )


Group = list[tuple[int, Record, np.ndarray]]
"""Sentences with their numbers."""


def _groups(layout: Layout, results: Results, most_rows: int) -> Iterator[Group]:
    """Whole sentences that fill a row group. It depends on them alone where one ends."""
    group: Group = []
    n_rows = 0
    for number, (record, vectors) in enumerate(results):
        group.append((number, record, vectors))
        n_rows += 1 if layout.pooled else len(record.words)
        if n_rows >= most_rows:
            yield group
            group, n_rows = [], 0
    if group:
        yield group


def _text_columns(pyarrow: Any, layout: Layout) -> Iterator[Any]:
    string = pyarrow.string()
    if layout.longest_key:
        yield pyarrow.field("key", string)
    if not layout.pooled:
        yield pyarrow.field("sentence", pyarrow.int64())
        yield pyarrow.field("position", pyarrow.int32())
        yield pyarrow.field("token", string)
    elif layout.with_text:
        yield pyarrow.field("text", string)


def _texts(layout: Layout, group: Group) -> Iterator[Any]:
    """The columns of ``_text_columns``."""
    if layout.pooled:
        if layout.longest_key:
            yield [record.key for _, record, _ in group]
        if layout.with_text:
            yield [record.text for _, record, _ in group]
        return
    if layout.longest_key:
        yield [record.key for _, record, _ in group for _ in record.words]
    yield [number for number, record, _ in group for _ in record.words]
    yield [place for _, record, _ in group for place in range(len(record.words))]
    yield [word for _, record, _ in group for word in record.words]


def _vector_columns(pyarrow: Any, layout: Layout) -> Iterator[Any]:
    number = pyarrow.from_numpy_dtype(np.dtype(layout.dtype))
    kind = pyarrow.list_(number, layout.shape[-1])
    if len(layout.shape) == 1:
        yield pyarrow.field("vector", kind)
    else:
        yield from (pyarrow.field(f"layer_{i}", kind) for i in range(layout.shape[0]))


def _vectors(pyarrow: Any, layout: Layout, rows: np.ndarray) -> Iterator[Any]:
    """The columns of ``_vector_columns`` from [rows, D] or [rows, L, D]."""
    layers = [rows] if len(layout.shape) == 1 else list(rows.swapaxes(0, 1))
    for layer in layers:
        flat = pyarrow.array(np.ascontiguousarray(layer).reshape(-1))
        yield pyarrow.FixedSizeListArray.from_arrays(flat, layout.shape[-1])
