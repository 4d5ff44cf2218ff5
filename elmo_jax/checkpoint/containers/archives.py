"""The files in a zip or tar, which may come from anywhere and claim anything.

Only regular files with names inside the archive are accepted, and sizes are checked before and
while an archive is decompressed.
"""

from __future__ import annotations

import bz2
import contextlib
import dataclasses
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from ...errors import ElmoError
from .zip_directory import LargeDirectory, SmallDirectoryFile

_MOST_ENTRIES = 10_000
"""Archives of models have a few dozen; each entry costs memory before anything is unpacked."""

_MOST_EXPANSION, _ALWAYS_EXPANDED = 20, 10**8
"""The files in an archive may have 20 times the bytes of the archive, or 100 MB if that is more.
Weights hardly shrink, so more is an archive that was made to fill a disk or the memory, or to keep
a processor busy."""

_MOST_HEADER, _MOST_HEADERS = 1 << 14, 1 << 20
"""Bytes of one long header of a tar, and of all. Real ones have less than a block or two; Python's
module takes a time for each that grows with the square of its size."""

_CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_MOST_LISTED = 5

_TARS: dict[str, tuple[bytes, Callable[[Path], Any]]] = {
    "tar.gz": (b"\x1f\x8b", gzip.GzipFile),
    "tar.bz2": (b"BZh", bz2.BZ2File),
    "tar.xz": (b"\xfd7zXZ\x00", lzma.LZMAFile),
    "tar": (b"", lambda path: path.open("rb")),
}
"""The kinds of tar: the first bytes of the file, and what reads the tar in it."""

ARCHIVE_KINDS = ("zip", *sorted(_TARS))

# What Python's modules raise for damaged archives, and for those of a kind that they cannot read.
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    OverflowError,
    MemoryError,  # a header of xz may claim gigabytes for a window
    struct.error,
)


