"""Outputs that are never half there: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
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
        raise ElmoError(
            f"{target} exists already. Choose another name, or replace it: overwrite=True, "
            "in a command --overwrite."
        )


def refuse_input(target: Path, inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raise ElmoError if ``target`` is one of the inputs, under this or another name."""
    if not target.exists():
        return
    for path in map(Path, inputs):
        if path.exists() and target.samefile(path):
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


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give ``target.tmp``, and rename it to ``target`` once its contents are on the disk.

    Unlike ``atomic_file`` it outlives a power cut, and what a killed process leaves behind is
    overwritten by the next one. It is for folders in which no other process works.
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
    """Have a file, or the names in a folder, written to the disk now."""
    if path.is_dir() and os.name == "nt":
        return  # Windows does not open folders
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shown_size(n_bytes: int) -> str:
    """A size for a person: "1.23 GB"."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB")):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.2f} {unit}"
    return f"{n_bytes / 1e3:.1f} kB"
