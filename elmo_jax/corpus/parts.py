"""Finished parts on the disk: a zip for each, in a folder beside the file that they become.

For ``out.h5`` the folder is ``out.h5.parts/``. It holds ``manifest.json`` with the job, a file for
each finished part, and the whole file while that is put together. Everything in it gets its name
only when it is complete, so a process may be killed at any moment.

A part is a zip because that has checksums, which reveal damage: ``part.json`` says which part of
which job it is, ``vectors`` holds the numbers of all records in order, and ``records.jsonl`` has
one line per record.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import ElmoError
from ..files import durable_file, try_lock
from ..text.readers import Record
from .job import Job
from .writers import FileLayout, RecordVectors

_MANIFEST, _FINISHED, _LOCK, _WHOLE = "manifest.json", "finished.json", "lock", "whole.tmp"
# In the order of their removal: a folder that still has parts also has their manifest.
_PATTERNS = ("part-*.zip", "*.tmp", "lock*", _MANIFEST, _FINISHED)

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError)


class PartsFolder:
    """The folder for the parts of one output; it need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.whole = path / _WHOLE  # where the output is put together before it gets its name

    @classmethod
    def beside(cls, target: Path) -> PartsFolder:
        """The folder for an output."""
        return cls(target.with_name(f"{target.name}.parts"))

    @contextlib.contextmanager
    def opened(
        self, job: Job, shard: tuple[int, int] | None = None, *, restart: bool = False
    ) -> Iterator[None]:
        """Make the folder, or continue in it: alone, or beside processes with other shards.

        ``restart`` first removes the shard's parts, or all parts if they are of another job. After
        an error the folder goes if it has no finished part and no other shard can be using it.
        Raises ElmoError if the folder cannot be made, holds something else, or is in use.
        """
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise ElmoError(f"Cannot make the folder {self.path}: {error.strerror}.") from None
        self._check_contents()
        if restart:
            with _locked(self.path / _LOCK):
                self._remove_parts(job, shard)
        with contextlib.ExitStack() as locks:
            # Shards share the folder's lock; each has a lock of its own besides.
            locks.enter_context(_locked(self.path / _LOCK, shared=shard is not None))
            if shard is not None:
                locks.enter_context(_locked(self.path / f"{_LOCK}-{shard[0]}-of-{shard[1]}"))
            earlier = self.job()
            if earlier and (differences := job.differences(earlier)):
                raise ElmoError(
                    f"{self.path} holds parts of another job ({differences}). Finish that job with "
                    "its own command, choose another output, or remove its parts with --restart."
                )
            try:
                if earlier is None:
                    with durable_file(self.path / _MANIFEST) as temporary:
                        temporary.write_text(job.to_manifest(), "utf-8")
                yield
            except BaseException:
                if shard is None and not any(self.path.glob("part-*.zip")):
                    self.remove()
                raise

    def _check_contents(self) -> None:
        own = {path for pattern in _PATTERNS for path in self.path.glob(pattern)}
        foreign = sorted(path.name for path in self.path.iterdir() if path not in own)
        if foreign:
            raise ElmoError(
                f"{self.path} is needed for finished parts, but holds {foreign[0]}, which is not "
                "one. Move that folder away, or choose another output."
            )

    def job(self) -> Job | None:
        """The job whose parts are in the folder; None without a manifest."""
        manifest = self.path / _MANIFEST
        if not manifest.is_file():
            return None
        try:
            return Job.from_manifest(manifest.read_text("utf-8"))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ElmoError(
                f"Cannot read {manifest}: {error}. It may come from another version of elmo-jax; "
                "--restart removes the parts and starts again."
            ) from None

    def has(self, job: Job, number: int) -> bool:
        """Whether a part is finished. Its vectors are not looked at."""
        try:
            with zipfile.ZipFile(self._part(number)) as archive:
                return bool(json.loads(archive.read("part.json")) == _label(job, number))
        except (OSError, *_DAMAGE):
            return False

    def write(self, job: Job, number: int, results: RecordVectors) -> None:
        """Write a part. The file appears when it is complete and on the disk."""
        lines: list[str] = []
        with (
            durable_file(self._part(number)) as temporary,
            zipfile.ZipFile(temporary, "w") as archive,
        ):
            # A ZipInfo without a date has a fixed one, so equal parts have equal bytes.
            archive.writestr(zipfile.ZipInfo("part.json"), json.dumps(_label(job, number)))
            with archive.open(zipfile.ZipInfo("vectors"), "w", force_zip64=True) as file:
                for record, vectors in results:
                    file.write(np.ascontiguousarray(vectors).data)
                    lines.append(record.line())
            with archive.open(zipfile.ZipInfo("records.jsonl"), "w", force_zip64=True) as file:
                for line in lines:
                    file.write(line.encode("utf-8"))

    def read(self, job: Job, number: int) -> RecordVectors:
        """Read a finished part record by record. Raises ElmoError if it is damaged."""
        path = self._part(number)
        try:
            with (
                zipfile.ZipFile(path) as archive,
                archive.open("vectors") as values,
                archive.open("records.jsonl") as lines,
            ):
                for line in io.TextIOWrapper(lines, "utf-8"):
                    record = Record.from_line(line)
                    yield record, _read_vectors(values, job.layout, len(record.words))
                if values.read(1):  # this read at the end also compares the checksum
                    raise EOFError("numbers are left over")
        except _DAMAGE as error:
            raise ElmoError(
                f"The part {path} is damaged ({error}). Remove it, and run its `elmo-jax embed` "
                "command again."
            ) from None

    def size(self) -> int:
        """Bytes of the finished parts."""
        return sum(part.stat().st_size for part in self.path.glob("part-*.zip"))

    def remember_finished(self) -> None:
        """Note that the whole file is about to get its name."""
        with durable_file(self.path / _FINISHED) as temporary:
            temporary.write_text(json.dumps(_stamp(self.whole)), "utf-8")

    def has_finished(self, target: Path) -> bool:
        """Whether ``target`` came out of this folder, and only the folder was not removed."""
        try:
            return bool(json.loads((self.path / _FINISHED).read_text("utf-8")) == _stamp(target))
        except (OSError, ValueError):
            return False

    def remove(self) -> None:
        """Remove the folder with all its own files."""
        self._remove_files(_PATTERNS)
        with contextlib.suppress(OSError):  # it may hold files of others
            self.path.rmdir()

    def _remove_parts(self, job: Job, shard: tuple[int, int] | None) -> None:
        """For ``restart``: other shards of the same job keep their parts."""
        try:
            earlier = self.job()
        except ElmoError:
            earlier = None
        if shard is None or earlier is None or job.differences(earlier):
            self._remove_files(pattern for pattern in _PATTERNS if pattern != "lock*")
        for number in job.parts_of_shard(shard):
            self._part(number).unlink(missing_ok=True)

    def _remove_files(self, patterns: Iterable[str]) -> None:
        for pattern in patterns:
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)

    def _part(self, number: int) -> Path:
        return self.path / f"part-{number:06}.zip"


def _label(job: Job, number: int) -> dict[str, object]:
    return {"job": job.name, "part": number, "digest": job.parts[number].digest}


def _stamp(path: Path) -> list[int]:
    """Size and time of change, which a file keeps when it is renamed."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


@contextlib.contextmanager
def _locked(file: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock on ``file``, which is created. Raises ElmoError if another process holds it."""
    if os.name == "nt":  # Windows could not remove the open file with the folder
        yield
        return
    with file.open("a") as opened:
        if not try_lock(opened.fileno(), shared=shared):
            raise ElmoError(
                f"Another process is at work in {file.parent}. Wait until it has ended."
            )
        yield


def _read_vectors(file: IO[bytes], layout: FileLayout, n_tokens: int) -> np.ndarray:
    """The vectors of the next record."""
    shape = layout.shape if layout.pooled else (*layout.shape[:-1], n_tokens, layout.shape[-1])
    n_bytes = int(np.prod(shape)) * np.dtype(layout.dtype).itemsize
    content = file.read(n_bytes)
    if len(content) != n_bytes:
        raise EOFError("numbers are missing")
    return np.frombuffer(content, layout.dtype).reshape(shape)
