"""Outputs that are never half there: written under a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

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
def atomic_folder(
    target: Path, *, overwrite: bool = False, replaced: Collection[str] = ()
) -> Iterator[Path]:
    """Give a temporary folder beside ``target``; on success it takes the place of ``target``.

    ``target`` is always the whole old folder or the whole new one. Only between two renames is
    there neither: a process that is killed just then leaves the old one beside it, where
    ``standing_folder`` finds it.

    Args:
        target: the folder.
        overwrite: replace a folder that has files.
        replaced: files of the old folder that go with it. The new one takes over all others that
            it has not itself.

    Raises:
        ElmoError: if ``target`` is a file, a folder with files and ``overwrite`` is False, or the
            working directory, which cannot be replaced.
    """
    place = Path(os.path.realpath(target))  # a link stays, and its folder is replaced
    try:
        _restore(place)
        _refuse_folder(target, overwrite)
        place.parent.mkdir(parents=True, exist_ok=True)
        # Not mkdtemp, which lets the owner alone read the folder.
        temporary = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.tmp")
        temporary.mkdir()
    except OSError as error:
        raise ElmoError(f"Cannot write the folder {target}: {error}") from error
    try:
        yield temporary
        _refuse_folder(target, overwrite)
        for path in temporary.iterdir():
            sync(path)
        if place.is_dir():
            _take_over(place, temporary, replaced)
        _swap(temporary, place)
    except OSError as error:
        raise ElmoError(f"Cannot write the folder {target}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def standing_folder(target: Path) -> Path:
    """Where the folder is: beside its place, if a process was killed while it replaced it.

    Of a link, the place is where it leads to.
    """
    old = _old(Path(os.path.realpath(target)) if target.is_symlink() else target)
    return old if old.is_dir() and not target.exists() else target


def _old(target: Path) -> Path:
    """Where a folder stands while another takes its place."""
    return target.parent / f".{target.name}.old"


def _restore(place: Path) -> None:
    """End what a killed process has left of a replacement."""
    if standing_folder(place) != place:
        _old(place).rename(place)
    elif _old(place).exists():
        shutil.rmtree(_old(place))


def _refuse_folder(target: Path, overwrite: bool) -> None:
    if not target.is_dir():
        if target.exists():
            raise ElmoError(f"Cannot write the folder {target}: a file of that name exists.")
        return
    if any(target.iterdir()):
        refuse_existing(target, overwrite)
    if target.samefile(Path.cwd()):
        raise ElmoError(
            f"Cannot write the folder {target}: it is the working directory, which cannot be "
            "replaced. Name a folder in it, or work from another one."
        )


def _take_over(old: Path, new: Path, replaced: Collection[str]) -> None:
    """Let the new folder have the other files of the old one, too."""
    for path in old.iterdir():
        copy = new / path.name
        if path.name in replaced or copy.exists():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, copy, symlinks=True, copy_function=_link)
        else:
            _link(path, copy)


def _link(path: str | Path, copy: str | Path) -> None:
    """A second name for a file; a copy, where the file system has no such names."""
    try:
        os.link(path, copy, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(path, copy, follow_symlinks=False)


def _swap(new: Path, place: Path) -> None:
    if place.exists():
        shutil.copymode(place, new)
        place.rename(_old(place))
    try:
        new.rename(place)
    finally:
        _restore(place)


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


def to_json(value: Any, *, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """``json.dumps``, with null for the numbers that JSON does not have: infinities and NaN.

    Args:
        value: dictionaries, lists, tuples, strings, numbers, booleans and None.
        indent: as in ``json.dumps``.
        ensure_ascii: as in ``json.dumps``.

    Example:
        >>> to_json({"perplexity": float("inf"), "tokens": 3})
        '{"perplexity": null, "tokens": 3}'
    """
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
