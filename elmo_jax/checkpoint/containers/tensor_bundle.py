"""TensorFlow checkpoints ("tensor bundles"), read without TensorFlow.

``PREFIX.index`` is a sorted table in the layout of LevelDB that says where each variable lies;
``PREFIX.data-00000-of-0000N`` are the raw numbers. The checksums of the index are always verified.
The numbers have checksums, too, but only **where the package google-crc32c is installed** are they
verified: pure Python would take minutes. Without it, changed bytes among the numbers go unnoticed.

Sources of the format: table/format.cc and util/crc32c.h of LevelDB; tensor_bundle.proto,
tensor_shape.proto and types.proto of TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ...errors import ElmoError, counted

# The index of the largest published model has less than 10 kB. A file made to do harm may claim
# anything, so these limit the memory and the time that it can take.
_MOST_INDEX_BYTES = 4 << 20
_MOST_VARIABLES = 2_000
_MOST_NAME_BYTES = 256
_MOST_DIMENSIONS = 32

_CHUNK_BYTES = 1 << 20
"""Numbers are read, verified and converted in pieces of this size."""

_DTYPES = {1: "float32", 2: "float64", 3: "int32", 9: "int64", 14: "bfloat16", 19: "float16"}
"""The types of numbers by their value in types.proto."""

_DAMAGED = "it is damaged; copy or download it again"


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


class TensorBundle:
    """The variables of a TensorFlow checkpoint.

    Opening one reads its index and the sizes of its data files; ``read`` reads the bytes of one
    variable and no others.

    Args:
        prefix: the path of the index file, without ".index".
        label: what errors call it.

    Attributes:
        entries: the variables by name.

    Raises:
        ElmoError: if the index is missing, damaged, compressed or from a big-endian machine, or if
            data files are missing or too short.
    """

    def __init__(self, prefix: Path, label: str) -> None:
        self.prefix, self.label = prefix, label
        try:
            content = _index_content(prefix.with_name(f"{prefix.name}.index"))
            self._n_shards, self.entries = _parse_index(content)
        except FileNotFoundError:
            raise ElmoError(f"There is no checkpoint {label}: {label}.index is missing.") from None
        except (_Unreadable, OSError) as error:
            raise ElmoError(f"Cannot read the checkpoint index {label}.index: {error}.") from None
        self._check_data_files()

    def read(self, name: str) -> np.ndarray:
        """The numbers of a variable in its dtype; bfloat16 becomes float32.

        Raises:
            ElmoError: if it is partitioned or does not hold numbers, or if its bytes cannot be read
                or are damaged.
        """
        entry = self.entries[name]
        try:
            return _read_numbers(self._data_file(entry.shard), entry)
        except (_Unreadable, OSError) as error:
            file = self.label + self._suffix(entry.shard)
            raise ElmoError(f"Cannot read the variable {name} from {file}: {error}.") from None

    def _data_file(self, shard: int) -> Path:
        return self.prefix.with_name(self.prefix.name + self._suffix(shard))

    def _suffix(self, shard: int) -> str:
        return f".data-{shard:05d}-of-{self._n_shards:05d}"

    def _check_data_files(self) -> None:
        last: dict[int, tuple[int, str]] = {}  # where the last variable of each file ends
        claimed: dict[int, int] = {}  # what the variables of each file take together
        for name, entry in self.entries.items():
            end = entry.offset + entry.size
            last[entry.shard] = max(last.get(entry.shard, (0, "")), (end, name))
            claimed[entry.shard] = claimed.get(entry.shard, 0) + entry.size
        problems = []
        for shard, (end, name) in sorted(last.items()):
            path, label = self._data_file(shard), self.label + self._suffix(shard)
            if not path.is_file():
                problems.append(f"{label} is missing")
            elif (size := path.stat().st_size) < end:
                problems.append(f"{label} has {counted(size, 'byte')}, but {name} ends at {end:,}")
            elif claimed[shard] > size:
                problems.append(
                    f"{label} has {counted(size, 'byte')}, but its variables take "
                    f"{claimed[shard]:,}: some share their bytes"
                )
        if problems:
            raise ElmoError(
                f"The checkpoint {self.label} is incomplete: {'; '.join(problems)}. It has "
                f"{counted(self._n_shards, 'data file')}; copy or download all files again."
            )


class _Unreadable(Exception):
    """What is wrong with a file; the caller says with which."""


# Numbers


def _read_numbers(path: Path, entry: Entry) -> np.ndarray:
    stored, is_bfloat16 = _stored_dtype(entry), entry.dtype == "bfloat16"
    # The file has entry.size bytes at this place, so a wrong size cannot take all memory.
    n_numbers = entry.size // stored.itemsize
    numbers = np.empty(n_numbers, np.float32 if is_bfloat16 else entry.dtype)
    extend, crc, done = _fast_crc32c(), 0, 0
    for chunk in _chunks(path, entry):
        crc = extend(crc, chunk) if extend else 0
        piece = np.frombuffer(chunk, stored)
        if is_bfloat16:  # the upper half of a float32
            piece = (piece.astype(np.uint32) << 16).view(np.float32)
        numbers[done : done + piece.size] = piece
        done += piece.size
    if extend and _masked(crc) != entry.crc32c:
        raise _Unreadable(f"the checksum of its bytes is wrong; {_DAMAGED}")
    return numbers.reshape(entry.shape)


def _stored_dtype(entry: Entry) -> np.dtype:
    if entry.sliced:
        raise _Unreadable(
            "it is partitioned, as no known ELMo is; save it with TensorFlow as one variable"
        )
    if entry.dtype not in _DTYPES.values():
        expected = ", ".join(_DTYPES.values())
        raise _Unreadable(f"its dtype is {entry.dtype}, expected one of {expected}")
    stored = np.dtype("u2" if entry.dtype == "bfloat16" else entry.dtype).newbyteorder("<")
    if entry.size == 0 or math.prod(entry.shape) * stored.itemsize != entry.size:
        size = counted(entry.size, "byte")
        raise _Unreadable(f"it has {size}, which do not make {entry.dtype} {entry.shape}")
    return stored


def _chunks(path: Path, entry: Entry) -> Iterator[bytes]:
    left = entry.size
    with path.open("rb") as file:
        file.seek(entry.offset)
        while left:
            chunk = file.read(min(left, _CHUNK_BYTES))
            if len(chunk) < min(left, _CHUNK_BYTES):
                raise _Unreadable("the file became shorter while it was read")
            left -= len(chunk)
            yield chunk


# The index: what the entries of its table mean


def _index_content(path: Path) -> memoryview:
    size = path.stat().st_size
    if size > _MOST_INDEX_BYTES:
        raise _Unreadable(f"it has {size:,} bytes, expected at most {_MOST_INDEX_BYTES:,}")
    return memoryview(path.read_bytes())


def _parse_index(content: memoryview) -> tuple[int, dict[str, Entry]]:
    """The number of data files, and the variables."""
    entries: dict[str, Entry] = {}
    n_shards = None
    for key, value in _table(content):
        if not key:
            n_shards = _parse_header(value)
            continue
        if key.startswith(b"\0"):  # a slice of a partitioned variable, whose own entry says so
            continue
        name = _decoded(key)
        if n_shards is None or name in entries:
            raise _Unreadable(f"the entry of {name!r} is out of place; {_DAMAGED}")
        if len(entries) == _MOST_VARIABLES:
            raise _Unreadable(f"it names more than {_MOST_VARIABLES:,} variables")
        entries[name] = _parse_entry(value)
        if entries[name].shard >= n_shards:
            raise _Unreadable(
                f"{name} is in data file {entries[name].shard}, but there are only {n_shards}"
            )
    if n_shards is None:
        raise _Unreadable("it has no header; expected the index of a TensorFlow checkpoint")
    return n_shards, entries


def _decoded(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError:
        raise _Unreadable(f"the name {key!r} is not UTF-8; {_DAMAGED}") from None


def _parse_header(message: memoryview) -> int:
    """The number of data files, from a BundleHeaderProto."""
    n_shards, is_big_endian = 0, False
    for field, value in _fields(message):
        if field == 1:
            n_shards = _number(value)
        elif field == 2:
            is_big_endian = _number(value) != 0
    if is_big_endian:
        raise _Unreadable(
            "the checkpoint is from a big-endian machine, which is not supported; save it with "
            "TensorFlow on another one"
        )
    return n_shards


def _parse_entry(message: memoryview) -> Entry:
    """A BundleEntryProto. Fields that are 0 are left out of it."""
    fields = dict.fromkeys((1, 3, 4, 5, 6), 0)  # dtype, shard, offset, size, checksum
    shape: tuple[int, ...] = ()
    sliced = False
    for field, value in _fields(message):
        if field == 2:
            shape = _parse_shape(value)
        elif field == 7:
            sliced = True
        elif field in fields:
            fields[field] = _number(value)
    dtype, shard, offset, size, crc32c = fields.values()
    name = _DTYPES.get(dtype, f"type {dtype}")
    return Entry(name, shape, shard, offset, size, crc32c, sliced)


def _parse_shape(message: int | memoryview) -> tuple[int, ...]:
    """A TensorShapeProto."""
    shape = []
    for field, dimension in _fields(message):
        if field == 2:
            sizes = [_number(value) for number, value in _fields(dimension) if number == 1]
            shape.append(sizes[-1] if sizes else 0)
        if len(shape) > _MOST_DIMENSIONS:
            raise _Unreadable(f"a variable has more than {_MOST_DIMENSIONS} dimensions")
    return tuple(shape)


def _fields(message: int | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The field numbers and values of a protocol buffer: numbers, or bytes."""
    if isinstance(message, int):
        raise _Unreadable(f"a number is where a record should be; {_DAMAGED}")
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, position = _varint(message, position)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise _Unreadable(f"it has a field of the unknown kind {kind}; {_DAMAGED}")
        content, position = _cut(message, position, size), position + size
        yield tag >> 3, content if kind == 2 else int.from_bytes(content, "little")


