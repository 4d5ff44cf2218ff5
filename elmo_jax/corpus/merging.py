"""From finished parts to one file, whether one process made them or many."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import ElmoError, counted
from ..files import check_space, refuse_existing, shown_size, sync
from .job import Job
from .parts import PartsFolder
from .progress import progress_bar, with_progress
from .writers import FileLayout, RecordVectors, check_layout, writer_for

_MAX_LISTED = 10


def merge_parts(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    progress: bool = False,
    note: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Join the shards of ``embed_corpus``. The file has the bytes of a run without shards.

    Args:
        sources: folders of parts, or the outputs that they belong to: ``out.h5`` stands for
            ``out.h5.parts``.
        output: the file. Its suffix decides the format, whatever suffix the shards had. A single
            source also names the output.
        overwrite: replace an existing output.
        progress: show a bar on stderr, if that is a terminal.
        note: is called with remarks for the user.

    Returns:
        A summary of the parts, ready for JSON, with the names of ``embed_corpus``. The folder of
        parts beside the output is removed, other folders stay.

    Raises:
        ElmoError: if a part is missing or damaged, parts are of different jobs, or the output
            cannot be written.

    Example:
        >>> merge_parts(["one/out.h5.parts", "two/out.h5.parts"], "out.h5")["parts"]
        12
    """
    source_names = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    if output is None and len(source_names) != 1:
        n_sources = counted(len(source_names), "source")
        raise ElmoError(f"Got {n_sources} and no output: name the file to write with -o.")
    target = Path(source_names[0] if output is None else output)
    writer_for(target)  # raises for an unknown format
    folder = PartsFolder.beside(target)
    check_target(target, overwrite)
    source_folders = [_folder_of(Path(name)) for name in source_names]
    for source in source_folders:
        if target.absolute().parent.samefile(source.path):
            raise ElmoError(f"Cannot write {target}: it would lie among the parts. Choose another.")
    job = _common_job(source_folders)
    check_layout(target, job.layout)
    with folder.opened(job), explaining_disk_errors(target, folder, job):
        began = time.perf_counter()
        if not folder.has_finished(target):
            check_target(target, overwrite)
            folder_of_part = _locate_parts(source_folders, job)
            n_bytes = announce_output(target, job.layout, counted(len(job.parts), "part"), note)
            check_space(target, n_bytes)
            join_parts(target, folder, job, folder_of_part, overwrite=overwrite, progress=progress)
        folder.remove()
        seconds = time.perf_counter() - began
    return {
        **summary(job, target),
        "finished": True,
        "bytes": target.stat().st_size,
        "seconds": round(seconds, 3),
    }


def _folder_of(source: Path) -> PartsFolder:
    """The folder that a source names, directly or as its output."""
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
        if differences := jobs[0].differences(job):
            raise ElmoError(
                f"{folder.path} does not belong to {folders[0].path}: {differences}. Make its "
                "parts with the same input, model, options and versions."
            )
    return jobs[0]


def _locate_parts(folders: list[PartsFolder], job: Job) -> list[PartsFolder]:
    """For each part, the folder that has it."""
    folder_of_part = {}
    for number in range(len(job.parts)):
        if owners := [folder for folder in folders if folder.has(job, number)]:
            folder_of_part[number] = owners[0]
    missing = [str(number) for number in range(len(job.parts)) if number not in folder_of_part]
    if missing:
        n_more = len(missing) - _MAX_LISTED
        raise ElmoError(
            f"{len(missing)} of {counted(len(job.parts), 'part')} "
            f"{'is' if len(missing) == 1 else 'are'} missing: {', '.join(missing[:_MAX_LISTED])}"
            f"{f' and {n_more} more' if n_more > 0 else ''} (shard I/N makes the parts I-1, "
            "I-1+N, …). Run the commands of these shards again, or name the folders that hold "
            "their parts."
        )
    return list(folder_of_part.values())


def check_target(target: Path, overwrite: bool) -> None:
    """Raise ElmoError, before the work, if the output cannot be written or exists already."""
    if target.is_dir():
        raise ElmoError(f"Cannot write {target}: it is a folder.")
    if not target.absolute().parent.is_dir():
        raise ElmoError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    if not PartsFolder.beside(target).has_finished(target):
        refuse_existing(target, overwrite)


def announce_output(
    target: Path, layout: FileLayout, source: str, note: Callable[[str], object]
) -> int:
    """Tell the user what the output will be; returns about how many bytes it will have."""
    writer = writer_for(target)
    n_bytes = writer.estimated_bytes(layout)
    note(f"{source}; {target} will take about {shown_size(n_bytes)}")
    for remark in writer.notes(layout):
        note(f"note: {remark}")
    return n_bytes


def write_output(
    target: Path, folder: PartsFolder, job: Job, results: RecordVectors, *, overwrite: bool
) -> None:
    """Write the output inside the folder of parts, then give it its name."""
    writer_for(target).write(folder.whole, job.layout, results)
    sync(folder.whole)
    refuse_existing(target, overwrite)  # it may have appeared meanwhile
    # Before the file gets its name: if killed after that, the next run only has to clean up.
    folder.remember_finished()
    folder.whole.replace(target)
    sync(target.absolute().parent)


def join_parts(
    target: Path,
    folder: PartsFolder,
    job: Job,
    folder_of_part: Sequence[PartsFolder],
    *,
    overwrite: bool,
    progress: bool,
) -> None:
    """Put the output together in its folder, from parts that may lie in other folders."""
    results = itertools.chain.from_iterable(
        source.read(job, number) for number, source in enumerate(folder_of_part)
    )
    with progress_bar(job.layout.tokens, 0, progress, "joining parts") as bar:
        write_output(target, folder, job, with_progress(results, bar), overwrite=overwrite)


@contextlib.contextmanager
def explaining_disk_errors(target: Path, folder: PartsFolder, job: Job) -> Iterator[None]:
    """Turn an OSError into an ElmoError that says how much of the work is saved."""
    try:
        yield
    except OSError as error:
        n_finished = sum(folder.has(job, number) for number in range(len(job.parts)))
        # The message of HDF5 has many lines, with the system's reason somewhere among them.
        reason = os.strerror(error.errno) if error.errno else str(error)
        saved = (
            f" {n_finished} of {len(job.parts)} parts are finished and stay in {folder.path}: "
            "make room, and run the same command again."
        )
        raise ElmoError(f"Cannot write {target}: {reason}.{saved if n_finished else ''}") from error


def summary(job: Job, target: Path) -> dict[str, Any]:
    """The part of a run's summary that its job decides, ready for JSON."""
    layout, layers = job.layout, job.identity["layers"]
    return {
        "output": str(target),
        "sentences": layout.sentences,
        "tokens": layout.tokens,
        "words_cut": sum(part.words_cut for part in job.parts),
        "blank_lines": job.blank,
        "layers": int(layers) if layers.lstrip("-").isdigit() else layers,
        "pooling": job.identity["pooling"],
        "dtype": layout.dtype,
        "dim": layout.shape[-1],
        "parts": len(job.parts),
    }
