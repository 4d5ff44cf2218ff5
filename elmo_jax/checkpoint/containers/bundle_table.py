"""Tables of LevelDB and messages of protocol buffers: the bytes of a checkpoint's index.

A table is a sequence of sorted keys and their values, in blocks with checksums. Source of the
format: table/format.cc of LevelDB.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import counted
from .crc32c import crc32c, masked

DAMAGED = "it is damaged; copy or download it again"
"""What to do about most of what is wrong."""

_MOST_NAME_BYTES = 256
_FOOTER_BYTES = 48
_MAGIC = 0xDB4775248B80FB57


class BundleError(Exception):
    """What is wrong with a file of a checkpoint; the caller says with which."""


def table_of(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """The keys and values of a table, in their order."""
    footer = content[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise BundleError(
            "its end is not that of a table; it is truncated or not the index of a TensorFlow "
            "checkpoint"
        )
    _, position = _handle(footer, 0)  # of a block about the table, which TensorFlow leaves empty
    index, _ = _handle(footer, position)
    end = 0
    for _, value in _block(content, *index):
        (offset, size), _ = _handle(value, 0)
        if offset < end:
            raise BundleError(f"its blocks overlap; {DAMAGED}")
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
    if masked(crc32c(verified)) != checksum:
        raise BundleError(f"the checksum of the block at byte {offset:,} is wrong; {DAMAGED}")
    if verified[size]:
        kind = "snappy" if verified[size] == 1 else f"method {verified[size]}"
        raise BundleError(
            f"it is compressed ({kind}), which is not supported and which TensorFlow does not do; "
            "save the checkpoint again with TensorFlow"
        )
    # Keys leave out what they share with the key before. Restarts, which share nothing, are listed
    # at the end for binary search.
    n_restarts = int.from_bytes(_cut(verified, size - 4, 4), "little")
    if 4 * n_restarts + 4 > size:
        raise BundleError(f"a block of {size:,} bytes has {n_restarts:,} restarts; {DAMAGED}")
    entries = verified[: size - 4 - 4 * n_restarts]
    key, position = b"", 0
    while position < len(entries):
        n_shared, position = _varint(entries, position)
        n_own, position = _varint(entries, position)
        n_value, position = _varint(entries, position)
        if n_shared > len(key):
            raise BundleError(f"a name shares more with the one before than it has; {DAMAGED}")
        if n_shared + n_own > _MOST_NAME_BYTES:
            size = n_shared + n_own
            raise BundleError(f"a name has {size:,} bytes, expected at most {_MOST_NAME_BYTES}")
        key = key[:n_shared] + bytes(_cut(entries, position, n_own))
        value = _cut(entries, position + n_own, n_value)
        position += n_own + n_value
        yield key, value


def _cut(data: memoryview, start: int, size: int) -> memoryview:
    """``size`` bytes of ``data``, which must be there."""
    if start < 0 or start + size > len(data):
        raise BundleError(
            f"it expects {counted(size, 'byte')} at byte {start:,} of {len(data):,}; {DAMAGED}"
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
    raise BundleError(f"a number has more than 64 bits; {DAMAGED}")


# Messages


def fields_of(message: int | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The field numbers and values of a protocol buffer: numbers, or bytes."""
    if isinstance(message, int):
        raise BundleError(f"a number is where a record should be; {DAMAGED}")
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
            raise BundleError(f"it has a field of the unknown kind {kind}; {DAMAGED}")
        content, position = _cut(message, position, size), position + size
        yield tag >> 3, content if kind == 2 else int.from_bytes(content, "little")


def number_of(value: int | memoryview) -> int:
    """The value of a field that must be a number."""
    if isinstance(value, int):
        return value
    raise BundleError(f"a record is where a number should be; {DAMAGED}")
