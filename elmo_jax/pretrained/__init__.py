"""Pretrained models by name: the bundled one, and the published ones, downloaded once."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import ElmoError
from ..files import sha256_of, try_lock
from .registry import BUNDLED, MODELS, is_name, model_named, names_like
from .remote_files import PublishedModel, RemoteFile, ZipMember

__all__ = [
    "BUNDLED",
    "MODELS",
    "PublishedModel",
    "RemoteFile",
    "ZipMember",
    "cache_dir",
    "fetch",
    "is_name",
    "names",
    "names_like",
]

_SUMS = "SHA256SUMS"


def names() -> tuple[str, ...]:
    """The names of single models; ``fetch`` takes two kinds of names more.

    * ``"nlpl:ID"``: a model of the NLPL repository by its number there, for example
      ``"nlpl:225"``. 136 to 179 are those of ELMoForManyLangs, one per language.
    * ``"manylangs:LANGUAGE"``: the same by language: chinese, english or german.

    Example:
        >>> from elmo_jax import pretrained
        >>> pretrained.names()[:5]
        ('mini', 'small', 'medium', 'original', 'original_5p5b')
    """
    return (BUNDLED, *MODELS)


def cache_dir() -> Path:
    """The folder for downloaded models, which need not exist.

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
    """The path of a model; what is missing of a published one is downloaded.

    A file that is there already, downloaded or placed by hand, is used if its size is right;
    no file under its final name is ever deleted or replaced. If the hash of a file is not known
    beforehand, that of the download is recorded in the folder's ``SHA256SUMS``, which
    ``sha256sum -c SHA256SUMS`` checks. Processes that fetch the same model wait for each other.

    Args:
        name: one of ``names()``, "nlpl:ID", "manylangs:LANGUAGE", or the description of a model
            elsewhere.
        cache: a folder for models, instead of ``cache_dir()``.
        progress: whether to show progress on stderr.

    Returns:
        ``<cache>/<name>``, the folder with the model's files, or the archive in it if the model is
        one (the folder of "nlpl:ID" is "nlpl-ID"); for "mini" its native folder in the package.

    Raises:
        ElmoError: if the name is unknown, a file is not what was expected, or the download fails.

    Example:
        >>> folder = pretrained.fetch("small")  # doctest: +SKIP
        >>> sorted(path.name for path in folder.iterdir())  # doctest: +SKIP
        ['SHA256SUMS', 'options.json', 'weights.hdf5']
    """
    if name == BUNDLED:
        return Path(__file__).parent / BUNDLED
    model = name if isinstance(name, PublishedModel) else model_named(name)
    folder = Path(cache or cache_dir()) / model.name
    # Before the lock, so that a cache which cannot be written can still be read.
    if _missing(model, folder):
        with _locked(model, folder, progress):
            _download_missing(model, folder, progress)
    return model.path(folder)


def _missing(model: PublishedModel, folder: Path) -> dict[str, RemoteFile]:
    """The files that are not in the folder; raises ElmoError for those that are wrong."""
    missing = {}
    for file_name, remote in model.files.items():
        path = folder / file_name
        if not path.exists():
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
                _record_hash(folder, file_name)
            except OSError as error:
                raise ElmoError(
                    f"{folder / file_name} is there, but its hash could not be recorded in "
                    f"{folder / _SUMS}: {error}. Make room and call again."
                ) from error


def _record_hash(folder: Path, file_name: str) -> None:
    """Write the file's line of SHA256SUMS, and leave those of other files."""
    sums = folder / _SUMS
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.exists() else []
    others = [line for line in lines if not line.endswith(f"  {file_name}")]
    lines = sorted([*others, f"{sha256_of(folder / file_name)}  {file_name}"])
    new = sums.with_name(_SUMS + ".new")
    new.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    new.replace(sums)


@contextlib.contextmanager
def _locked(model: PublishedModel, folder: Path, progress: bool) -> Iterator[None]:
    """Keep other processes out of the folder; the lock ends when the process does."""
    # Beside the folder, which has only the model. The file stays: if it were deleted while others
    # wait for it, they would lock nothing.
    lock = folder.with_name(folder.name + ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
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
