"""CRC-32C, the checksum of TensorFlow's files, as util/crc32c.h of LevelDB masks it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable


@functools.cache
def _table() -> tuple[int, ...]:
    """What each byte does to the checksum: the polynomial 0x1EDC6F41 with its bits reversed."""
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


def crc32c(data: memoryview) -> int:
    """The checksum of some bytes, in pure Python."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """A checksum as it is stored: a checksum of bytes that hold checksums would be weak."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def fast_crc32c() -> Callable[[int, bytes], int] | None:
    """The function of google-crc32c that adds bytes to a checksum, if it is installed in C."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # without C it warns that it is slow
            import google_crc32c
    except ImportError:
        return None
    return google_crc32c.extend if google_crc32c.implementation == "c" else None
