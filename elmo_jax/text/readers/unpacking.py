"""``.bz2``, ``.xz`` and ``.zst`` files to read to their very end.

They may consist of several streams, as parallel tools write them. Python's own readers of the first
two end without a word where other bytes follow a stream, as where a plain file was added to one;
that of the package ``zstandard`` overlooks a missing end.
"""

from __future__ import annotations

import bz2
import io
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from ...errors import optional_module

_CHUNK = 1 << 17


def open_bz2(path: Path, mode: str = "rb") -> IO[bytes]:
    """Open a ``.bz2`` file to read; raises as ``open_zstd``."""
    return io.BufferedReader(_Unpacked(path.open(mode), bz2.BZ2Decompressor))


def open_xz(path: Path, mode: str = "rb") -> IO[bytes]:
    """Open an ``.xz`` file to read; raises as ``open_zstd``."""
    return io.BufferedReader(_Unpacked(path.open(mode), lzma.LZMADecompressor))


def open_zstd(path: Path, mode: str = "rb") -> IO[bytes]:
    """Open a ``.zst`` file to read.

    Raises:
        ElmoError: if the package ``zstandard`` is not installed.
        OSError: if the file cannot be opened, and from reads if it is damaged or breaks off.
    """
    zstandard = optional_module("zstandard", f"reading {path}", "zstd")

    def new_stream() -> Any:
        return zstandard.ZstdDecompressor().decompressobj()

    return io.BufferedReader(_Unpacked(path.open(mode), new_stream, zstandard.ZstdError))


class _Unpacked(io.RawIOBase):
    """What ``io.BufferedReader`` reads from."""

    def __init__(
        self,
        packed: IO[bytes],
        new_stream: Callable[[], Any],
        error: type[Exception] = lzma.LZMAError,
    ) -> None:
        self._packed, self._new_stream, self._error = packed, new_stream, error
        self._chunks = self._unpack()
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """See ``io.RawIOBase``."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See ``io.RawIOBase``."""
        if not self._ready:
            self._ready = memoryview(next(self._chunks, b""))
        n = min(len(buffer), len(self._ready))
        buffer[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    def close(self) -> None:
        """See ``io.RawIOBase``."""
        self._packed.close()
        super().close()

    def _unpack(self) -> Iterator[bytes]:
        stream: Any = None
        rest = b""
        while packed := rest or self._packed.read(_CHUNK):
            rest = b""
            if stream is None:
                packed = packed.lstrip(b"\0")  # the padding that .xz may have between streams
                if not packed:
                    continue
                stream = self._new_stream()
            try:
                unpacked = stream.decompress(packed)
            except self._error as error:
                raise OSError(str(error)) from None
            if stream.eof:
                stream, rest = None, stream.unused_data
            if unpacked:
                yield unpacked
        if stream is not None:
            raise EOFError("the compressed data breaks off before its end")
