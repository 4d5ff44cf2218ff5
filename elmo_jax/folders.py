"""Replacing whole folders: the old one or the new one stands, whenever a process is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
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
