"""From parts to the file that was asked for, and what every run tells at its end."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from ..files import refuse_existing, sync
from .job import Job
from .parts_folder import PartsFolder
from .progress import advancing, progress_bar
from .writers import Results, writer_for


def check_target(target: Path, overwrite: bool) -> None:
    """See, before the work, that an output can have this name.

    Raises:
        ElmoError: if it is there already, or cannot be.
    """
    if target.is_dir():
        raise ElmoError(f"Cannot write {target}: it is a folder.")
    if not target.absolute().parent.is_dir():
        raise ElmoError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    if not PartsFolder.beside(target).has_finished(target):
        refuse_existing(target, overwrite)


def finish(target: Path, folder: PartsFolder, job: Job, results: Results, overwrite: bool) -> None:
    """Write the whole file into the folder, and give it its name.

    Raises:
        ElmoError: if the output is there by now.
    """
    writer_for(target).write(folder.whole, job.layout, results)
    sync(folder.whole)
    refuse_existing(target, overwrite)
    folder.remember_finished()
    folder.whole.replace(target)
    sync(target.absolute().parent)


@contextlib.contextmanager
def kept(target: Path, folder: PartsFolder, job: Job) -> Iterator[None]:
    """Say of an error while writing what of the work is kept.

    Raises:
        ElmoError: for an OSError.
    """
    try:
        yield
    except OSError as error:
        n_parts = sum(folder.has(job, number) for number in range(len(job.parts)))
        found = (
            f" {n_parts} of {len(job.parts)} parts are finished and stay in {folder.path}: make "
            "room, and run the same command again."
        )
        # What HDF5 says has many lines, the system's reason somewhere among them.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ElmoError(f"Cannot write {target}: {reason}.{found if n_parts else ''}") from error


def join(
    target: Path,
    folder: PartsFolder,
    job: Job,
    sources: Sequence[PartsFolder],
    *,
    overwrite: bool,
    progress: bool,
) -> None:
    """Put the output together from all parts.

    Args:
        target: the output.
        folder: where it is put together.
        job: whose parts they are.
        sources: for each part the folder that has it.
        overwrite: replace an existing output.
        progress: show a bar.
    """
    parts = itertools.chain.from_iterable(
        source.read(job, number) for number, source in enumerate(sources)
    )
    with progress_bar(job.layout.tokens, 0, progress, "joining parts") as bar:
        finish(target, folder, job, advancing(parts, bar), overwrite)


def summary(job: Job, target: Path) -> dict[str, Any]:
    """What a run was about, ready for JSON."""
    identity, layout = job.identity, job.layout
    layers = identity["layers"]
    return {
        "output": str(target),
        "sentences": layout.sentences,
        "tokens": layout.tokens,
        "words_cut": sum(part.cut for part in job.parts),
        "blank_lines": job.blank,
        "layers": int(layers) if layers.lstrip("-").isdigit() else layers,
        "pooling": identity["pooling"],
        "dtype": layout.dtype,
        "dim": layout.shape[-1],
        "parts": len(job.parts),
    }
