"""The bytes of a file as it is stored: all of them, or an error that says where they break off.

A compressed file may consist of several streams, as parallel tools write them. Python's own readers
take what follows a stream and is no stream for rubbish, and end there without a word: a damaged
second stream would be lost. Here nothing is passed over but a little padding.

What cannot be noticed: a file that lost whole streams at its end, and damage in a stream without a
checksum, which Zstandard's library and ``xz --check=none`` write.
"""

from __future__ import annotations

import bz2
import io
import lzma
import math
import os
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from ...errors import ElmoError, optional_module

_STORED_BYTES, _CONTENT_BYTES = 1 << 16, 1 << 18  # that are read, and made, at a time

# A decoder claims the memory that a stream's header asks for: at most this for xz. xz -9 needs
# 65 MiB, and Zstandard's own limit is 128 MiB.
_XZ_MEMORY = 256 << 20

# A few bytes of Zstandard can stand for 128 KiB each, and its decoder has no limit of its own.
_ZSTD_STEP = 1 << 8

# Zeros may fill up a file, but the shortest streams of gzip and xz have 20 and 32 bytes: more zeros
# may be all that is left of one.
_MOST_PADDING = 16

_SKIPPABLE_FRAMES = range(0x50, 0x60)  # first bytes of Zstandard's frames without content


class BrokenFile(ElmoError):
    """A file cannot be read to its end.

    Attributes:
        file: its name.
        problem: what is wrong.
        byte: how many bytes of the file, as it is stored, were read without a fault; if it is
            compressed, up to a block of 64 KiB before the fault.
        line: how many lines of its text were read before; None if it is not read by lines.
    """

    def __init__(self, file: str, problem: str, byte: int, line: int | None = None) -> None:
        super().__init__(file, problem, byte, line)
        self.file, self.problem, self.byte, self.line = file, problem, byte, line

    def __str__(self) -> str:
        lines = "" if self.line is None else f"after line {self.line:,}, "
        return (
            f"Cannot read {self.file} to its end: {self.problem} ({lines}near byte {self.byte:,} "
            "of the file). Is it complete?"
        )


class Compression(NamedTuple):
    """How the streams of a compressed file are decoded.

    ``feed`` gives a decoder some bytes, yields the content, and returns the bytes that it left.
    """

    name: str
    new_decoder: Callable[[], Any]
    feed: Callable[[Any, bytes], Generator[bytes, None, bytes]]
    errors: tuple[type[Exception], ...]
    padding_unit: int  # zeros behind a stream come in multiples of this; 0 if there may be none
    is_padded_between: bool  # whether another stream may follow them


def compression_of(suffix: str, name: str) -> Compression | None:
    """The compression that a suffix, such as ".gz", stands for; None for any other suffix.

    ``name`` is what an error calls the file if the package for its compression is missing.
    """
    if suffix == ".zst":
        zstd = optional_module("zstandard", f"reading {name}", "zstd")
        new = lambda: zstd.ZstdDecompressor().decompressobj()  # noqa: E731
        return Compression("Zstandard", new, _feed_zstd, (zstd.ZstdError,), 0, False)
    return _COMPRESSIONS.get(suffix)


def is_compressed(suffix: str) -> bool:
    """Whether a suffix names a compression."""
    return suffix == ".zst" or suffix in _COMPRESSIONS


def open_stored(path: Path, compression: Compression | None = None) -> IO[bytes]:
    """Open a file to read its bytes, decompressed; reads raise BrokenFile."""
    stored = io.BufferedReader(_Plain(path), _STORED_BYTES)
    if compression is None:
        return stored
    return io.BufferedReader(_Decompressed(stored, str(path), compression), _STORED_BYTES)


def view_of(file: IO[bytes], name: str) -> IO[bytes]:
    """Read a temporary file from its beginning; it may be read several times at once."""
    return io.BufferedReader(_View(file, name), _STORED_BYTES)


def check_unchanged(file: IO[bytes]) -> None:
    """Raise BrokenFile if a plain file from this module changed since it was opened.

    Reading to the end does so too, but some formats are read in another order.
    """
    raw = getattr(file, "raw", file)
    if isinstance(raw, _Plain):
        raw.check_unchanged()


def stored_position(file: IO[bytes]) -> int:
    """How far into the stored file a file from this module was read, up to a block."""
    raw = getattr(file, "raw", file)
    return int(getattr(raw, "stored_position", raw.tell)())


