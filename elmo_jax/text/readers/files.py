"""Files by name and pattern, and what is in them, whether or not they are compressed."""

from __future__ import annotations

import contextlib
import glob
import gzip
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from ...errors import ElmoError
from .unpacking import open_bz2, open_xz, open_zstd

READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a damaged file raises, compressed or not."""

Files = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


STDIN = Path("-")
"""What stands for standard input."""


def find_files(files: Files, *, or_stdin: bool = False) -> tuple[Path, ...]:
    """The files that paths and glob patterns name.

    A path comes as often as it is named. A pattern stands for its matches in sorted order, without
    files that are named themselves or were matched before, under whatever name.

    Args:
        files: a path or pattern, or several.
        or_stdin: "-" stands for standard input.

    Raises:
        ElmoError: for a path that does not exist, a folder, or a pattern without a match.
    """
    named = [files] if isinstance(files, str | os.PathLike) else list(files)
    names = [os.fspath(item) for item in named]
    seen = {_identity(name) for name in names if Path(name).exists()}
    found: list[Path] = []
    for name in names:
        if (or_stdin and name == "-") or Path(name).exists():
            found.append(Path(name))
            continue
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - takes absolute patterns
        if not matches:
            raise ElmoError(
                f"No such file: {name!r}. There is no such file here ({Path.cwd()}), nor one "
                "that matches it as a pattern."
            )
        for match in matches:
            if _identity(match) not in seen:
                seen.add(_identity(match))
                found.append(Path(match))
    folders = [str(path) for path in found if path.is_dir()]
    if folders or not names:
        raise ElmoError(
            f"Expected text files, got {'the folder ' + folders[0] if folders else 'none'}. "
            "Name files, or a pattern such as 'corpus/*.txt.bz2'."
        )
    return tuple(found)


def _identity(name: str) -> object:
    """The same for all names of one file: links lead to it."""
    try:
        status = Path(name).stat()
    except OSError:  # a link to nowhere, which is an error when it is opened
        return name
    return status.st_dev, status.st_ino


def open_file(path: Path) -> IO[bytes]:
    """Open a file to read; what its suffix says is compressed is unpacked.

    Raises:
        ElmoError: if it cannot be opened, is compressed twice, or ``.zst`` cannot be read here.
    """
    without_compression(path.name)
    opener: Callable[[Path, str], Any] = _OPENERS.get(path.suffix.lower(), open)
    try:
        file: IO[bytes] = opener(path, "rb")
    except OSError as error:
        raise ElmoError(f"Cannot read {path}: {error.strerror or error}.") from None
    return file


def without_compression(name: str) -> str:
    """The name that the file would have if it were not compressed.

    Raises:
        ElmoError: if it is compressed twice.
    """
    path = Path(name)
    if path.suffix.lower() not in _OPENERS:
        return path.name
    if Path(path.stem).suffix.lower() in _OPENERS:
        raise ElmoError(f"{name} is compressed twice by its suffixes. Unpack it once first.")
    return path.stem


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what a damaged file raises while it is read into an ElmoError that names it.

    Raises:
        ElmoError: see above.
    """
    try:
        yield
    except READ_ERRORS as error:
        raise ElmoError(f"Cannot read {name} to its end: {error}. Is it complete?") from None


_OPENERS: dict[str, Any] = {
    ".gz": gzip.open,
    ".xz": open_xz,
    ".bz2": open_bz2,
    ".zst": open_zstd,
}
