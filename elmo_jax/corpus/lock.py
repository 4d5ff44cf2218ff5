"""The lock of an output: one process works on it at a time, or several that make its shards.

For ``out.h5`` it is the file ``out.h5.parts.lock``, beside the folder of parts: the first file that
a run makes and the last that it removes. It begins with the process that holds it. When the output
is about to get its name, that is added, so that after a kill the next run knows a finished output.

A process may open the file just before another one removes it; then it holds a lock on nothing. So
whoever gets a lock looks whether the file still has its name, else starts again.

Where a file system has no locks (some network disks), processes are not kept apart. They still
write different temporary files, and who finds that the lock file has gone gives up. Windows has no
shared locks: shards do not lock the file there, so nothing keeps a run without shards away.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from ..files import has_name, open_regular, try_lock
from ..json_text import parse_json_object

_BEGINNING = b"elmo-jax: "
_HOLDER_BYTES = 256  # what is finished follows; one write changes one of them, never both
_MOST_BYTES = 1 << 16


class AtWorkError(ElmoError):
    """Another process is at work on the output."""


class OutputLock:
    """A lock that this process holds; see ``held``."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor

    def check(self) -> None:
        """Raise ElmoError if somebody has removed the file, and with it the lock."""
        if not has_name(self._descriptor, self.path):
            raise ElmoError(
                f"The lock {self.path} was removed while this process was at work, so another one "
                "may be at work too. Run the command again when no other does."
            )

    def remember_finished(self, whole: Path, job_name: str, summary: dict[str, Any]) -> None:
        """Note on the disk that the file ``whole`` is about to become the output."""
        note = {"stamp": _stamp(whole), "job": job_name, "summary": summary}
        content = json.dumps(note).encode()
        os.ftruncate(self._descriptor, _HOLDER_BYTES)
        os.lseek(self._descriptor, _HOLDER_BYTES, os.SEEK_SET)
        os.write(self._descriptor, content)
        os.fsync(self._descriptor)

    def remove(self) -> None:
        """Remove the file, unless others share the lock."""
        if try_lock(self._descriptor) and has_name(self._descriptor, self.path):
            with contextlib.suppress(OSError):  # Windows does not remove an open file
                self.path.unlink()


@contextlib.contextmanager
def held(path: Path, target: Path | None = None, *, shared: bool = False) -> Iterator[OutputLock]:
    """Hold the lock ``path``, alone or with others who share it.

    The file goes at the end. It stays only after an error that left the finished ``target`` with
    something to clean up.

    Raises:
        AtWorkError: if another process holds it.
        ElmoError: if the file cannot be made.
    """
    descriptor = _open(path, shared)
    try:
        _say_who(descriptor)
        lock = OutputLock(path, descriptor)
        try:
            yield lock
        except BaseException:
            if target is None or finished_note(path, target) is None:
                lock.remove()
            raise
        lock.remove()
    finally:
        os.close(descriptor)
        if os.name == "nt":
            _remove_closed(path, target)


def finished_note(path: Path, target: Path) -> dict[str, Any] | None:
    """The ``job`` and ``summary`` that came with ``remember_finished``.

    None unless ``target`` is the file that this was said of.
    """
    try:
        note = parse_json_object(_content(path)[_HOLDER_BYTES:], str(path))
        is_output = note["stamp"] == _stamp(target)
        if is_output and isinstance(note["job"], str) and isinstance(note["summary"], dict):
            return note
    except (OSError, ElmoError, KeyError):
        pass
    return None


def _open(path: Path, shared: bool) -> int:
    try:
        while True:
            descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
            try:
                _check_own(descriptor, path)
                can_lock = os.name != "nt" or not shared
                if can_lock and not try_lock(descriptor, shared=shared):
                    raise AtWorkError(_at_work(path))
                if has_name(descriptor, path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
    except OSError as error:
        raise ElmoError(f"Cannot make the lock {path}: {error.strerror or error}.") from None


def _check_own(descriptor: int, path: Path) -> None:
    """Before anything is written into the file: it must not be a user's."""
    status = os.fstat(descriptor)
    beginning = os.read(descriptor, len(_BEGINNING))
    # After a kill or a power cut, the file may have no beginning yet, or zeros.
    is_own = _BEGINNING.startswith(beginning.rstrip(b"\0"))
    if status.st_nlink > 1 or not is_own:
        raise ElmoError(
            f"{path} is needed as a lock, but is another file. Move it away, or choose another "
            "output."
        )


def _say_who(descriptor: int) -> None:
    who = f"process {os.getpid()} on {socket.gethostname()[:100]}".encode()
    line = (_BEGINNING + who).ljust(_HOLDER_BYTES - 1) + b"\n"
    os.lseek(descriptor, 0, os.SEEK_SET)
    with contextlib.suppress(OSError):  # on a full disk it locks all the same
        os.write(descriptor, line)


def _at_work(path: Path) -> str:
    who = ""
    with contextlib.suppress(OSError):
        content = _content(path)[len(_BEGINNING) : _HOLDER_BYTES].decode(errors="replace").strip()
        who = f" ({content})" if content.isprintable() and content else ""
    output = path.name.removesuffix(".lock")
    return (
        f"Another process{who} is at work in {path.with_name(output)}. Wait until it has ended, "
        "or choose another output."
    )


def _content(path: Path) -> bytes:
    with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
        return file.read(_MOST_BYTES)


def _stamp(path: Path) -> list[int]:
    """Identity, size and time of change, which a file keeps when it is renamed."""
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def _remove_closed(path: Path, target: Path | None) -> None:
    if target is None or finished_note(path, target) is None:
        with contextlib.suppress(OSError):  # another process has it
            path.unlink()
