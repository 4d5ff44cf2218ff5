"""From finished parts to one file, whether one process made them or many."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import ElmoError, counted
from ..files import check_name, check_space, put_in_place, refuse_existing, shown_size, sync
from .job import Job
from .lock import OutputLock, finished_note
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
    began = time.perf_counter()
    with explaining_disk_errors(target, folder), folder.locked() as lock:
        done = finished_note(folder.lock_path, target)
        folders = _sources(source_names, folder, is_removed=done is not None)
        job = _common_job(folders)
        if job is not None and (done is None or done["job"] != job.name):
            refuse_existing(target, overwrite)
            result = _merge(
                target,
                folder,
                lock,
                job,
                folders,
                overwrite=overwrite,
                progress=progress,
                note=note,
            )
        elif done is not None:  # by a process that was killed before it had cleaned up
            result = done["summary"]
        else:
            raise ElmoError("There is nothing to merge: got no sources.")
        n_bytes = target.stat().st_size
        folder.remove()
    seconds = time.perf_counter() - began
    return {**result, "finished": True, "bytes": n_bytes, "seconds": round(seconds, 3)}


def _sources(
    names: Iterable[str | os.PathLike[str]], own: PartsFolder, *, is_removed: bool
) -> list[PartsFolder]:
    """The folders that sources name, directly or as their outputs.

    ``own`` is that beside the target; it may be missing if ``is_removed``.
    """
    sources = []
    for path in map(Path, names):
        folders = [PartsFolder(path), PartsFolder.beside(path)]
        with_parts = [folder for folder in folders if folder.job() is not None]
        if with_parts:
            sources.append(with_parts[0])
        elif not (is_removed and any(_is_same(folder, own) for folder in folders)):
            raise ElmoError(
                f"There are no parts at {path}, nor at {folders[1].path}: expected a folder that "
                "`elmo-jax embed … --shard I/N` has filled, or the output it belongs to."
            )
    return sources


def _is_same(folder: PartsFolder, other: PartsFolder) -> bool:
    return os.path.realpath(folder.path) == os.path.realpath(other.path)


def _merge(
    target: Path,
    folder: PartsFolder,
    lock: OutputLock,
    job: Job,
    sources: list[PartsFolder],
    *,
    overwrite: bool,
    progress: bool,
    note: Callable[[str], object],
) -> dict[str, Any]:
    """Write the output; returns its summary."""
    check_layout(target, job.layout)
    with contextlib.ExitStack() as stack:
        for source in sources:
            if os.path.realpath(target.parent) == os.path.realpath(source.path):
                raise ElmoError(
                    f"Cannot write {target}: it would lie among the parts. Choose another."
                )
            if not _is_same(source, folder) and _can_be_locked(source):
                stack.enter_context(source.locked(shared=True))
            source.check_links()
        stack.enter_context(folder.opened(job))
        stack.enter_context(explaining_disk_errors(target, folder, job))
        folder_of_part = _locate_parts(sources, job)
        n_bytes = announce_output(target, job.layout, counted(len(job.parts), "part"), note)
        check_space(target, n_bytes)
        join_parts(
            target, folder, lock, job, folder_of_part, overwrite=overwrite, progress=progress
        )
    return summary(job, target)


def _can_be_locked(source: PartsFolder) -> bool:
    """Whether a lock can be made beside a folder: it may lie on a disk that is only read."""
    lock = source.lock_path
    return os.access(lock if lock.exists() else lock.absolute().parent, os.W_OK)


def _common_job(folders: list[PartsFolder]) -> Job | None:
    """The job of all folders; None if there are no folders."""
    jobs = [job for folder in folders if (job := folder.job()) is not None]
    for folder, job in zip(folders, jobs, strict=True):
        if differences := jobs[0].differences(job):
            raise ElmoError(
                f"{folder.path} does not belong to {folders[0].path}: {differences}. Make its "
                "parts with the same input, model, options and versions."
            )
    return jobs[0] if jobs else None


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


def check_target(target: Path, overwrite: bool, job_name: str | None = None) -> None:
    """Raise ElmoError, before the work, if the output cannot be written or exists already.

    It may exist if a killed process left it with something to clean up; it must be of the
    job ``job_name``.
    """
    check_name(target)
    if target.is_dir():
        raise ElmoError(f"Cannot write {target}: it is a folder.")
    if not target.absolute().parent.is_dir():
        raise ElmoError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    done = finished_note(PartsFolder.beside(target).lock_path, target)
    if done is None or job_name not in (None, done["job"]):
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
    target: Path,
    folder: PartsFolder,
    lock: OutputLock,
    job: Job,
    results: RecordVectors,
    *,
    overwrite: bool,
) -> None:
    """Write the output inside the folder of parts, then give it its name."""
    with folder.new_whole() as whole:
        writer_for(target).write(whole, job.layout, results)
        sync(whole)
        lock.check()
        # Before the file gets its name: if killed after that, the next run only has to clean up.
        lock.remember_finished(whole, job.name, summary(job, target))
        put_in_place(whole, target, overwrite=overwrite)
    sync(target.absolute().parent)


def join_parts(
    target: Path,
    folder: PartsFolder,
    lock: OutputLock,
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
        write_output(target, folder, lock, job, with_progress(results, bar), overwrite=overwrite)


@contextlib.contextmanager
def explaining_disk_errors(
    target: Path, folder: PartsFolder, job: Job | None = None
) -> Iterator[None]:
    """Turn an OSError into an ElmoError that says how much of the work is saved."""
    try:
        yield
    except OSError as error:
        # Libraries write messages of many lines, with the system's reason somewhere among them.
        reason = os.strerror(error.errno) if error.errno else " ".join(str(error).split())
        raise ElmoError(f"Cannot write {target}: {reason}.{_saved(folder, job)}") from error


def _saved(folder: PartsFolder, job: Job | None) -> str:
    n_finished = 0
    if job is not None:
        with contextlib.suppress(OSError):
            n_finished = sum(folder.has(job, number) for number in range(len(job.parts)))
    if job is None or not n_finished:
        return ""
    return (
        f" {n_finished} of {len(job.parts)} parts are finished and stay in {folder.path}: make "
        "room, and run the same command again."
    )


def summary(job: Job, target: Path) -> dict[str, Any]:
    """The part of a run's summary that its job decides, ready for JSON."""
    layout, layers = job.layout, job.identity["layers"]
    return {
        "output": str(target),
        "sentences": layout.sentences,
        "tokens": layout.tokens,
        "words_cut": sum(part.words_cut for part in job.parts),
        "blank_lines": job.blank,
        "layers": int(layers) if re.fullmatch("-?[0-9]{1,9}", layers) else layers,
        "pooling": job.identity["pooling"],
        "dtype": layout.dtype,
        "dim": layout.shape[-1],
        "parts": len(job.parts),
    }
