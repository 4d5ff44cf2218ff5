"""Writing single files that are never half there, locks, and checks before anything is written.

A file is written under a temporary name, then renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import ElmoError


@contextlib.contextmanager
def atomic_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside ``target``, renamed to it on success and removed on an error."""
    refuse_existing(target, overwrite)
    if not target.parent.is_dir():
        raise ElmoError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        new_file(temporary)
        yield temporary
        refuse_existing(target, overwrite)  # it may have appeared meanwhile
        temporary.replace(target)
    except OSError as error:
        raise ElmoError(f"Cannot write {target}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def new_file(path: Path) -> None:
    """Create an empty file. Where something stands, even a link that leads nowhere, it fails.

    So nobody who may write in the folder can have this process overwrite another file.

    Raises:
        FileExistsError: if something of that name exists.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


@contextlib.contextmanager
def durable_file(target: Path) -> Iterator[Path]:
    """A path ``target.tmp``, which is renamed to ``target`` once its contents are on the disk.

    Unlike ``atomic_file`` it survives a power cut, and the next process overwrites what a killed
    one left. It is for folders in which no other process works.
    """
    temporary = target.with_name(f"{target.name}.tmp")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk now."""
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot open folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file without waiting, until it is closed or the process ends.

    With ``shared``, other processes may share the lock (not on Windows). False if another process
    holds it; True where a file system has no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX and Windows: another process holds it
        return False
    except OSError:
        pass  # some network file systems have no locks
    return True


# Checks before anything is written


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Raise ElmoError if ``target`` exists and ``overwrite`` is False."""
    if target.exists() and not overwrite:
        raise ElmoError(
            f"{target} exists already. Choose another name, or replace it: overwrite=True, "
            "in a command --overwrite."
        )


def refuse_input(target: Path, inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raise ElmoError if ``target`` is one of the inputs, under whatever name."""
    for path in map(Path, inputs):
        if target.exists() and path.exists() and target.samefile(path):
            raise ElmoError(
                f"Cannot write {target}: it is the input {path}, which would be lost. Choose "
                "another name."
            )


def check_space(target: Path, needed: int) -> None:
    """Raise ElmoError if the disk that holds ``target`` has less than ``needed`` bytes free."""
    if not target.absolute().parent.is_dir():
        raise ElmoError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    free = shutil.disk_usage(target.absolute().parent).free
    if needed > free:
        raise ElmoError(
            f"{target} would take about {needed / 1e9:.2f} GB, but its disk has "
            f"{free / 1e9:.2f} GB free. Keep fewer layers (--layers), use --dtype float16, pool "
            "the sentences (--pooling), or write to another disk."
        )


# Contents and messages


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def shown_size(n_bytes: int) -> str:
    """A size as a person reads it: "1.23 GB"."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB")):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.2f} {unit}"
    return f"{n_bytes / 1e3:.1f} kB"
