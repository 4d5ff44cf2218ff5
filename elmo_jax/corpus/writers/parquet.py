"""Parquet: one row per sentence if pooled, else one row per token; written by pyarrow.

The columns of ``FileLayout.text_columns`` come first, then ``vector``, or with all layers
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

# The approximate size of a row group, which is in memory until it is written.
_GROUP_BYTES, _GROUP_ROWS = 1 << 26, 1 << 16

_TEXT_TYPES = {
    "key": "string",
    "text": "string",
    "sentence": "int64",
    "position": "int32",
    "token": "string",
}


def check(layout: FileLayout) -> None:
    """Raise ElmoError if pyarrow is not installed, or a long key would be repeated too often."""
    _import_pyarrow()
    layout.check_repeated_keys()


def estimated_bytes(layout: FileLayout) -> int:
    """The approximate size of the file."""
    words = layout.text_bytes if layout.with_text or not layout.pooled else 0
    keys = layout.sentences * layout.longest_key
    return 4000 + layout.value_bytes + layout.n_rows * 8 + words + keys


def write(path: Path, layout: FileLayout, results: RecordVectors) -> None:
    """Write results one by one."""
    pyarrow, parquet = _import_pyarrow()
    schema = _schema(pyarrow, layout)
    texts = [name for name in schema.names if _TEXT_TYPES.get(name) == "string"]
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
            table = _table(pyarrow, schema, layout, group)
            writer.write_table(table, row_group_size=max(1, len(table)))


def _import_pyarrow() -> tuple[Any, Any]:
    pyarrow, parquet = (
        optional_module(name, "writing Parquet", "parquet")
        for name in ("pyarrow", "pyarrow.parquet")
    )
    return pyarrow, parquet


def _schema(pyarrow: Any, layout: FileLayout) -> Any:
    number = pyarrow.from_numpy_dtype(np.dtype(layout.dtype))
    vector = pyarrow.list_(number, layout.shape[-1])
    layers = [f"layer_{i}" for i in range(layout.shape[0])]
    types = {name: pyarrow.type_for_alias(_TEXT_TYPES[name]) for name in layout.text_columns([])}
    types |= dict.fromkeys(["vector"] if len(layout.shape) == 1 else layers, vector)
    return pyarrow.schema(types)


_RowGroup = list[tuple[int, Record, np.ndarray]]
"""Sentences: index, record, vectors."""


def _row_groups(layout: FileLayout, results: RecordVectors, max_rows: int) -> Iterator[_RowGroup]:
    """Whole sentences that fill a row group. Where a group ends depends on its sentences only."""
    group: _RowGroup = []
    n_rows = n_characters = 0
    for index, (record, vectors) in enumerate(results):
        group.append((index, record, vectors))
        n_rows += 1 if layout.pooled else len(record.words)
        # Texts and keys are rarely long, and a key is repeated for each word.
        n_characters += len(record.text)
        n_characters += len(layout.key(record)) * (1 if layout.pooled else len(record.words))
        if n_rows >= max_rows or n_characters >= _GROUP_BYTES:
            yield group
            group, n_rows, n_characters = [], 0, 0
    if group:
        yield group


def _table(pyarrow: Any, schema: Any, layout: FileLayout, group: _RowGroup) -> Any:
    texts = layout.text_columns([(index, record) for index, record, _ in group])
    arrays = [pyarrow.array(cells, schema.field(name).type) for name, cells in texts.items()]
    rows = np.concatenate([layout.rows(vectors) for _, _, vectors in group])
    for layer in [rows] if len(layout.shape) == 1 else rows.swapaxes(0, 1):
        flat = pyarrow.array(np.ascontiguousarray(layer).reshape(-1))
        arrays.append(pyarrow.FixedSizeListArray.from_arrays(flat, layout.shape[-1]))
    return pyarrow.Table.from_arrays(arrays, schema=schema)