class _Plain(io.FileIO):
    """A file that is an error if it changes while it is read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._before = self._state()

    def readinto(self, buffer: Any) -> int:
        try:
            n = super().readinto(buffer) or 0
        except OSError as error:
            raise BrokenFile(str(self.name), error.strerror or str(error), self.tell()) from None
        if not n:
            self.check_unchanged()
        return n

    def check_unchanged(self) -> None:
        if self._state() != self._before:
            raise BrokenFile(str(self.name), "it changed while it was read", self.tell())

    def _state(self) -> tuple[int, int]:
        status = os.fstat(self.fileno())
        return status.st_size, status.st_mtime_ns


class _View(io.RawIOBase):
    """A temporary file from its beginning, at a place that other views do not share."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name, self._position = file, name, 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        try:
            self._file.seek(self._position)
            content = self._file.read(len(buffer))
        except OSError as error:
            raise BrokenFile(self._name, str(error), self._position) from None
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class _Decompressed(io.RawIOBase):
    """The content of a compressed file."""

    def __init__(self, stored: IO[bytes], name: str, compression: Compression) -> None:
        self._stored, self._name, self._compression = stored, name, compression
        self._contents = _gathered(self._decompress())
        self._unread = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._unread:
            self._unread = memoryview(next(self._contents, b""))
        n = min(len(buffer), len(self._unread))
        buffer[:n] = self._unread[:n]
        self._unread = self._unread[n:]
        return n

    def close(self) -> None:
        self._stored.close()
        super().close()

    def _decompress(self) -> Iterator[bytes]:
        compression, decoder, n_streams, padding = self._compression, None, 0, 0
        rest = b""  # read, but not yet decoded
        while rest := rest or self._stored.read(_STORED_BYTES):
            if decoder is None:
                if n_streams and compression.padding_unit:
                    rest, padding = self._without_padding(rest, padding)
                    if not rest:
                        continue
                decoder, padding = compression.new_decoder(), 0
                n_streams += rest[0] not in _SKIPPABLE_FRAMES
            try:
                rest = yield from compression.feed(decoder, rest)
            except compression.errors as error:
                raise self._broken(str(error), rest) from None
            if decoder.eof:
                decoder = None
        if decoder is not None or padding % (compression.padding_unit or 1):
            raise self._broken("the compressed data breaks off before its end")
        if not n_streams:
            raise self._broken(f"it has no {compression.name} data, not even of an empty text")

    def _without_padding(self, rest: bytes, padding: int) -> tuple[bytes, int]:
        """What follows zeros, and how many there are so far; ``padding`` were before."""
        stripped = rest.lstrip(b"\0")
        padding += len(rest) - len(stripped)
        if padding > _MOST_PADDING:
            raise self._broken("it has zeros where another stream may have been", stripped)
        unit = self._compression.padding_unit if self._compression.is_padded_between else math.inf
        if stripped and padding % unit:
            raise self._broken("it has zeros between its streams", stripped)
        return stripped, padding

    def stored_position(self) -> int:
        return self._stored.tell()

    def _broken(self, problem: str, rest: bytes = b"") -> BrokenFile:
        return BrokenFile(self._name, problem, self._stored.tell() - len(rest))


def _gathered(contents: Iterator[bytes]) -> Iterator[bytes]:
    """Join small contents, so that it makes no difference where streams end."""
    parts: list[bytes] = []
    size = 0
    try:
        for content in contents:
            parts.append(content)
            size += len(content)
            if size >= _STORED_BYTES:
                yield b"".join(parts)
                parts, size = [], 0
    except BrokenFile:
        if size:  # what was read before the fault comes first
            yield b"".join(parts)
        raise
    if size:
        yield b"".join(parts)


def _feed(decoder: Any, rest: bytes) -> Generator[bytes, None, bytes]:
    """For the decoders of the modules lzma and bz2."""
    yield decoder.decompress(rest, _CONTENT_BYTES)
    while not (decoder.eof or decoder.needs_input):
        yield decoder.decompress(b"", _CONTENT_BYTES)
    return bytes(decoder.unused_data)


def _feed_zlib(decoder: Any, rest: bytes) -> Generator[bytes, None, bytes]:
    content = None
    while not decoder.eof and (rest or content is None or len(content) == _CONTENT_BYTES):
        content = decoder.decompress(rest, _CONTENT_BYTES)
        rest = decoder.unconsumed_tail
        yield content
    return bytes(decoder.unused_data)


def _feed_zstd(decoder: Any, rest: bytes) -> Generator[bytes, None, bytes]:
    for start in range(0, len(rest), _ZSTD_STEP):
        end = start + _ZSTD_STEP
        yield decoder.decompress(rest[start:end])
        if decoder.eof:
            return bytes(decoder.unused_data) + rest[end:]
    return b""


def _xz_decoder() -> lzma.LZMADecompressor:
    # Not FORMAT_AUTO, to which a damaged header may look like the older .lzma.
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


_COMPRESSIONS = {
    ".gz": Compression("gzip", lambda: zlib.decompressobj(31), _feed_zlib, (zlib.error,), 1, False),
    ".xz": Compression("xz", _xz_decoder, _feed, (lzma.LZMAError,), 4, True),
    ".bz2": Compression("bzip2", bz2.BZ2Decompressor, _feed, (OSError, ValueError), 0, False),
}
