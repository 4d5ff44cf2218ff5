"""Text that may be compressed with gzip, read so that a small file cannot fill the memory."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from typing import IO

from ..errors import ElmoError

GZIP = b"\x1f\x8b"
"""The first bytes of a file that is compressed."""

_MOST_EXPANSION, _ALWAYS_EXPANDED = 20, 10**7
"""Text may have twenty times the bytes of its file, or 10 MB if that is more."""

_MOST_LINE = 1 << 20
"""Bytes of a line. A vector of 4,096 numbers takes about 90,000."""


def expanded(content: bytes, source: str) -> bytes:
    """What a file compressed with gzip contains.

    Raises:
        ElmoError: if it has far more bytes than the file.
        OSError, EOFError, zlib.error: if it is damaged.
    """
    most = most_expanded(len(content))
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise _too_large(source, most)
    return text


def most_expanded(n_bytes: int) -> int:
    """How many bytes the content of a compressed file of ``n_bytes`` may have."""
    return max(_MOST_EXPANSION * n_bytes, _ALWAYS_EXPANDED)


def lines_of(file: IO[bytes], source: str, most: int) -> Iterator[bytes]:
    """The lines of a file; ElmoError if one has no end, or all have more than ``most`` bytes."""
    left = most
    while line := file.readline(_MOST_LINE + 1):
        left -= len(line)
        if len(line) > _MOST_LINE:
            raise ElmoError(
                f"{source} has a line of more than {_MOST_LINE:,} bytes. Expected a word and its "
                "numbers in each line."
            )
        if left < 0:
            raise _too_large(source, most)
        yield line


def _too_large(source: str, most: int) -> ElmoError:
    return ElmoError(
        f"{source} expands to more than {most:,} bytes, which is not plausible for a file of its "
        "size. If you trust it, unpack it yourself."
    )
