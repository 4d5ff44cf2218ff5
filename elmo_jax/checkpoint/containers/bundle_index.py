"""The index of a TensorFlow checkpoint: what its variables are, and where they lie.

Source of the format: tensor_bundle.proto, tensor_shape.proto and types.proto of TensorFlow.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from .bundle_table import DAMAGED, BundleError, fields_of, number_of, table_of

# The index of the largest published model has less than 10 kB. A file made to do harm may claim
# anything, so these limit the memory and the time that it can take.
_MOST_INDEX_BYTES = 4 << 20
_MOST_VARIABLES = 2_000
_MOST_DIMENSIONS = 32

DTYPES = {1: "float32", 2: "float64", 3: "int32", 9: "int64", 14: "bfloat16", 19: "float16"}
"""The types of numbers by their value in types.proto."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What a variable is, and where it lies.

    Attributes:
        dtype: "float32", "float64", "int32", "int64", "bfloat16" or "float16"; for another type,
            "type N" with its number in types.proto.
        shape: its shape.
        shard: the number of its data file.
        offset: the position of its first byte there.
        size: how many bytes it has.
        crc32c: the masked checksum of those bytes.
        sliced: whether it is partitioned: its numbers lie in several other entries.
    """

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc32c: int
    sliced: bool


def index_content(path: Path) -> memoryview:
    """The bytes of an index file of plausible size."""
    size = path.stat().st_size
    if size > _MOST_INDEX_BYTES:
        raise BundleError(f"it has {size:,} bytes, expected at most {_MOST_INDEX_BYTES:,}")
    return memoryview(path.read_bytes())


def parse_index(content: memoryview) -> tuple[int, dict[str, Entry]]:
    """The number of data files, and the variables."""
    entries: dict[str, Entry] = {}
    n_shards = None
    for key, value in table_of(content):
        if not key:
            n_shards = _parse_header(value)
            continue
        if key.startswith(b"\0"):  # a slice of a partitioned variable, whose own entry says so
            continue
        name = _decoded(key)
        if n_shards is None or name in entries:
            raise BundleError(f"the entry of {name!r} is out of place; {DAMAGED}")
        if len(entries) == _MOST_VARIABLES:
            raise BundleError(f"it names more than {_MOST_VARIABLES:,} variables")
        entries[name] = _parse_entry(value)
        if entries[name].shard >= n_shards:
            raise BundleError(
                f"{name} is in data file {entries[name].shard}, but there are only {n_shards}"
            )
    if n_shards is None:
        raise BundleError("it has no header; expected the index of a TensorFlow checkpoint")
    return n_shards, entries


def _decoded(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise BundleError(f"the name {key!r} is not UTF-8; {DAMAGED}") from None


def _parse_header(message: memoryview) -> int:
    """The number of data files, from a BundleHeaderProto."""
    n_shards, is_big_endian = 0, False
    for field, value in fields_of(message):
        if field == 1:
            n_shards = number_of(value)
        elif field == 2:
            is_big_endian = number_of(value) != 0
    if is_big_endian:
        raise BundleError(
            "the checkpoint is from a big-endian machine, which is not supported; save it with "
            "TensorFlow on another one"
        )
    return n_shards


def _parse_entry(message: memoryview) -> Entry:
    """A BundleEntryProto. Fields that are 0 are left out of it."""
    fields = dict.fromkeys((1, 3, 4, 5, 6), 0)  # dtype, shard, offset, size, checksum
    shape: tuple[int, ...] = ()
    sliced = False
    for field, value in fields_of(message):
        if field == 2:
            shape = _parse_shape(value)
        elif field == 7:
            sliced = True
        elif field in fields:
            fields[field] = number_of(value)
    dtype, shard, offset, size, crc32c = fields.values()
    name = DTYPES.get(dtype, f"type {dtype}")
    return Entry(name, shape, shard, offset, size, crc32c, sliced)


def _parse_shape(message: int | memoryview) -> tuple[int, ...]:
    """A TensorShapeProto."""
    shape = []
    for field, dimension in fields_of(message):
        if field == 2:
            sizes = [number_of(value) for number, value in fields_of(dimension) if number == 1]
            shape.append(sizes[-1] if sizes else 0)
        if len(shape) > _MOST_DIMENSIONS:
            raise BundleError(f"a variable has more than {_MOST_DIMENSIONS} dimensions")
    return tuple(shape)
