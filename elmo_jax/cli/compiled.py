"""Compiled functions, kept for the next command: machine code, so each is checked before it runs.

A short command spends most of its time compiling what the one before compiled. JAX can keep
that, but it loads whatever its folder holds: a damaged entry gives wrong vectors or ends the
process. So this program keeps its entries itself, in a private folder of the user. An entry has
the SHA-256 of its name and content; one that does not match is deleted, and compiled anew.

JAX has no public way to replace its store, so ``_use_checked_entries`` reaches inside. If a later
JAX has no such place, the entries that JAX then writes itself are deleted before every command:
nothing is kept, and nothing unchecked runs.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import re
import stat
import sys
import time
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from ..files import atomic_file
from .streams import tell

MOST_BYTES = 1 << 30
"""The size of the folder at which the entries that were not used for longest are deleted."""

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_LEAST_COMPILE_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_XLA_CACHES = "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES"

_ENTRY = re.compile("[0-9a-f]{64}")
_DIGEST_BYTES = 32
_DAY, _HOUR = 86400, 3600


def keep_compiled(*, quiet: bool = False) -> None:
    """Keep what XLA compiles in this process, unless the user names a folder for JAX.

    Call it before JAX is imported. Only the program does this: the library leaves it to its caller.
    A folder that others may write is not used, which a line on stderr says, except if ``quiet``.
    """
    from ..pretrained import user_cache_dir

    try:
        folder = user_cache_dir() / "compiled"
        if os.environ.get(_FOLDER, str(folder)) != str(folder):
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if problem := _problem(folder):
            if not quiet:
                tell(f"elmo-jax: note: what is compiled is not kept, because {folder} {problem}")
            return
        _delete_what_is_not_ours(folder)
    except (OSError, RuntimeError):  # no home, or one that cannot be written
        return
    os.environ[_FOLDER] = str(folder)
    os.environ.setdefault(_LEAST_COMPILE_SECONDS, "0.2")
    os.environ[_XLA_CACHES] = "none"  # files of XLA's own, which have no digest
    sys.meta_path.insert(0, _AfterImport(folder))


def _problem(folder: Path) -> str | None:
    """Why others could put machine code into a folder, if they could; makes it private."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return "is a link."
    if os.name != "posix":
        return None  # where each user's folders are private anyway
    if status.st_uid != os.geteuid():
        return "belongs to another user."
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"can be written by others. To use it: chmod 700 {folder}"
    folder.chmod(0o700)
    return None if os.access(folder, os.W_OK | os.X_OK) else "cannot be written."


def _delete_what_is_not_ours(folder: Path) -> None:
    """Delete entries that JAX wrote itself, and what a killed process left."""
    with os.scandir(folder) as files:
        for file in files:
            if file.name.endswith(("-cache", "-atime")) or (
                file.name.endswith(".tmp") and _age(folder / file.name) > _HOUR
            ):
                _delete(folder / file.name)


def _age(path: Path) -> float:
    """Seconds since a file was written; 0 if another process has just deleted it."""
    with contextlib.suppress(OSError):
        return time.time() - path.stat().st_mtime
    return 0


def _delete(path: Path) -> None:
    with contextlib.suppress(OSError):  # another process was faster, or has it open on Windows
        path.unlink()


class _AfterImport:
    """Gives JAX the checked entries as soon as it has imported its own cache."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name != "jax._src.compilation_cache":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_replace(module: Any) -> None:
                execute(module)
                if module.__name__ == name:  # a loader may be that of a whole zip
                    _use_checked_entries(module, self._folder)

            spec.loader.exec_module = execute_and_replace  # type: ignore[method-assign]
        return spec


def _use_checked_entries(compilation_cache: Any, folder: Path) -> None:
    """Have JAX's module use ``CheckedEntries`` for the folder, and its own store for others."""
    original = getattr(compilation_cache, "get_file_cache", None)
    if original is None:
        return

    def get_file_cache(path: str) -> Any:
        return (CheckedEntries(folder), path) if path == str(folder) else original(path)

    compilation_cache.get_file_cache = get_file_cache


class CheckedEntries:
    """The entries of a folder, with the methods that JAX calls (its ``CacheInterface``).

    A file is named for the machine and for JAX's key. It holds the digest of its name and content,
    then the content. Neither method raises: an entry that cannot be read is compiled anew.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder

    def get(self, key: str) -> bytes | None:
        """The content that was put under a key, or None."""
        path = self._path / _name(key)
        try:
            stored = _read_own(path)
        except FileNotFoundError:
            return None
        except OSError:
            stored = b""
        content = stored[_DIGEST_BYTES:]
        if stored[:_DIGEST_BYTES] != _digest(path.name, content):
            _delete(path)
            return None
        if _age(path) > _DAY:
            with contextlib.suppress(OSError):
                os.utime(path)  # for ``_delete_unused``
        return content

    def put(self, key: str, value: bytes) -> None:
        """Keep some content, in place of what was there."""
        path = self._path / _name(key)
        with contextlib.suppress(OSError, ElmoError):  # a full disk, for one
            with atomic_file(path, overwrite=True) as temporary:
                temporary.chmod(0o600)
                temporary.write_bytes(_digest(path.name, value) + value)
            _delete_unused(self._path, MOST_BYTES)


def _read_own(path: Path) -> bytes:
    """The content of a file, if it is this user's alone; otherwise nothing."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _NOT_WAITING)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        is_private = os.name != "posix" or (
            status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        )
        return file.read() if is_private and stat.S_ISREG(status.st_mode) else b""


_NOT_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def _name(key: str) -> str:
    return hashlib.sha256(f"{_machine()}\n{key}".encode()).hexdigest()


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + content).digest()


@functools.cache
def _machine() -> str:
    """What the processor is able to do: a home folder may be shared by different machines."""
    import platform  # here: a help text does without it

    # Not platform.processor(), which starts a program.
    abilities = os.environ.get("PROCESSOR_IDENTIFIER", "")  # of Windows
    cpuinfo = Path("/proc/cpuinfo")  # of Linux
    with contextlib.suppress(OSError), cpuinfo.open(encoding="utf-8", errors="replace") as file:
        lines = (line for line in file if line.startswith(("flags", "Features")))
        abilities = next(lines, abilities)
    return f"{platform.machine()} {abilities}"


def _delete_unused(folder: Path, most_bytes: int) -> None:
    """If the folder is larger than this, delete what was not used for longest, to 3/4 of it."""
    with os.scandir(folder) as files:
        entries = [(file.stat(), file.name) for file in files if _ENTRY.fullmatch(file.name)]
    size = sum(status.st_size for status, _ in entries)
    if size > most_bytes:
        for status, name in sorted(entries, key=lambda entry: entry[0].st_mtime):
            if size <= most_bytes * 3 // 4:
                break
            _delete(folder / name)
            size -= status.st_size
