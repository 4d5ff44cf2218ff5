"""One process at a time works in the folder of a run."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from ..errors import ElmoError
from ..files import has_name, open_regular, try_lock

LOCK_FILE = "lock"

_BEGINNING = "process "


@contextlib.contextmanager
def only_process_in(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder. Where no file can be made, nothing can be harmed either.

    Raises:
        ElmoError: if another process holds the lock, which says who it is.
    """
    path = folder / LOCK_FILE
    try:
        descriptor = _locked(path)
    except PermissionError:
        yield
        return
    except OSError as error:
        if error.errno == errno.EROFS:
            yield
            return
        raise ElmoError(f"Cannot lock {folder}: {error.strerror or error}.") from None
    try:
        yield
    finally:
        # First the name, then the lock: nobody else may get the lock and lose its file.
        if os.name != "nt":
            path.unlink(missing_ok=True)
        os.close(descriptor)
        if os.name == "nt":  # which cannot remove an open file
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _locked(path: Path) -> int:
    """The descriptor of the file, which is made and locked, with a note of who holds it."""
    while True:
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
        try:
            _check_own(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        if not try_lock(descriptor):
            holder = _holder(descriptor)
            os.close(descriptor)
            raise ElmoError(
                f"Another process is training in {path.parent}{holder}. Wait until it has ended, "
                "or choose another folder."
            )
        if has_name(descriptor, path):
            break
        os.close(descriptor)  # its holder has just removed it
    now = datetime.datetime.now().isoformat(" ", "seconds")
    note = f"{_BEGINNING}{os.getpid()} on {socket.gethostname()}, since {now}"
    with contextlib.suppress(OSError):  # a full disk
        os.ftruncate(descriptor, 0)
        os.write(descriptor, note.encode())
    return descriptor


def _check_own(descriptor: int, path: Path) -> None:
    """Before anything is written into the file: it must not be a user's, under whatever name."""
    beginning = os.read(descriptor, len(_BEGINNING))
    # After a kill, the file may have no beginning yet.
    if os.fstat(descriptor).st_nlink > 1 or not _BEGINNING.encode().startswith(beginning):
        raise ElmoError(
            f"{path} is needed as a lock, but is another file. Move it away, or choose another "
            "folder."
        )
    os.lseek(descriptor, 0, os.SEEK_SET)


def _holder(descriptor: int) -> str:
    try:
        note = os.pread(descriptor, 200, 0).decode("utf-8", "replace")
    except (OSError, AttributeError):  # Windows has no pread, and does not read what is locked
        return ""
    return f" ({note})" if note.isprintable() and note else ""
