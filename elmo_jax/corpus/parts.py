"""Finished parts on the disk: a zip for each, in a folder beside the file that they become.

For ``out.h5`` the folder is ``out.h5.parts/``. It holds ``manifest.json`` with the job, a file for
each finished part, and the whole file while that is put together. Everything in it gets its name
only when it is complete, so a process may be killed at any moment.

The folder may hold only these files, no links and nothing of a user's: whatever else is in it is
named in an error, and never opened or removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import ElmoError
from ..files import TEMPORARY_NAME, durable_file, new_temporary, open_regular, try_lock
from . import part_file
from .job import Job
from .lock import OutputLock, held
from .writers import RecordVectors

_MANIFEST = "manifest.json"
_PART, _SHARD_LOCK = r"part-[0-9]{6,}\.zip", r"lock-[0-9]+-of-[0-9]+"
# The names in quotes are those of an output that is put together, see ``writers``.
_TEMPORARY = TEMPORARY_NAME.format(name=rf"({_PART}|manifest\.json|whole|offsets|keys)")
# In the order of their removal: a folder that still has parts also has their manifest.
_OWN_NAMES = tuple(map(re.compile, (_PART, _TEMPORARY, re.escape(_MANIFEST), _SHARD_LOCK)))

# A process that only looks who is at work holds a shard's lock for a moment.
_MOST_TRIES, _SECONDS_BETWEEN_TRIES = 3, 0.05


class PartsFolder:
    """The folder for the parts of one output; it need not exist."""

    def __init__(self, path: Path, target: Path | None = None) -> None:
        self.path, self.target = path, target
        named = Path(os.path.realpath(path)) if path.name in ("", "..") else path
        self.lock_path = Path(f"{named}.lock")

    @classmethod
    def beside(cls, target: Path) -> PartsFolder:
        """The folder for an output."""
        return cls(Path(f"{target}.parts"), target)

    def locked(self, *, shared: bool = False) -> contextlib.AbstractContextManager[OutputLock]:
        """Keep other processes away from the folder, which need not exist, and from its output."""
        return held(self.lock_path, self.target, shared=shared)

    @contextlib.contextmanager
    def opened(self, job: Job, shard: tuple[int, int] | None = None) -> Iterator[None]:
        """Make the folder or continue in it, under its lock; a shard has a lock of its own besides.

        After an error the folder goes if it has no finished part and no other shard can be using
        it. Raises ElmoError if the folder cannot be made, holds something else, or is in use.
        """
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise ElmoError(f"Cannot make the folder {self.path}: {error.strerror}.") from None
        self.check_contents()
        if shard is None:
            self._remove_files(re.compile(_TEMPORARY))  # of processes that were killed
        with contextlib.ExitStack() as stack:
            if shard is not None:
                stack.enter_context(_shard_locked(self.path / "lock-{}-of-{}".format(*shard)))
            try:
                self._check_job(job)
                yield
            except BaseException:
                if shard is None and not self._paths(re.compile(_PART)):
                    self.remove()
                raise

    def restart(self, job: Job, shard: tuple[int, int] | None) -> None:
        """Remove a shard's parts, or all parts if ``shard`` is None or they are of another job."""
        if not os.path.lexists(self.path):
            return
        self.check_contents()
        try:
            earlier = self.job()
        except ElmoError:
            earlier = None
        if shard is None or earlier is None or job.differences(earlier):
            self.remove()
            return
        for number in job.parts_of_shard(shard):
            self._part(number).unlink(missing_ok=True)

    def check_contents(self) -> None:
        """Raise ElmoError if the folder is a link, or has anything but own, regular files."""
        if self.path.is_symlink():
            raise ElmoError(
                f"{self.path} is needed for finished parts, but is a symbolic link. Move it away, "
                "or choose another output."
            )
        foreign = [e.name for e in self._entries() if not (_has_own_name(e) and _is_regular(e))]
        if foreign:
            raise ElmoError(
                f"{self.path} is needed for finished parts, but holds {min(foreign)}, which is not "
                "one. Move that away, or choose another output."
            )

    def check_links(self) -> None:
        """Raise ElmoError if something is named as a part or a manifest, but is no regular file.

        This is for a folder that is only read: it may hold other files.
        """
        links = [e.name for e in self._entries() if _has_own_name(e) and not _is_regular(e)]
        if links:
            raise ElmoError(
                f"{self.path / min(links)} is a link or a folder, expected a file. Copy the file "
                "itself to that place."
            )

    def _entries(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.path) as entries:
                return list(entries)
        except OSError as error:
            raise ElmoError(f"Cannot read the folder {self.path}: {error.strerror}.") from None

    def _check_job(self, job: Job) -> None:
        earlier = self.job()
        if earlier is None:
            # Another shard may do the same at this moment: the first one's manifest stays.
            with contextlib.suppress(ElmoError):
                with durable_file(self.path / _MANIFEST, overwrite=False) as temporary:
                    temporary.write_text(job.to_manifest(), "utf-8")
                return
            earlier = self.job()
        if earlier is None or (differences := job.differences(earlier)):
            reason = differences if earlier else "it has just gone"
            raise ElmoError(
                f"{self.path} holds parts of another job ({reason}). Finish that job with "
                "its own command, choose another output, or remove its parts with restart=True."
            )

    def job(self) -> Job | None:
        """The job whose parts are in the folder; None without a manifest."""
        manifest = self.path / _MANIFEST
        try:
            with open(open_regular(manifest), "rb") as file:  # noqa: PTH123 - a descriptor
                content = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ElmoError(f"Cannot read {manifest}: {error.strerror or error}.") from None
        try:
            return Job.from_manifest(content)
        except ElmoError as error:
            raise ElmoError(
                f"Cannot read {manifest}: {str(error).rstrip('.')}. It is damaged, or comes from "
                "another version of elmo-jax; restart=True removes the parts and starts again."
            ) from None

    def has(self, job: Job, number: int) -> bool:
        """Whether a part is finished. Its vectors are not looked at."""
        return part_file.is_part(self._part(number), job, number)

    def write(self, job: Job, number: int, results: RecordVectors) -> None:
        """Write a part. The file appears when it is complete and on the disk."""
        with durable_file(self._part(number)) as temporary:
            part_file.write(temporary, job, number, results)

    def read(self, job: Job, number: int) -> RecordVectors:
        """Read a finished part record by record. Raises ElmoError if it is damaged."""
        return part_file.read(self._part(number), job, number)

    def new_whole(self) -> contextlib.AbstractContextManager[Path]:
        """A new file in which the output is put together before it gets its name."""
        return new_temporary(self.path / "whole")

    def shards(self) -> dict[tuple[int, int], bool]:
        """The shards that have begun in the folder, and whether a process holds their lock."""
        shards = {}
        for path in self._paths(re.compile(_SHARD_LOCK)):
            i, n = map(int, re.findall("[0-9]+", path.name))
            shards[i, n] = _is_locked(path)
        return shards

    def size(self) -> int:
        """Bytes of the finished parts."""
        return sum(part.stat().st_size for part in self._paths(re.compile(_PART)))

    def remove(self) -> None:
        """Remove the folder with all its own files."""
        for names in _OWN_NAMES:
            self._remove_files(names)
        with contextlib.suppress(OSError):  # it may hold files of others
            self.path.rmdir()

    def _remove_files(self, names: re.Pattern[str]) -> None:
        for path in self._paths(names):
            path.unlink(missing_ok=True)

    def _paths(self, names: re.Pattern[str]) -> list[Path]:
        try:
            return [path for path in self.path.iterdir() if names.fullmatch(path.name)]
        except FileNotFoundError:
            return []

    def _part(self, number: int) -> Path:
        return self.path / f"part-{number:06}.zip"


def _has_own_name(entry: os.DirEntry[str]) -> bool:
    return any(names.fullmatch(entry.name) for names in _OWN_NAMES)


def _is_regular(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except FileNotFoundError:
        return True  # another shard has just renamed or removed it


@contextlib.contextmanager
def _shard_locked(path: Path) -> Iterator[None]:
    try:
        descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise ElmoError(f"Cannot make the lock {path}: {error.strerror or error}.") from None
    try:
        n_tries = 1
        while not try_lock(descriptor):
            if n_tries == _MOST_TRIES:
                raise ElmoError(
                    f"Another process is making this shard in {path.parent}. Wait until it has "
                    "ended."
                )
            n_tries += 1
            time.sleep(_SECONDS_BETWEEN_TRIES)
        yield
    finally:
        os.close(descriptor)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = open_regular(path)
    except OSError:  # it has just gone, or nobody could have locked it
        return False
    try:
        return not try_lock(descriptor, shared=True)
    finally:
        os.close(descriptor)
