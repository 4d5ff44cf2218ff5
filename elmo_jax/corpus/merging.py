"""merge_parts: parts that were made in several processes or on several machines, to one file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import ElmoError, counted
from ..files import check_space, shown_size
from .finishing import check_target, join, kept, summary
from .job import Job
from .parts_folder import PartsFolder
from .writers import writer_for

_SHOWN = 10


def merge_parts(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    progress: bool = False,
    note: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Join the shards of ``embed_corpus``: the file has the same bytes as after one run of all.

    Args:
        sources: folders of parts, or the outputs that they belong to: ``out.h5`` for
            ``out.h5.parts``.
        output: the file; its suffix tells the format, whichever the shards were started with.
            None takes the only source for it.
        overwrite: replace an existing output.
        progress: show a bar on stderr, if that is a terminal.
        note: gets remarks for the user.

    Returns:
        What the parts hold, ready for JSON, as ``embed_corpus`` tells it; ``finished`` is True.
        The output's own folder of parts is removed, other folders stay.

    Raises:
        ElmoError: if a part is missing or damaged, parts are of different jobs, or the output
            cannot be used.

    Example:
        >>> merge_parts(["one/out.h5.parts", "two/out.h5.parts"], "out.h5")["parts"]
        12
    """
    named = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    if output is None and len(named) != 1:
        raise ElmoError(
            f"Got {counted(len(named), 'source')} and no output: name the file to write with -o."
        )
    target = Path(named[0] if output is None else output)
    writer, folder = writer_for(target), PartsFolder.beside(target)
    check_target(target, overwrite)
    folders = [_folder(Path(name)) for name in named]
    for source in folders:
        if target.absolute().parent.samefile(source.path):
            raise ElmoError(f"Cannot write {target}: it would lie among the parts. Choose another.")
    job = _common_job(folders)
    writer.check(job.layout)
    with folder.opened(job), kept(target, folder, job):
        began = time.perf_counter()
        if not folder.has_finished(target):
            check_target(target, overwrite)
            of_parts = _find_parts(folders, job)
            needed = writer.estimated_bytes(job.layout)
            note(
                f"{counted(len(job.parts), 'part')}; {target} will take about {shown_size(needed)}"
            )
            for remark in writer.notes(job.layout):
                note(f"note: {remark}")
            check_space(target, needed)
            join(target, folder, job, of_parts, overwrite=overwrite, progress=progress)
        folder.remove()
        seconds = time.perf_counter() - began
    return {
        **summary(job, target),
        "finished": True,
        "bytes": target.stat().st_size,
        "seconds": round(seconds, 3),
    }


def _folder(source: Path) -> PartsFolder:
    """The folder that a source names."""
    for folder in (PartsFolder(source), PartsFolder.beside(source)):
        if folder.job() is not None:
            return folder
    raise ElmoError(
        f"There are no parts at {source}, nor at {PartsFolder.beside(source).path}: expected a "
        "folder that `elmo-jax embed … --shard I/N` has filled, or the output it belongs to."
    )


def _common_job(folders: list[PartsFolder]) -> Job:
    jobs = [job for folder in folders if (job := folder.job()) is not None]
    for folder, job in zip(folders, jobs, strict=True):
        if differing := jobs[0].differences(job):
            raise ElmoError(
                f"{folder.path} does not belong to {folders[0].path}: {differing}. Make its parts "
                "with the same input, model, options and versions."
            )
    return jobs[0]


def _find_parts(folders: list[PartsFolder], job: Job) -> list[PartsFolder]:
    """For each part the folder that has it."""
    found, missing = [], []
    for number in range(len(job.parts)):
        having = next((folder for folder in folders if folder.has(job, number)), None)
        if having is None:
            missing.append(number)
        else:
            found.append(having)
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise ElmoError(
            f"{len(missing)} of {counted(len(job.parts), 'part')} "
            f"{'is' if len(missing) == 1 else 'are'} missing: "
            f"{', '.join(map(str, missing[:_SHOWN]))}{more} (of shard I/N are I-1, I-1+N, …). "
            "Run the command of their shards again, or name the folders that hold them."
        )
    return found
