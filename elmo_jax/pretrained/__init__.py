"""Pretrained models by name: the bundled one, and the published ones, downloaded once."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import ElmoError
from ..files import try_lock
from .registry import (
    BUNDLED,
    MODELS,
    is_name,
    model_in,
    model_named,
    name_of_addresses,
    names_like,
    tokenizer_of,
)
from .remote_files import PublishedModel, RemoteFile, ZipMember
from .sums import SUMS, changed_files, record_sum, recorded_sums

__all__ = [
    "BUNDLED",
    "MODELS",
    "PublishedModel",
    "RemoteFile",
    "ZipMember",
    "cache_dir",
    "fetch",
    "is_name",
    "name_of_addresses",
    "names",
    "names_like",
    "tokenizer_of",
    "user_cache_dir",
    "verify_cached",
]


def names() -> tuple[str, ...]:
    """The names of single models. ``fetch`` also takes two other kinds of names.

    * ``"nlpl:ID"``: a model in the NLPL repository, by its number there, for example
      ``"nlpl:225"``. 136 to 179 are ELMoForManyLangs, one per language.
    * ``"manylangs:LANGUAGE"``: the same by language: chinese, english or german.

    Example:
        >>> from elmo_jax import pretrained
        >>> pretrained.names()[:5]
        ('mini', 'small', 'medium', 'original', 'original_5p5b')
    """
    return (BUNDLED, *MODELS)


def cache_dir() -> Path:
    """The folder for downloaded models. It need not exist.

    ``$ELMO_JAX_CACHE`` if it is set, else ``$XDG_CACHE_HOME/elmo-jax``, else
    ``~/.cache/elmo-jax``.
    """
    if own := os.environ.get("ELMO_JAX_CACHE"):
        return Path(own).expanduser()
    return user_cache_dir()


def user_cache_dir() -> Path:
    """The folder for what one user keeps, as ``cache_dir`` without ``$ELMO_JAX_CACHE``."""
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification says to ignore a relative path.
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "elmo-jax"


def fetch(name: str | PublishedModel, *, cache: Path | None = None, progress: bool = True) -> Path:
    """The path of a model. Missing files of a published model are downloaded.

    A file that is already there, downloaded or placed by hand, is used if its size is right. No
    file under its final name is ever deleted or replaced. If the hash of a file is not known in
    advance, the hash of the download is recorded in the folder's ``SHA256SUMS``, which
    ``sha256sum -c SHA256SUMS`` checks. Processes that fetch the same model wait for each other.

    A file with a known or recorded hash is compared with it again if its size, time or inode has
    changed since the last comparison. A failing disk may change a file and none of these; only
    ``verify_cached`` finds such a change.

    Args:
        name: one of ``names()``, "nlpl:ID", "manylangs:LANGUAGE", or the description of a model
            from elsewhere.
        cache: a folder for models, in place of ``cache_dir()``.
        progress: whether to show progress on stderr.

    Returns:
        ``<cache>/<name>``, the folder with the model's files, or the archive in that folder if the
        model is an archive (the folder of "nlpl:ID" is "nlpl-ID"). For "mini", its native folder in
        the package.

    Raises:
        ElmoError: if the name is unknown, a file is not what was expected or has changed, or the
            download fails.

    Example:
        >>> folder = pretrained.fetch("small")  # doctest: +SKIP
        >>> sorted(path.name for path in folder.iterdir())  # doctest: +SKIP
        ['SHA256SUMS', 'SHA256SUMS.stamps', 'options.json', 'weights.hdf5']
    """
    if name == BUNDLED:
        return Path(__file__).parent / BUNDLED
    model = name if isinstance(name, PublishedModel) else model_named(name)
    folder = Path(cache or cache_dir()) / model.name
    # Before the lock, so that a cache which cannot be written can still be read.
    if _missing(model, folder):
        with _locked(model, folder, progress):
            _download_missing(model, folder, progress)
    _refuse_changed(changed_files(folder, _sums(model, folder)))
    return model.path(folder)


def verify_cached(name_or_path: str | Path, *, cache: Path | None = None) -> dict[str, bool]:
    """Read all files of a downloaded model, and compare them with their hashes.

    Unlike ``fetch``, this also reads files that seem unchanged, and downloads nothing.

    Args:
        name_or_path: a name that ``fetch`` takes, or a path that it returned.
        cache: as for ``fetch``.

    Returns:
        A dictionary with every file of the model. True: its hash is known, and matched. Empty for
        "mini", and for a path outside the cache without ``SHA256SUMS``: they have no hashes.

    Raises:
        ElmoError: if a file is missing or not what was expected, or the name is unknown.
    """
    if name_or_path == BUNDLED:
        return {}
    models = Path(cache or cache_dir())
    if isinstance(name_or_path, str) and is_name(name_or_path):
        model = model_named(name_or_path)
        folder = models / model.name
    else:
        path = Path(name_or_path)
        folder = path if path.is_dir() else path.parent
        model = model_in(folder.name if folder.parent.absolute() == models.absolute() else "")
    if missing := _missing(model, folder):
        raise ElmoError(f"{folder} does not have {', '.join(missing)}.")
    sums = _sums(model, folder)
    problems = changed_files(folder, sums, anew=True)
    for file_name, remote in model.files.items():
        if file_name not in sums and (problem := remote.problem(folder / file_name)):
            problems.append(f"{folder / file_name} is {problem}, expected {remote.expectation}")
    _refuse_changed(problems)
    return {file_name: file_name in sums for file_name in sorted({*model.files, *sums})}


def _sums(model: PublishedModel, folder: Path) -> dict[str, str]:
    """The hashes of the model's files, as far as they are known or recorded in the folder.

    Of a model without files, an unknown one, they are those of all files that are recorded.
    """
    known = {name: remote.sha256 for name, remote in model.files.items() if remote.sha256}
    if model.files and known.keys() == model.files.keys():
        return known
    recorded = recorded_sums(folder)
    wanted = model.files or recorded
    return {name: recorded[name] for name in wanted if name in recorded} | known


def _refuse_changed(problems: list[str]) -> None:
    if problems:
        raise ElmoError(
            "\n".join(problems) + "\nDelete what has changed, and it will be downloaded again."
        )


def _missing(model: PublishedModel, folder: Path) -> dict[str, RemoteFile]:
    """The files that are not in the folder; raises ElmoError for those that are wrong."""
    missing = {}
    for file_name, remote in model.files.items():
        path = folder / file_name
        if not os.path.lexists(path):
            missing[file_name] = remote
        elif problem := remote.problem(path, check_hash=False):
            raise ElmoError(
                f"{path} is not the file of the model {model.name!r}\n"
                f"  expected: {remote.expectation}\n"
                f"  got: {problem}\n"
                f"  what to do: delete it, and it will be downloaded; or replace it by the "
                f"file at {remote.url}. It was left as it is."
            )
    return missing


def _download_missing(model: PublishedModel, folder: Path, progress: bool) -> None:
    from .download import download  # here: it imports urllib.request, which is slow to load

    # Looked up again: the process that held the lock may have downloaded them.
    for file_name, remote in _missing(model, folder).items():
        try:
            download(remote, folder / file_name, progress=progress)
        except ElmoError as error:
            if not model.remark:
                raise
            raise ElmoError(f"{error}\n  note: {model.remark}") from error
        if remote.sha256 is None:
            try:
                record_sum(folder, file_name)
            except (OSError, ElmoError) as error:
                raise ElmoError(
                    f"{folder / file_name} is there, but its hash could not be recorded in "
                    f"{folder / SUMS}: {error}. Make room and call again."
                ) from error


@contextlib.contextmanager
def _locked(model: PublishedModel, folder: Path, progress: bool) -> Iterator[None]:
    """Keep other processes out of the folder; the lock ends when the process does."""
    # Beside the folder, which has only the model. The file stays: if it were deleted while others
    # wait for it, they would lock nothing.
    lock = folder.with_name(folder.name + ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _lock_file(lock)
    except OSError as error:
        raise ElmoError(
            f"Cannot write to the model cache at {folder.parent}: {error}. Set "
            f"ELMO_JAX_CACHE to a folder that can be written, or place "
            f"{', '.join(model.files)} in {folder.absolute()} by hand."
        ) from error
    with file:
        # Where a file system has no locks, going ahead is safe enough: all processes write the same
        # bytes at the same positions, and the whole file is verified.
        is_waiting = False
        while not try_lock(file.fileno()):
            if progress and not is_waiting:
                print(f"Waiting for another process to fill {folder}", file=sys.stderr)
            is_waiting = True
            time.sleep(0.1)
        yield


def _lock_file(path: Path) -> IO[bytes]:
    """A file to lock, created if it is missing, but not through a link that somebody has put there.

    Raises:
        OSError: if there is something else than a file.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(f"{path} is not a file")
    return file
