"""Files on a server: where they are, and how to tell whether the right files arrived."""

from __future__ import annotations

import functools
import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from ..errors import ElmoError
from ..files import sha256_of
from ..json_text import parse_json_object


@dataclass(frozen=True)
class ZipMember:
    """A file in a zip, in any folder of it, with its size in bytes and SHA-256."""

    name: str
    size: int
    sha256: str

    def problem(self, path: Path) -> str | None:
        """What the zip at ``path`` has instead of this file, or None if nothing is wrong."""
        try:
            with zipfile.ZipFile(path) as archive:
                return self._problem_in(archive)
        except Exception as error:  # a damaged zip raises anything, also zlib.error and EOFError
            return f"a zip with a damaged {self.name} ({error})"

    def _problem_in(self, archive: zipfile.ZipFile) -> str | None:
        names = [name for name in archive.namelist() if PurePosixPath(name).name == self.name]
        if len(names) != 1:
            return f"a zip with {len(names)} files called {self.name}"
        size = archive.getinfo(names[0]).file_size
        if size != self.size:
            return f"a zip with a {self.name} of {size:,} bytes"
        with archive.open(names[0]) as file:
            digest = _digest(file)
        return None if digest == self.sha256 else f"a zip with a {self.name} of sha256 {digest}"


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server, with its size in bytes and SHA-256 if they are known.

    For a zip, ``member`` may be known instead: the size and SHA-256 of a file in it.
    """

    url: str
    size: int | None = None
    sha256: str | None = None  # 64 lower-case hexadecimal digits
    member: ZipMember | None = None

    @property
    def expectation(self) -> str:
        """What is known about the bytes, for error messages."""
        size = "size not known" if self.size is None else f"{self.size:,} bytes"
        digest = "sha256 not known" if self.sha256 is None else f"sha256 {self.sha256}"
        parts = [size, digest]
        if self._kind is not None:
            parts.append(self._kind.name)
        if self.member is not None:
            parts.append(
                f"with a {self.member.name} of {self.member.size:,} bytes, "
                f"sha256 {self.member.sha256}"
            )
        return ", ".join(parts)

    def problem(self, path: Path, *, check_hash: bool = True) -> str | None:
        """What is at ``path`` instead of this file, or None if nothing is wrong.

        Only ``check_hash`` compares a SHA-256, for which the whole file must be read.
        """
        if not path.is_file():
            return "something that is not a file"
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"{size:,} bytes{_beginning(path)}"
        if check_hash and self.sha256 is not None and (digest := sha256_of(path)) != self.sha256:
            return f"{size:,} bytes with sha256 {digest}{_beginning(path)}"
        if self._kind is not None and not self._kind.holds(path):
            return f"{size:,} bytes that are not {self._kind.name}{_beginning(path)}"
        if check_hash and self.member is not None:
            return self.member.problem(path)
        return None

    @property
    def shows_its_end(self) -> bool:
        """Whether ``problem`` notices that the end is missing, even if the server says no size."""
        has_end = self._kind is not None and self._kind.has_end
        return has_end or self.size is not None or self.sha256 is not None

    @property
    def _kind(self) -> _Kind | None:
        return _KINDS.get(PurePosixPath(self.url).suffix)


@dataclass(frozen=True)
class PublishedModel:
    """A model on a server: its files, by their names in the model's folder.

    A model with a single file is an archive. ``name`` is the folder in the cache. ``remark`` is
    added to the error if a download fails. ``tokenizer`` names what splits raw text as the model's
    training text was split, None if that is not known.
    """

    name: str
    files: Mapping[str, RemoteFile]
    remark: str = ""
    tokenizer: str | None = None

    def path(self, folder: Path) -> Path:
        """What to open once all files are in ``folder``: the archive if any, else the folder."""
        return folder / next(iter(self.files)) if len(self.files) == 1 else folder


def _digest(file: IO[bytes]) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


class _Kind(NamedTuple):
    """What files with some suffix are: in words, and as a check of a file."""

    name: str
    holds: Callable[[Path], bool]
    has_end: bool = False  # whether ``holds`` is False for a file that was cut off


_MOST_JSON_BYTES = 100_000_000


def _holds_json_object(path: Path) -> bool:
    if path.stat().st_size > _MOST_JSON_BYTES:
        return False
    try:
        parse_json_object(path.read_bytes(), str(path))
    except ElmoError:
        return False
    return True


def _starts_with(beginning: bytes, path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(beginning)) == beginning


# A server may send its page for an error, or for logging in, as if it were the file.
_KINDS = {
    ".json": _Kind("a JSON object", _holds_json_object, has_end=True),
    ".hdf5": _Kind("an HDF5 file", functools.partial(_starts_with, b"\x89HDF\r\n\x1a\n")),
    ".zip": _Kind("a zip", zipfile.is_zipfile, has_end=True),  # the list of its files is at its end
    ".gz": _Kind("a gzip file", functools.partial(_starts_with, b"\x1f\x8b")),
}


def _beginning(path: Path, length: int = 60) -> str:
    """The start of a file that is text, quoted: often it is a server's error page."""
    with path.open("rb") as file:
        head = file.read(length).decode("utf-8", errors="replace")
    if not head or not all(c.isprintable() or c.isspace() for c in head) or "\ufffd" in head:
        return ""
    return f", beginning {' '.join(head.split())!r}"
