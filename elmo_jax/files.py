"""Outputs that are never half there: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import ElmoError


@contextlib.contextmanager
def atomic_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``target``, and rename it to ``target`` on success.

    On an error the temporary file is removed and ``target`` stays as it was.

    Raises:
        ElmoError: if ``target`` exists and ``overwrite`` is False, or its folder is no folder.
    """
    refuse_existing(target, overwrite)
    if not target.parent.is_dir():
        raise ElmoError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        refuse_existing(target, overwrite)
        temporary.replace(target)
    except OSError as error:
        raise ElmoError(f"Cannot write {target}: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside ``target``; on success its files appear in ``target``.

    Raises:
        ElmoError: if ``target`` is a file, or a folder with files and ``overwrite`` is False.
    """
    if target.is_dir():
        if any(target.iterdir()):
            refuse_existing(target, overwrite)
    elif target.exists():
        raise ElmoError(f"Cannot write the folder {target}: a file of that name exists.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise ElmoError(f"Cannot write the folder {target}: {error}") from error
    try:
        yield temporary
        target.mkdir(exist_ok=True)
        for file in temporary.iterdir():
            file.replace(target / file.name)
    except OSError as error:
        raise ElmoError(f"Cannot write the folder {target}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Raise ElmoError if ``target`` exists and is not to be overwritten."""
    if target.exists() and not overwrite:
        raise ElmoError(f"{target} exists already. Choose another name, or pass overwrite.")
