"""Hashes of downloaded files: recorded once, and compared again when a file has changed.

A model's folder has two small files of ours. ``SHA256SUMS`` has the hashes that were not known
before the download, as ``sha256sum -c`` reads them. ``SHA256SUMS.stamps`` says which files had the
right hash at which size, time and inode, so that an unchanged file is not read for it again.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from ..files import atomic_file, sha256_of
from ..json_text import parse_json_object, to_json

SUMS, STAMPS = "SHA256SUMS", "SHA256SUMS.stamps"

_MOST_BYTES = 1_000_000
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def recorded_sums(folder: Path) -> dict[str, str]:
    """The hashes that are recorded in a folder, by file name.

    Raises:
        ElmoError: if ``SHA256SUMS`` is not what ``record_sum`` or ``sha256sum`` writes.
    """
    path = folder / SUMS
    sums = {}
    for number, line in enumerate(_text_of(path).splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None or Path(match[2]).name != match[2]:
            raise _damaged(path, f"line {number} is not a SHA-256 and a file name")
        sums[match[2]] = match[1]
    return sums


def _text_of(path: Path) -> str:
    try:
        if not path.is_file() and path.exists():
            raise _damaged(path, "it is not a file")
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise _damaged(path, f"it is larger than {_MOST_BYTES:,} bytes")
        return content.decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise _damaged(path, str(error)) from None
    except OSError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, problem: str) -> ElmoError:
    return ElmoError(
        f"{path} cannot be read: {problem}. Delete it if you trust the files beside it, or delete "
        "the whole folder, and it will be downloaded again."
    )


def record_sum(folder: Path, file_name: str) -> None:
    """Hash a file and write its line of ``SHA256SUMS``; those of other files stay.

    Raises:
        ElmoError: if the line cannot be written.
    """
    sums = recorded_sums(folder) | {file_name: sha256_of(folder / file_name)}
    lines = sorted(f"{digest}  {name}\n" for name, digest in sums.items())
    with atomic_file(folder / SUMS, overwrite=True) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8", newline="\n")


def changed_files(folder: Path, sums: Mapping[str, str], *, anew: bool = False) -> list[str]:
    """The problems of the files that do not have the hash they should have.

    A file with the size, time and inode that it had when it was last compared is not read again,
    except with ``anew``.
    """
    stamps = _stamps(folder)
    problems, compared = [], {}
    for name, expected in sums.items():
        path = folder / name
        try:
            if not path.is_file():
                raise OSError("it is not a file" if path.exists() else "it is missing")
            stamp = _stamp(path, expected)  # before the file is read: it may change meanwhile
            if stamps.get(name) == stamp and not anew:
                continue
            digest = sha256_of(path)
        except OSError as error:
            problems.append(f"{path} cannot be read: {error}")
            continue
        if digest == expected:
            compared[name] = stamp
        else:
            problems.append(f"{path} has changed: expected sha256 {expected}, got {digest}")
    if compared:
        _write_stamps(folder, stamps | compared)
    return problems


def _stamp(path: Path, digest: str) -> list[Any]:
    status = path.stat()
    return [digest, status.st_size, status.st_mtime_ns, status.st_ino]


def _stamps(folder: Path) -> dict[str, Any]:
    """What is written in the stamps; nothing if they are damaged, so all files are read again."""
    try:
        return parse_json_object(_text_of(folder / STAMPS), STAMPS)
    except ElmoError:
        return {}


def _write_stamps(folder: Path, stamps: Mapping[str, Any]) -> None:
    target = folder / STAMPS
    # A folder that this user cannot write is read again next time.
    with contextlib.suppress(OSError, ElmoError), atomic_file(target, overwrite=True) as temporary:
        temporary.write_text(to_json(stamps), encoding="utf-8")
