"""Locks on a folder of parts, which the system lets go of when a process ends, however it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import ElmoError


@contextlib.contextmanager
def locked(file: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock on ``file``, which is made; where the system has none, hold nothing.

    Args:
        file: what is locked.
        shared: whether other processes may hold it, shared too.

    Raises:
        ElmoError: if another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with file.open("a") as opened:
        try:
            fcntl.flock(opened, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ElmoError(
                f"Another process is at work in {file.parent}. Wait until it has ended."
            ) from None
        except OSError:  # a file system without locks
            yield
            return
        yield
