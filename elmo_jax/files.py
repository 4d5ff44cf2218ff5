"""Writing single files that are never half there, locks, and checks before anything is written.

A file is written under a temporary name, then renamed. So a symbolic link under the name of a new
file is replaced and never written through. A link to a folder is followed: it says where files are.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import ElmoError, shortened


@contextlib.contextmanager
def atomic_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside ``target``, renamed to it on success and removed on an error.

    If ``target`` is a symbolic link, the link is replaced, and what it leads to stays.
    """
    check_name(target)
    refuse_existing(target, overwrite)
    if not target.parent.is_dir():
        raise ElmoError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    try:
        with new_temporary(target) as temporary:
            yield temporary
            put_in_place(temporary, target, overwrite=overwrite)
    except OSError as error:
        raise ElmoError(f"Cannot write {target}: {error}") from error


@contextlib.contextmanager
def durable_file(target: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """``atomic_file`` that survives a power cut: the content is on the disk before it has its name.

    Raises OSError itself. What a killed process leaves matches ``TEMPORARY_NAME``.
    """
    with new_temporary(target) as temporary:
        yield temporary
        sync(temporary)
        put_in_place(temporary, target, overwrite=overwrite)
    sync(target.parent)


TEMPORARY_NAME = r"\.{name}\.[0-9a-z_]{{8}}\.tmp"
"""A regular expression, to be formatted with ``name``, for temporary files of that name."""


@contextlib.contextmanager
def new_temporary(target: Path) -> Iterator[Path]:
    """A new, empty file beside ``target``, removed at the end if it still has its name."""
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    new_file(temporary)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished file its name. Without ``overwrite``, no other file is ever replaced.

    Raises:
        ElmoError: if ``target`` exists and ``overwrite`` is False.
        OSError: if the file system refuses.
    """
    if not overwrite:
        refuse_existing(target, overwrite)
        try:
            os.link(temporary, target)  # unlike a rename, it fails if the name is taken meanwhile
        except FileExistsError:
            refuse_existing(target, overwrite)
            raise
        except OSError:
            pass  # no hard links here
        else:
            temporary.unlink()
            return
    temporary.replace(target)


def new_file(path: Path) -> None:
    """Create an empty file. Where something stands, even a link that leads nowhere, it fails.

    So nobody who may write in the folder can have this process overwrite another file.

    Raises:
        FileExistsError: if something of that name exists.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a regular file, ``flags`` as for ``os.open``; links are not followed.

    Raises:
        OSError: also if the path is a link, a folder, a pipe or a device.
    """
    # O_NONBLOCK: opening a pipe would wait for its other end. Windows has neither flag.
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):
        flags |= getattr(os, name, 0)
    if os.name == "nt" and path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    try:
        descriptor = os.open(path, flags, 0o666)
    except ValueError:  # a NUL character in the name
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), str(path)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return descriptor


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

            # Nobody else could read a byte that is locked: lock one behind any content.
            position = os.lseek(descriptor, 0, os.SEEK_CUR)
            os.lseek(descriptor, 1 << 30, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, position, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX and Windows: another process holds it
        return False
    except OSError:
        pass  # some network file systems have no locks
    return True


def has_name(descriptor: int, path: Path) -> bool:
    """Whether an open file still has this name: another process may have removed or replaced it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


# Checks before anything is written


def check_name(target: Path) -> None:
    """Raise ElmoError if no file can have this name, or a device or pipe has it."""
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:  # ValueError: a NUL character
        reason = error.strerror if isinstance(error, OSError) else error
        raise ElmoError(f"Cannot write {shortened(str(target))}: {reason}.") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ElmoError(
            f"Cannot write {target}: it is a device, a pipe or a socket, which a file would "
            "replace. Choose another name."
        )


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Raise ElmoError if ``target`` exists, be it a broken link, and ``overwrite`` is False."""
    if os.path.lexists(target) and not overwrite:
        raise ElmoError(
            f"{target} exists already. Choose another name, or replace it: overwrite=True, "
            "in a command --overwrite."
        )


def refuse_input(target: Path, inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raise ElmoError if ``target`` is one of the inputs, under whatever name.

    "-" is the file that standard input is read from, if it is one.
    """
    check_name(target)
    if not target.exists():
        return
    for path in map(Path, inputs):
        status = _status_of_input(path)
        if status is not None and os.path.samestat(target.stat(), status):
            name = "standard input" if str(path) == "-" else path
            raise ElmoError(
                f"Cannot write {target}: it is the input {name}, which would be lost. Choose "
                "another name."
            )


def _status_of_input(path: Path) -> os.stat_result | None:
    """What the system says about an input; None if it is not there."""
    try:
        if str(path) == "-" and not path.exists():
            return os.fstat(sys.stdin.fileno())
        return path.stat()
    except (AttributeError, OSError, ValueError):  # sys.stdin may be None, closed or no file
        return None


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
