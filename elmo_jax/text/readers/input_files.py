"""Input files: found by name or pattern, and opened."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from ...errors import ElmoError, shortened
from .stored_bytes import compression_of, is_compressed, open_stored

Files = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

STDIN = Path("-")


def find_files(files: Files, *, or_stdin: bool = False) -> tuple[Path, ...]:
    """The files that paths and glob patterns name.

    A path is included as often as it is named. A pattern adds its matches in sorted order, except
    files that are named themselves or were matched before, under whatever name. With ``or_stdin``
    a path may also be what can be read only once: "-", standard input, or a pipe.

    Raises:
        ElmoError: for a path that does not exist or is no file, such as a folder or a device, or a
            pattern without a match.
    """
    names = _names(files)
    seen = {_identity(status) for name in names if (status := _status(name))}
    paths: list[Path] = []
    for name in names:
        if (or_stdin and name == "-") or _status(name):
            paths.append(Path(name))
            continue
        matches = [] if "\0" in name else sorted(glob.glob(name, recursive=True))  # noqa: PTH207
        if not matches:
            raise ElmoError(
                f"No such file: {name[:_SHOWN]!r}. No file here ({_here()}) has this name or "
                "matches it as a pattern."
            )
        for match in matches:
            status = _status(match)  # None for a link to nowhere; opening it will be an error
            if status is None or _identity(status) not in seen:
                seen |= {_identity(status)} if status else set()
                paths.append(Path(match))
    for path in paths:
        _check_kind(path, or_stdin)
    return tuple(paths)


def is_pipe(path: Path) -> bool:
    """Whether a path is a pipe, from which everything is read once."""
    status = _status(str(path))
    return status is not None and stat.S_ISFIFO(status.st_mode)


def _names(files: Files) -> list[str]:
    items = [files] if isinstance(files, str | bytes | os.PathLike) else files
    if not isinstance(items, Iterable):
        raise ElmoError(f"Expected paths of files, got {type(files).__name__} {shortened(files)}.")
    names = [os.fspath(item) if isinstance(item, os.PathLike) else item for item in items]
    for name in names:
        if not isinstance(name, str):
            raise ElmoError(
                f"Expected a path as str or Path, got {type(name).__name__} {shortened(name)}."
            )
    if not names:
        raise ElmoError(f"Expected text files, got none. {_EXAMPLE}")
    return names


_SHOWN = 300  # characters of a name: it may be a text, given by mistake
_EXAMPLE = "Name files, or a pattern such as 'corpus/*.txt.bz2'."


def _status(name: str) -> os.stat_result | None:
    """What the system says about a path, or None if nothing is there."""
    try:
        return os.stat(name)  # noqa: PTH116 - Path("") would be the current folder
    except PermissionError as error:
        raise ElmoError(f"Cannot read {name}: {error.strerror}.") from None
    except (OSError, ValueError):  # also names that no file can have, such as patterns on Windows
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    """The same value for all names of one file: it may have links."""
    return status.st_dev, status.st_ino


def _check_kind(path: Path, or_stdin: bool) -> None:
    status = None if path == STDIN and or_stdin else _status(str(path))
    if status is None or stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        is_model = any((path / name).is_file() for name in ("config.json", "options.json"))
        model = " It holds a model, not text." if is_model else ""
        raise ElmoError(f"Expected text files, got the folder {str(path)!r}. {_EXAMPLE}{model}")
    if stat.S_ISFIFO(status.st_mode):
        if or_stdin:
            return
        raise ElmoError(
            f"{path} is a pipe, and what is read from it cannot be read again. Write the text to "
            "a file."
        )
    kind = "a socket" if stat.S_ISSOCK(status.st_mode) else "a device"
    raise ElmoError(f"Expected text files, got {kind}: {path}. {_EXAMPLE}")


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return "this folder is gone"


def open_file(path: Path) -> IO[bytes]:
    """Open a file to read. A compressed one, by its suffix, is decompressed.

    Reads raise BrokenFile if the file cannot be read to its end.

    Raises:
        ElmoError: if it cannot be opened, or its suffixes name two compressions.
    """
    without_compression(path.name)
    try:
        return open_stored(path, compression_of(path.suffix.lower(), str(path)))
    except OSError as error:
        raise ElmoError(f"Cannot read {path}: {error.strerror or error}.") from None


def without_compression(name: str) -> str:
    """The name that a file would have if it were not compressed."""
    path = Path(name)
    if not is_compressed(path.suffix.lower()):
        return path.name
    if is_compressed(Path(path.stem).suffix.lower()):
        raise ElmoError(f"{name} is compressed twice by its suffixes. Decompress it once first.")
    return path.stem