@dataclasses.dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: its POSIX path in the archive, without ``.`` and ``..``.
        size: how many bytes the archive claims that it has.
        position: where it lies; compressed tars are read fastest in this order.
        chunks: yields its bytes, never more than ``size``; an ElmoError if they are damaged.
    """

    name: str
    size: int
    position: int
    chunks: Callable[[], Iterator[bytes]]


def archive_kind(path: Path) -> str | None:
    """One of ``ARCHIVE_KINDS`` by the content of the file, or None for any other file."""
    with path.open("rb") as file:
        head = file.read(_BLOCK)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):  # the second is a zip without files
        return "zip"
    for kind, (magic, open_tar) in _TARS.items():
        if head.startswith(magic):
            with _reading(path, kind), open_tar(path) as file:
                return kind if _is_tar_header(file.read(_BLOCK)) else None
    return None


@contextlib.contextmanager
def open_archive(path: Path, kind: str) -> Iterator[dict[str, Member]]:
    """The files in an archive by name, without dot files and what macOS adds.

    Raises:
        ElmoError: if the archive is damaged or encrypted, or has links, devices, or names that
            lead out of it.
    """
    with contextlib.ExitStack() as stack:
        with _reading(path, kind):
            list_entries = _zip_entries if kind == "zip" else _tar_entries
            entries = list_entries(path, kind, stack)
        yield _members(path, kind, entries)


@dataclasses.dataclass(frozen=True)
class _Entry:
    """An entry of an archive that is not a folder, as the archive describes it."""

    name: str
    size: int
    position: int
    problem: str | None  # why it cannot be unpacked
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    chunk: int = _CHUNK


def _members(path: Path, kind: str, entries: list[_Entry]) -> dict[str, Member]:
    members, problems = {}, []
    for entry in entries:
        # Archives from Windows may have backslashes.
        name = PurePosixPath(entry.name.replace("\\", "/"))
        if problem := _name_problem(name, entry.name) or entry.problem:
            problems.append(f"{entry.name!r} ({problem})")
        elif not any(map(_is_ignored, name.parts)):
            # The last of equal names counts, as when an archive is unpacked.
            members[str(name)] = _member(path, kind, str(name), entry)
    if problems:
        more = len(problems) - _MOST_LISTED
        listed = ", ".join(problems[:_MOST_LISTED]) + (f" and {more:,} more" if more > 0 else "")
        raise ElmoError(
            f"The {kind} {path} has entries that are not opened: {listed}. Expected plain files "
            "only, below the folder that was packed. If you trust it, unpack it and name the "
            "folder."
        )
    return members


def _name_problem(name: PurePosixPath, original: str) -> str | None:
    if name.is_absolute() or ".." in name.parts or PureWindowsPath(original).drive:
        return "outside the archive"
    return "no name of a file" if not name.parts or "\0" in original else None


def _is_ignored(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"


def _member(path: Path, kind: str, name: str, entry: _Entry) -> Member:
    def chunks() -> Iterator[bytes]:
        left = entry.size
        with _reading(path, kind), entry.open() as file:
            while left > 0:
                chunk = file.read(min(left, entry.chunk))
                if not chunk:
                    raise EOFError(f"{name} is shorter than the archive says")
                left -= len(chunk)
                yield chunk

    return Member(name, entry.size, entry.position, chunks)


@contextlib.contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    """Report what goes wrong in the block as a problem of the archive."""
    try:
        yield
    except ElmoError:
        raise
    except _ARCHIVE_ERRORS as error:
        # zipfile raises EOFError without a message.
        problem = str(error) or "it ends too early"
        raise ElmoError(
            f"Cannot read the {kind} {path}: {problem}. If it is damaged, download it again."
        ) from None


def _most_bytes(path: Path) -> int:
    """How many bytes the files in an archive may have."""
    return max(_MOST_EXPANSION * path.stat().st_size, _ALWAYS_EXPANDED)


def _check_number(path: Path, kind: str, number: int) -> None:
    if number > _MOST_ENTRIES:
        raise ElmoError(
            f"The {kind} {path} has more than {_MOST_ENTRIES:,} entries; expected the files of one "
            "model. If you trust it, unpack it and name the folder of the model."
        )


# Zip


def _zip_entries(path: Path, kind: str, stack: contextlib.ExitStack) -> list[_Entry]:
    try:
        directory = stack.enter_context(SmallDirectoryFile(path))
        archive = stack.enter_context(zipfile.ZipFile(directory))
    except LargeDirectory:
        _check_number(path, kind, _MOST_ENTRIES + 1)
        raise
    except zipfile.BadZipFile:
        if zipfile.is_zipfile(path):
            raise
        # A zip's directory is at its end.
        raise ElmoError(f"The zip {path} is truncated; copy or download it again.") from None
    infos = [info for info in archive.infolist() if not info.is_dir()]
    _check_number(path, kind, len(archive.infolist()))
    claimed, most = sum(info.file_size for info in infos), _most_bytes(path)
    if claimed > most:
        raise zipfile.BadZipFile(
            f"it claims to have {claimed:,} bytes, more than the {most:,} that are plausible for a "
            "file of its size"
        )
    if encrypted := [info.filename for info in infos if info.flag_bits & 1]:
        raise ElmoError(
            f"The zip {path} is encrypted ({encrypted[0]!r} needs a password). Unpack it, and name "
            "the folder."
        )
    return [_zip_entry(archive, info) for info in infos]


def _zip_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Entry:
    # zipfile bounds what it decompresses at once by the number of bytes asked for only for these
    # two; for the others, by how many compressed bytes go in, which are about as many.
    streams = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    return _Entry(
        info.filename,
        info.file_size,
        info.header_offset,
        _zip_problem(info),
        lambda: archive.open(info),
        _CHUNK if streams else 4096,
    )


def _zip_problem(info: zipfile.ZipInfo) -> str | None:
    file_type = stat.S_IFMT(info.external_attr >> 16)  # 0 from tools that do not set it
    if file_type == stat.S_IFLNK:
        return "a link"
    return None if file_type in (0, stat.S_IFREG) else "a device or pipe"


# Tar


def _is_tar_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _tar_entries(path: Path, kind: str, stack: contextlib.ExitStack) -> list[_Entry]:
    """One pass through the whole tar, which also checks the checksums of its compression."""
    _, open_tar = _TARS[kind]
    stream = _TarStream(stack.enter_context(open_tar(path)), _most_bytes(path))
    entries: list[_Entry] = []
    with tarfile.TarFile(fileobj=stream) as archive:  # type: ignore[arg-type]
        for number, info in enumerate(archive, 1):
            _check_number(path, kind, number)
            if not info.isdir():
                entries.append(_tar_entry(stream, info))
        # tarfile takes a damaged header for the end.
        stream.seek(archive.offset)
        if stream.read(_BLOCK).strip(b"\0"):
            raise tarfile.ReadError(f"damaged header at byte {archive.offset:,}")
    stream.reads_headers = False
    while stream.read(_CHUNK):
        pass
    return entries


def _tar_entry(stream: _TarStream, info: tarfile.TarInfo) -> _Entry:
    @contextlib.contextmanager
    def open_entry() -> Iterator[Any]:
        stream.seek(info.offset_data)
        yield stream

    return _Entry(info.name, info.size, info.offset_data, _tar_problem(info), open_entry)


def _tar_problem(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return f"a link to {info.linkname!r}"
    if info.issparse():
        return "a sparse file"
    if info.size < 0:
        return "a negative size"
    return None if info.isreg() else "a device or pipe"


class _TarStream:
    """The bytes of a tar, bounded: ``tarfile`` reads and skips whatever an archive claims."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self._file, self._most, self._n_header_bytes = file, most, 0
        self.reads_headers = True

    def read(self, size: int) -> bytes:
        if self.reads_headers and size != _BLOCK:  # names and extended headers are read whole
            self._n_header_bytes += size
            if not 0 <= size <= _MOST_HEADER or self._n_header_bytes > _MOST_HEADERS:
                raise tarfile.ReadError(f"a header claims {size:,} bytes")
        self._check(self._file.tell())
        return self._file.read(size)

    def seek(self, position: int) -> None:
        self._check(position)
        self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()

    def _check(self, position: int) -> None:
        if not 0 <= position <= self._most:
            raise tarfile.ReadError(
                f"it claims to have {position:,} bytes, more than the {self._most:,} that are "
                "plausible for a file of its size"
            )
