"""Replacing whole folders: the old one or the new one stands, whenever a process is killed.

Beside a folder ``out`` there may be ``.out.1a2b3c4d.tmp``, a new one that a process is writing and
holds a lock on, and ``.out.old-elmo-jax``, an old one that is about to go.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from .errors import ElmoError
from .files import refuse_existing, sync


@contextlib.contextmanager
def atomic_folder(
    target: Path, *, overwrite: bool = False, replaced: Collection[str] = ()
) -> Iterator[Path]:
    """A temporary folder beside ``target``, which replaces ``target`` on success.

    ``target`` is always the whole old folder or the whole new one, except between two renames: a
    process that is killed just then leaves the old folder beside it, where ``standing_folder``
    finds it. The new folder takes over the old one's files, except those in ``replaced`` and those
    that it has itself. What killed processes have left beside ``target`` goes.

    Raises:
        ElmoError: if ``target`` is a file, a folder with files and ``overwrite`` is False, or a
            folder that cannot be replaced: the top of a disk, or one with the working directory or
            the home directory.
    """
    if "\0" in str(target):
        raise ElmoError(f"Cannot write the folder {str(target)!r}: a name has no NUL characters.")
    folder = Path(os.path.realpath(target))  # if target is a link, replace what it leads to
    try:
        _clean_up(folder)
        refuse_folder(target, overwrite)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_folder(folder) as temporary:
            yield temporary
            refuse_folder(target, overwrite)
            for path in (*temporary.iterdir(), temporary):  # on the disk before the old folder goes
                sync(path)
            if folder.is_dir():
                _take_over(folder, temporary, replaced)
            _swap(temporary, folder, replaced)
            sync(folder.parent)
    except OSError as error:
        raise ElmoError(f"Cannot write the folder {target}: {error}") from error


def standing_folder(target: Path) -> Path:
    """The folder itself, or the old one if it is being replaced, or a process died doing so."""
    folder = Path(os.path.realpath(target)) if target.is_symlink() else target
    old = _old(folder)
    # Between the two looks, the folder may have been replaced: look at it once more.
    is_missing = not folder.exists() and old.is_dir() and not old.is_symlink()
    return old if is_missing and not folder.exists() else target


def refuse_folder(target: Path, overwrite: bool) -> None:
    """Raise ElmoError if ``atomic_folder`` would refuse to write ``target``."""
    if not target.is_dir():
        if target.exists():
            raise ElmoError(f"Cannot write the folder {target}: a file of that name exists.")
        return
    if any(target.iterdir()):
        refuse_existing(target, overwrite)
    if reason := _reason_to_stay(Path(os.path.realpath(target))):
        raise ElmoError(
            f"Cannot write the folder {target}: {reason}, which cannot be replaced. Name a new "
            "folder in it, or another one."
        )


def _reason_to_stay(folder: Path) -> str | None:
    """Why a folder cannot be replaced as a whole, if there is a reason."""
    if os.path.ismount(folder):
        return "it is the top of a disk"
    for what, place in (("working", Path.cwd()), ("home", Path.home())):
        if Path(os.path.realpath(place)).is_relative_to(folder):
            return f"it is the {what} directory, or has it inside"
    return None


# Temporary folders


@contextlib.contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder``, which this process holds; removed if it is still there."""
    while True:
        temporary = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.tmp"
        temporary.mkdir()  # not mkdtemp(): only the owner could read that folder
        try:
            lock = _lock(temporary)
            break
        except (BlockingIOError, FileNotFoundError):
            pass  # another process is just clearing it away
        except OSError:
            lock = None  # Windows, or a file system without locks
            break
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int:
    """Lock a folder until the descriptor is closed or the process ends.

    Raises:
        OSError: if another process holds it, it is gone or a link, or folders cannot be locked.
    """
    if sys.platform == "win32":
        raise OSError("Windows cannot open folders.")
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), folder.stat()):
            raise FileNotFoundError(f"{folder} is gone.")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _clean_up(folder: Path) -> None:
    """Remove what killed processes left, and bring back what one was replacing."""
    name = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}\.tmp")
    parent = folder.parent
    left = (
        [path for path in parent.iterdir() if name.fullmatch(path.name)] if parent.is_dir() else []
    )
    in_use = False
    for path in left:
        try:
            lock = _lock(path)
        except OSError:  # of a process at work, as far as can be told; or not ours
            in_use = True
            continue
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)
    standing = standing_folder(folder)
    if standing != folder and not in_use:
        standing.rename(folder)


# Replacing


def _old(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.old-elmo-jax"  # with_name() refuses Path(".")


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


def _swap(new: Path, folder: Path, replaced: Collection[str]) -> None:
    # A folder cannot be renamed over one with files, so there are two renames.
    old = _old(folder)
    try:
        if folder.exists():
            shutil.copymode(folder, new)
            if old.exists():  # of a process that was killed after its second rename
                shutil.rmtree(old)
            folder.rename(old)
        new.rename(folder)
    finally:
        if standing_folder(folder) == old:
            old.rename(folder)
    if old.is_dir():
        _take_over(old, folder, replaced)  # what appeared meanwhile
        shutil.rmtree(old, ignore_errors=True)
