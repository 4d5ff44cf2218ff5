"""PartsFolder: the finished parts of a job, beside the file that they will become.

For ``out.h5`` it is ``out.h5.parts/``: ``manifest.json`` with the job, one file a finished part,
and the whole file while it is put together. Everything in it appears under its name when it is
complete, so a process may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from ..errors import ElmoError
from ..files import whole_file
from .job import Job
from .locks import locked
from .part_files import is_part, read_part, write_part
from .writers import Results

_MANIFEST, _FINISHED, _LOCK, _WHOLE = "manifest.json", "finished.json", "lock", "whole.tmp"
_KINDS = ("part-*.zip", "*.tmp", "lock*", _MANIFEST, _FINISHED)
"""What may be in it, in the order in which it is removed."""


class PartsFolder:
    """The folder of one output.

    Attributes:
        path: of the folder, which need not exist.
        whole: where the file is put together that is then renamed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.whole = path, path / _WHOLE

    @classmethod
    def beside(cls, target: Path) -> PartsFolder:
        """The folder for an output."""
        return cls(target.with_name(f"{target.name}.parts"))

    @contextlib.contextmanager
    def opened(
        self, job: Job, shard: tuple[int, int] | None = None, *, restart: bool = False
    ) -> Iterator[None]:
        """Make the folder or go on in it, alone, or with the other shards.

        On an error the folder goes again if no part is finished, unless other shards may use it.

        Args:
            job: whose folder it is.
            shard: the shard of this process.
            restart: drop what it holds first: of this job the shard's parts, of another all.

        Raises:
            ElmoError: if it cannot be made, holds something else, or is in use.
        """
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise ElmoError(f"Cannot make the folder {self.path}: {error.strerror}.") from None
        self._check_contents()
        if restart:
            with locked(self.path / _LOCK):
                self._drop(job, shard)
        alone = locked(self.path / _LOCK, shared=shard is not None)
        own = contextlib.nullcontext() if shard is None else self._shard_lock(shard)
        with alone, own:
            there = self.job()
            if there is not None and (differing := job.differences(there)):
                raise ElmoError(
                    f"{self.path} holds parts of another job ({differing}). Finish that one with "
                    "its own command, choose another output, or drop its parts with --restart."
                )
            try:
                if there is None:
                    with whole_file(self.path / _MANIFEST) as temporary:
                        temporary.write_text(job.manifest(), "utf-8")
                yield
            except BaseException:
                if shard is None and not any(self.path.glob("part-*.zip")):
                    self.remove()
                raise

    def _shard_lock(self, shard: tuple[int, int]) -> contextlib.AbstractContextManager[None]:
        return locked(self.path / f"{_LOCK}-{shard[0]}-of-{shard[1]}")

    def _check_contents(self) -> None:
        known = {path for kind in _KINDS for path in self.path.glob(kind)}
        foreign = sorted(path.name for path in self.path.iterdir() if path not in known)
        if foreign:
            raise ElmoError(
                f"{self.path} is needed for finished parts, but holds {foreign[0]}, which is "
                "none. Move that folder away, or choose another output."
            )

    def job(self) -> Job | None:
        """The job whose parts are in the folder; None where there is none.

        Raises:
            ElmoError: if its manifest cannot be read.
        """
        manifest = self.path / _MANIFEST
        if not manifest.is_file():
            return None
        try:
            return Job.of_manifest(manifest.read_text("utf-8"))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ElmoError(
                f"Cannot read {manifest}: {error}. It may be of another version of elmo-jax; "
                "--restart drops the parts and begins anew."
            ) from None

    def has(self, job: Job, number: int) -> bool:
        """Whether a part is finished."""
        return is_part(self._part(number), _owner(job, number))

    def write(self, job: Job, number: int, results: Results) -> None:
        """Write a part."""
        write_part(self._part(number), _owner(job, number), results)

    def read(self, job: Job, number: int) -> Results:
        """A finished part's records and vectors."""
        return read_part(self._part(number), job.layout)

    def size(self) -> int:
        """Bytes of the finished parts."""
        return sum(part.stat().st_size for part in self.path.glob("part-*.zip"))

    def remember_finished(self) -> None:
        """Note that the whole file is about to get its name."""
        with whole_file(self.path / _FINISHED) as temporary:
            temporary.write_text(json.dumps(_stamp(self.whole)), "utf-8")

    def has_finished(self, target: Path) -> bool:
        """Whether ``target`` came out of this folder: only the folder's removal was missed."""
        try:
            return bool(json.loads((self.path / _FINISHED).read_text("utf-8")) == _stamp(target))
        except (OSError, ValueError):
            return False

    def remove(self) -> None:
        """Remove the folder and what belongs in it."""
        self._empty()
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def _drop(self, job: Job, shard: tuple[int, int] | None) -> None:
        """What ``restart`` drops: the other shards of the same job keep their parts."""
        try:
            there = self.job()
        except ElmoError:
            there = None
        if shard is None or there is None or job.differences(there):
            self._empty(keep=("lock*",))
        for number in job.shard(shard):
            self._part(number).unlink(missing_ok=True)

    def _empty(self, keep: tuple[str, ...] = ()) -> None:
        for kind in _KINDS:
            for path in self.path.glob(kind) if kind not in keep else ():
                path.unlink(missing_ok=True)

    def _part(self, number: int) -> Path:
        return self.path / f"part-{number:06}.zip"


def _owner(job: Job, number: int) -> dict[str, object]:
    return {"job": job.name, "part": number, "digest": job.parts[number].digest}


def _stamp(path: Path) -> list[int]:
    """What stays of a file when it is renamed."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]
