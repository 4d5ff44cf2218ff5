"""Zstandard files (``.zst``) to read, through the optional package ``zstandard``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..optional import optional_module

_CHUNK = 1 << 17


def open_zstd(path: Path, mode: str = "rb") -> IO[bytes]:
    """Open a ``.zst`` file to read; it may consist of several frames, as parallel tools write it.

    Raises:
        ElmoError: if the package ``zstandard`` is not installed.
        OSError: if the file cannot be opened, and from reads if it is damaged or breaks off.
    """
    zstandard = optional_module("zstandard", f"reading {path}", "zstd")
    return io.BufferedReader(_Unpacked(path.open(mode), zstandard))


class _Unpacked(io.RawIOBase):
    """What ``io.BufferedReader`` reads from. The package's own reader overlooks a missing end."""

    def __init__(self, packed: IO[bytes], zstandard: Any) -> None:
        self._packed, self._zstandard = packed, zstandard
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
        frame: Any = None
        rest = b""
        while packed := rest or self._packed.read(_CHUNK):
            frame = frame or self._zstandard.ZstdDecompressor().decompressobj()
            try:
                unpacked = frame.decompress(packed)
            except self._zstandard.ZstdError as error:
                raise OSError(str(error)) from None
            rest = b""
            if frame.eof:
                frame, rest = None, frame.unused_data
            if unpacked:
                yield unpacked
        if frame is not None:
            raise EOFError("the compressed data breaks off before its end")
