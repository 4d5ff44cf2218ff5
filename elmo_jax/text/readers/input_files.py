"""Input files: found by name or pattern, opened, and decompressed.

``.bz2``, ``.xz`` and ``.zst`` files may consist of several streams, as parallel tools write them.
Python's own readers of the first two stop silently where other bytes follow a stream, for instance
where a plain file was appended; the reader of the package ``zstandard`` overlooks a missing end. So
these files are decompressed here.
"""

from __future__ import annotations

import bz2
import contextlib
import glob
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from ...errors import ElmoError, optional_module

Files = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a damaged file raises, compressed or not."""

STDIN = Path("-")
_CHUNK_BYTES = 1 << 17


def find_files(files: Files, *, or_stdin: bool = False) -> tuple[Path, ...]:
    """The files that paths and glob patterns name; with ``or_stdin`` also "-", standard input.

    A path is included as often as it is named. A pattern adds its matches in sorted order, except
    files that are named themselves or were matched before, under whatever name.

    Raises:
        ElmoError: for a path that does not exist, a folder, or a pattern without a match.
    """
    patterns = [files] if isinstance(files, str | os.PathLike) else list(files)
    names = [os.fspath(pattern) for pattern in patterns]
    seen = {_identity(name) for name in names if Path(name).exists()}
    paths: list[Path] = []
    for name in names:
        if (or_stdin and name == "-") or Path(name).exists():
            paths.append(Path(name))
            continue
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - takes absolute patterns
        if not matches:
            raise ElmoError(
                f"No such file: {name!r}. There is no such file here ({Path.cwd()}), and none "
                "that matches it as a pattern."
            )
        for match in matches:
            if _identity(match) not in seen:
                seen.add(_identity(match))
                paths.append(Path(match))
    folders = [str(path) for path in paths if path.is_dir()]
    if folders or not names:
        raise ElmoError(
            f"Expected text files, got {'the folder ' + folders[0] if folders else 'none'}. "
            "Name files, or a pattern such as 'corpus/*.txt.bz2'."
        )
    return tuple(paths)


def _identity(name: str) -> object:
    """The same value for all names of one file: it may have links."""
    try:
        status = Path(name).stat()
    except OSError:  # a link to nowhere; opening it will be an error
        return name
    return status.st_dev, status.st_ino


def open_file(path: Path) -> IO[bytes]:
    """Open a file to read. A compressed one, by its suffix, is decompressed.

    Raises:
        ElmoError: if it cannot be opened, or its suffixes name two compressions.
    """
    without_compression(path.name)
    opener = _OPENERS.get(path.suffix.lower())
    try:
        return path.open("rb") if opener is None else opener(path)
    except OSError as error:
        raise ElmoError(f"Cannot read {path}: {error.strerror or error}.") from None


def without_compression(name: str) -> str:
    """The name that a file would have if it were not compressed."""
    path = Path(name)
    if path.suffix.lower() not in _OPENERS:
        return path.name
    if Path(path.stem).suffix.lower() in _OPENERS:
        raise ElmoError(f"{name} is compressed twice by its suffixes. Decompress it once first.")
    return path.stem


@contextlib.contextmanager
def explaining_read_errors(name: str) -> Iterator[None]:
    """Turn what a damaged file raises while it is read into an ElmoError that names the file."""
    try:
        yield
    except READ_ERRORS as error:
        raise ElmoError(f"Cannot read {name} to its end: {error}. Is it complete?") from None


def _open_zstd(path: Path) -> IO[bytes]:
    zstandard = optional_module("zstandard", f"reading {path}", "zstd")
    return io.BufferedReader(
        _Decompressed(
            path, lambda: zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError
        )
    )


_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".xz": lambda path: io.BufferedReader(_Decompressed(path, lzma.LZMADecompressor)),
    ".bz2": lambda path: io.BufferedReader(_Decompressed(path, bz2.BZ2Decompressor)),
    ".zst": _open_zstd,
}


class _Decompressed(io.RawIOBase):
    """The decompressed bytes of a file of one or more streams.

    ``new_stream`` makes a decompressor, which raises ``error`` for damaged data. Reads raise an
    OSError instead, and an EOFError if the file breaks off.
    """

    def __init__(
        self,
        path: Path,
        new_stream: Callable[[], Any],
        error: type[Exception] = lzma.LZMAError,
    ) -> None:
        self._compressed, self._new_stream, self._error = path.open("rb"), new_stream, error
        self._chunks = self._decompress()
        self._unread = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._unread:
            self._unread = memoryview(next(self._chunks, b""))
        n = min(len(buffer), len(self._unread))
        buffer[:n] = self._unread[:n]
        self._unread = self._unread[n:]
        return n

    def close(self) -> None:
        self._compressed.close()
        super().close()

    def _decompress(self) -> Iterator[bytes]:
        stream: Any = None
        leftover = b""  # read already, after the end of a stream
        while chunk := leftover or self._compressed.read(_CHUNK_BYTES):
            leftover = b""
            if stream is None:
                chunk = chunk.lstrip(b"\0")  # .xz allows padding between streams
                if not chunk:
                    continue
                stream = self._new_stream()
            try:
                content = stream.decompress(chunk)
            except self._error as error:
                raise OSError(str(error)) from None
            if stream.eof:
                stream, leftover = None, stream.unused_data
            if content:
                yield content
        if stream is not None:
            raise EOFError("the compressed data breaks off before its end")
