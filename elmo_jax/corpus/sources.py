"""The folders whose parts are merged: where they are, and whether they belong together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import ElmoError
from .job import Job
from .parts import PartsFolder
from .waiting import missing_message, missing_parts

Names = Iterable[str | os.PathLike[str]]


def find_sources(names: Names, own: PartsFolder, *, is_removed: bool) -> list[PartsFolder]:
    """The folders that sources name, directly or as their outputs.

    ``own`` is that beside the target; it may be missing if ``is_removed``.
    """
    sources = []
    for path in map(Path, names):
        folders = [PartsFolder(path), PartsFolder.beside(path)]
        with_parts = [folder for folder in folders if folder.job() is not None]
        if with_parts:
            sources.append(with_parts[0])
        elif not (is_removed and any(is_same(folder, own) for folder in folders)):
            raise ElmoError(
                f"There are no parts at {path}, nor at {folders[1].path}: expected a folder that "
                "`elmo-jax embed … --shard I/N` has filled, or the output it belongs to."
            )
    return sources


def sources_so_far(names: Names) -> tuple[list[PartsFolder], Job | None]:
    """The folders that sources name, as far as they exist, and their job, if there is any."""
    sources = []
    for path in map(Path, names):
        jobs = {folder: folder.job() for folder in (PartsFolder(path), PartsFolder.beside(path))}
        sources += [(folder, job) for folder, job in jobs.items() if job is not None][:1]
    return [folder for folder, _ in sources], _agreed(sources)


def common_job(folders: Iterable[PartsFolder]) -> Job | None:
    """The job of all folders; None if there are no folders."""
    return _agreed([(folder, job) for folder in folders if (job := folder.job()) is not None])


def _agreed(sources: Sequence[tuple[PartsFolder, Job]]) -> Job | None:
    for folder, job in sources:
        first_folder, first_job = sources[0]
        if differences := first_job.differences(job):
            raise ElmoError(
                f"{folder.path} does not belong to {first_folder.path}: {differences}. Make its "
                "parts with the same input, model, options and versions."
            )
    return sources[0][1] if sources else None


def locate_parts(folders: Sequence[PartsFolder], job: Job) -> list[PartsFolder]:
    """For each part, the folder that has it; ElmoError if none has it."""
    owners = [
        next((folder for folder in folders if folder.has(job, number)), None)
        for number in range(len(job.parts))
    ]
    if missing := [number for number, owner in enumerate(owners) if owner is None]:
        raise ElmoError(missing_message(folders, job, missing))
    return [owner for owner in owners if owner is not None]


def refuse_missing(folders: Sequence[PartsFolder], job: Job) -> None:
    """Raise ElmoError if a part is in none of the folders."""
    if missing := missing_parts(folders, job):
        raise ElmoError(missing_message(folders, job, missing))


def is_same(folder: PartsFolder, other: PartsFolder) -> bool:
    """Whether two paths lead to one folder."""
    return os.path.realpath(folder.path) == os.path.realpath(other.path)


def can_be_locked(source: PartsFolder) -> bool:
    """Whether a lock can be made beside a folder: it may lie on a disk that is only read."""
    lock = source.lock_path
    return os.access(lock if lock.exists() else lock.absolute().parent, os.W_OK)