def _number(value: int | memoryview) -> int:
    if isinstance(value, int):
        return value
    raise _Unreadable(f"a record is where a number should be; {_DAMAGED}")


# The index: its table

_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57


def _table(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a table, in their order."""
    footer = content[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise _Unreadable(
            "its end is not that of a table; it is truncated or not the index of a TensorFlow "
            "checkpoint"
        )
    _, position = _handle(footer, 0)  # of a block about the table, which TensorFlow leaves empty
    index, _ = _handle(footer, position)
    end = 0
    for _, value in _block(content, *index):
        (offset, size), _ = _handle(value, 0)
        if offset < end:
            raise _Unreadable(f"its blocks overlap; {_DAMAGED}")
        end = offset + size
        yield from _block(content, offset, size)


def _handle(data: memoryview, position: int) -> tuple[tuple[int, int], int]:
    """The offset and size of a block, and the position after them."""
    offset, position = _varint(data, position)
    size, position = _varint(data, position)
    return (offset, size), position


def _block(content: memoryview, offset: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a block, after its checksum is verified."""
    # After the block: one byte for its compression, four for the checksum of all before them.
    verified = _cut(content, offset, size + 1)
    checksum = int.from_bytes(_cut(content, offset + size + 1, 4), "little")
    if _masked(_crc32c(verified)) != checksum:
        raise _Unreadable(f"the checksum of the block at byte {offset:,} is wrong; {_DAMAGED}")
    if verified[size]:
        kind = "snappy" if verified[size] == 1 else f"method {verified[size]}"
        raise _Unreadable(
            f"it is compressed ({kind}), which is not supported and which TensorFlow does not do; "
            "save the checkpoint again with TensorFlow"
        )
    # Keys leave out what they share with the key before. Restarts, which share nothing, are listed
    # at the end for binary search.
    n_restarts = int.from_bytes(_cut(verified, size - 4, 4), "little")
    if 4 * n_restarts + 4 > size:
        raise _Unreadable(f"a block of {size:,} bytes has {n_restarts:,} restarts; {_DAMAGED}")
    entries = verified[: size - 4 - 4 * n_restarts]
    key, position = b"", 0
    while position < len(entries):
        n_shared, position = _varint(entries, position)
        n_own, position = _varint(entries, position)
        n_value, position = _varint(entries, position)
        if n_shared > len(key):
            raise _Unreadable(f"a name shares more with the one before than it has; {_DAMAGED}")
        if n_shared + n_own > _MOST_NAME_BYTES:
            size = n_shared + n_own
            raise _Unreadable(f"a name has {size:,} bytes, expected at most {_MOST_NAME_BYTES}")
        key = key[:n_shared] + bytes(_cut(entries, position, n_own))
        value = _cut(entries, position + n_own, n_value)
        position += n_own + n_value
        yield key, value


def _cut(data: memoryview, start: int, size: int) -> memoryview:
    """``size`` bytes of ``data``, which must be there."""
    if start < 0 or start + size > len(data):
        raise _Unreadable(
            f"it expects {counted(size, 'byte')} at byte {start:,} of {len(data):,}; {_DAMAGED}"
        )
    return data[start : start + size]


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """A number of 7 bits a byte, the lowest first, and the position after it."""
    number = 0
    for shift in range(0, 64, 7):
        byte = _cut(data, position, 1)[0]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise _Unreadable(f"a number has more than 64 bits; {_DAMAGED}")


# Checksums


@functools.cache
def _crc32c_table() -> tuple[int, ...]:
    """What each byte does to the checksum: the polynomial 0x1EDC6F41 with its bits reversed."""
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


def _crc32c(data: memoryview) -> int:
    table, crc = _crc32c_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(crc: int) -> int:
    """A checksum as it is stored: a checksum of bytes that hold checksums would be weak."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _fast_crc32c() -> Callable[[int, bytes], int] | None:
    """The function of google-crc32c that adds bytes to a checksum, if it is installed in C."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # without C it warns that it is slow
            import google_crc32c
    except ImportError:
        return None
    return google_crc32c.extend if google_crc32c.implementation == "c" else None
