"""Writing files that are never half there, and what goes into them and into messages about them.

A file or folder is written under a temporary name, then renamed.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import sys
import uuid
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from .errors import ElmoError

# One file


@contextlib.contextmanager
def atomic_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside ``target``, renamed to it on success and removed on an error."""
    refuse_existing(target, overwrite)
    if not target.parent.is_dir():
        raise ElmoError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        refuse_existing(target, overwrite)  # it may have appeared meanwhile
        temporary.replace(target)
    except OSError as error:
        raise ElmoError(f"Cannot write {target}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


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


# A folder


@contextlib.contextmanager
def atomic_folder(
    target: Path, *, overwrite: bool = False, replaced: Collection[str] = ()
) -> Iterator[Path]:
    """A temporary folder beside ``target``, which replaces ``target`` on success.

    ``target`` is always the whole old folder or the whole new one, except between two renames: a
    process that is killed just then leaves the old folder beside it, where ``standing_folder``
    finds it. The new folder takes over the old one's files, except those in ``replaced`` and those
    that it has itself.

    Raises:
        ElmoError: if ``target`` is a file, a folder with files and ``overwrite`` is False, or the
            working directory, which cannot be replaced.
    """
    folder = Path(os.path.realpath(target))  # if target is a link, replace what it leads to
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        _restore(folder)
        refuse_folder(target, overwrite)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()  # not mkdtemp(): only the owner could read that folder
        yield temporary
        refuse_folder(target, overwrite)
        for path in temporary.iterdir():  # on the disk before the old folder goes
            sync(path)
        if folder.is_dir():
            _take_over(folder, temporary, replaced)
        _swap(temporary, folder)
    except OSError as error:
        raise ElmoError(f"Cannot write the folder {target}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def standing_folder(target: Path) -> Path:
    """The folder itself, or the old one if a process was killed while it replaced it."""
    old = _old(Path(os.path.realpath(target)) if target.is_symlink() else target)
    return old if old.is_dir() and not target.exists() else target


def _old(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.old"


def _restore(folder: Path) -> None:
    """Clean up after a process that was killed while it replaced the folder."""
    if standing_folder(folder) != folder:
        _old(folder).rename(folder)
    elif _old(folder).exists():
        shutil.rmtree(_old(folder))


def refuse_folder(target: Path, overwrite: bool) -> None:
    """Raise ElmoError if ``atomic_folder`` would refuse to write ``target``."""
    if not target.is_dir():
        if target.exists():
            raise ElmoError(f"Cannot write the folder {target}: a file of that name exists.")
        return
    if any(target.iterdir()):
        refuse_existing(target, overwrite)
    if target.samefile(Path.cwd()):
        raise ElmoError(
            f"Cannot write the folder {target}: it is the working directory, which cannot be "
            "replaced. Name a folder in it, or change to another directory."
        )


def _take_over(old: Path, new: Path, replaced: Collection[str]) -> None:
    for path in old.iterdir():
        copy = new / path.name
        if path.name in replaced or copy.exists():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, copy, symlinks=True, copy_function=_link)
        else:
            _link(path, copy)


def _link(path: str | Path, copy: str | Path) -> None:
    """A hard link to a file, or a copy if the file system has no hard links."""
    try:
        os.link(path, copy, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(path, copy, follow_symlinks=False)


def _swap(new: Path, folder: Path) -> None:
    # A folder cannot be renamed over one with files, so there are two renames.
    if folder.exists():
        shutil.copymode(folder, new)
        folder.rename(_old(folder))
    try:
        new.rename(folder)
    finally:
        _restore(folder)


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


def shown_size(n_bytes: int) -> str:
    """A size as a person reads it: "1.23 GB"."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB")):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.2f} {unit}"
    return f"{n_bytes / 1e3:.1f} kB"


def to_json(value: Any, *, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """``json.dumps``, with null for the numbers that JSON lacks: infinities and NaN."""
    finite = _finite(value)
    return json.dumps(finite, indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value
