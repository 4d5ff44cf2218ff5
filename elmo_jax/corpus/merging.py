"""Turn finished parts into one file, whether one process made them or many."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import ElmoError, counted, noting_interrupts
from ..files import check_name, check_space, put_in_place, refuse_existing, shown_size, sync
from ..progress import progress_bar, with_progress
from .job import Job
from .lock import AtWorkError, OutputLock, finished_note
from .parts import PartsFolder
from .sources import (
    Names,
    can_be_locked,
    common_job,
    find_sources,
    is_same,
    locate_parts,
    refuse_missing,
    sources_so_far,
)
from .waiting import check_wait, missing_parts, running_shards, wait_for_parts
from .writers import FileLayout, RecordVectors, check_layout, writer_for

# A shard holds the lock of the output a moment longer than its own.
_MOST_TRIES, _SECONDS_BETWEEN_TRIES = 20, 0.1


def merge_parts(
    sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    wait: bool | float = False,
    overwrite: bool = False,
    progress: bool = False,
    note: Callable[[str], object] = lambda _: None,
) -> dict[str, Any]:
    """Join the shards of ``embed_corpus``. The file has the same bytes as without shards.

    Args:
        sources: folders of parts, or the outputs they belong to: ``out.h5`` stands for
            ``out.h5.parts``.
        output: the file. Its suffix decides the format, whatever suffix the shards had. A single
            source also names the output.
        wait: wait for missing parts. True: as long as the locks show a process working on a shard.
            A number: for at most that many seconds, whatever the locks show. Processes see the
            locks on their own host, and those on other hosts if the shared disk supports locks.
        overwrite: replace an existing output.
        progress: show a bar on stderr, if that is a terminal.
        note: called with notes for the user.

    Returns:
        A summary of the parts, ready for JSON, with the same names as ``embed_corpus``. The folder
        of parts beside the output is removed; other folders stay.

    Raises:
        AtWorkError: if another process is working on the output.
        ElmoError: if a part is missing or damaged, parts belong to different jobs, or the output
            cannot be written. For missing parts, it names their shards if they are known.

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
    check_wait(wait)
    began = time.perf_counter()
    with explaining_disk_errors(target, folder), contextlib.ExitStack() as stack:
        # Without the lock, which shards that are at work or about to begin share.
        if finished_note(folder.lock_path, target) is None:
            if wait is not False:
                look = functools.partial(_sources_of, target, source_names, overwrite)
                limit = None if wait is True else wait
                wait_for_parts(look, limit, progress=progress, note=note)
            folders = find_sources(source_names, folder, is_removed=False)
            if running_shards(folders) and (job := common_job(folders)) is not None:
                refuse_missing(folders, job)
        lock = _enter_lock(stack, folder, n_tries=1 if wait is False else _MOST_TRIES)
        done = finished_note(folder.lock_path, target)
        folders = find_sources(source_names, folder, is_removed=done is not None)
        job = common_job(folders)
        stack.enter_context(noting_interrupts(functools.partial(_what_stays, folders)))
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


def _what_stays(folders: Sequence[PartsFolder]) -> str:
    if not all(folder.size() for folder in folders):
        return ""
    return "the parts are kept, and the same call joins them"


def _sources_of(
    target: Path, names: Names, overwrite: bool
) -> tuple[list[PartsFolder], Job | None]:
    check_target(target, overwrite)  # another process may have merged meanwhile
    return sources_so_far(names)


def merge_if_last(
    target: Path,
    *,
    overwrite: bool,
    progress: bool,
    note: Callable[[str], object],
) -> dict[str, Any] | None:
    """What ``merge_parts`` does, by the shard that is the last to finish; None for any other.

    Every shard calls this when it has let go of its locks. One that finds all parts, but another
    process at work, leaves them to that: it merges already, or is a shard that will call this too.
    """
    folder = PartsFolder.beside(target)
    try:
        job = folder.job()
        if job is None or missing_parts([folder], job):
            return None
        return merge_parts(target, overwrite=overwrite, progress=progress, note=note)
    except AtWorkError:
        return None
    except ElmoError:
        if folder.job() is None:  # another process has just merged
            return None
        raise


def _enter_lock(stack: contextlib.ExitStack, folder: PartsFolder, n_tries: int) -> OutputLock:
    while True:
        try:
            return stack.enter_context(folder.locked())
        except AtWorkError:
            n_tries -= 1
            if not n_tries:
                raise
        time.sleep(_SECONDS_BETWEEN_TRIES)


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
            if not is_same(source, folder) and can_be_locked(source):
                stack.enter_context(source.locked(shared=True))
            source.check_links()
        stack.enter_context(folder.opened(job))
        stack.enter_context(explaining_disk_errors(target, folder, job))
        folder_of_part = locate_parts(sources, job)
        n_bytes = announce_output(target, job.layout, counted(len(job.parts), "part"), note)
        check_space(target, n_bytes)
        join_parts(
            target, folder, lock, job, folder_of_part, overwrite=overwrite, progress=progress
        )
    return summary(job, target)


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
        shown = with_progress(results, bar, lambda pair: len(pair[0].words))
        write_output(target, folder, lock, job, shown, overwrite=overwrite)


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
