"""The checkpoints of a run: written whole or not at all, and read only if they are whole.

checkpoints/24/state.npz         the arrays of the state after step 24
checkpoints/24/position.json     where the streams are in the text
checkpoints/24/checkpoint.json   whose they are, and the hash of each file
"""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ..errors import ElmoError, ElmoWarning, warn
from ..files import sha256_of
from ..folders import atomic_folder
from ..json_text import parse_json_object, to_json
from .reporting import Reported
from .sealed_json import read_sealed, write_sealed
from .streams import StreamPosition
from .train_step import TrainState

_STATE, _POSITION, _RECORD = "state.npz", "position.json", "checkpoint.json"

_BAD_ARRAYS = (OSError, EOFError, ValueError, KeyError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What NumPy raises for a file that does not hold what it should."""


class CheckpointNotWritten(ElmoError):
    """A checkpoint cannot be written."""


class Checkpoint(NamedTuple):
    """What a run needs to continue after a step."""

    step: int
    state: TrainState  # as NumPy arrays
    position: StreamPosition
    reported: Reported


class Checkpoints:
    """The latest checkpoints of a run.

    ``owner`` says which run they belong to: a few hashes, ready for JSON. A checkpoint of another
    owner is refused. Only the process that holds the lock of the run may use this.
    """

    def __init__(self, folder: Path, n_latest: int, owner: Mapping[str, str]) -> None:
        self.folder, self._n_latest, self._owner = folder, n_latest, dict(owner)
        self.latest: int | None = None  # the step of the last one that was written or restored

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, unless the latest one is of the same step; remove old ones.

        Raises:
            CheckpointNotWritten: if there is no room, for instance. The earlier ones stay.
        """
        step = checkpoint.step
        if step == self.latest:
            return
        folder = self.folder / str(step)
        try:
            self.folder.mkdir(exist_ok=True)
            if folder.is_symlink():
                raise ElmoError(f"{folder} is a link")
            self._remove_leftovers()
            # Later ones were damaged, or this run would have resumed from them.
            for later in steps_in(self.folder):
                if later >= step:
                    _remove(self.folder / str(later))
            with atomic_folder(folder) as temporary:
                self._write(temporary, checkpoint)
        except (OSError, ElmoError) as error:
            raise CheckpointNotWritten(self._failure(step, error)) from error
        self.latest = step
        with contextlib.suppress(OSError, ElmoError):  # one too many does no harm
            for old in steps_in(self.folder)[: -self._n_latest]:
                _remove(self.folder / str(old))

    def restore(self, like: TrainState) -> Checkpoint | None:
        """The latest whole checkpoint, with arrays of the shapes of ``like``; None without any.

        Warns:
            ElmoWarning: if later ones are damaged.

        Raises:
            ElmoError: if all are damaged, or the latest whole one belongs to another run.
        """
        problems = []
        for step in reversed(steps_in(self.folder)):
            try:
                checkpoint = self._read(self.folder / str(step), step, like)
            except _Damaged as error:
                problems.append(str(error))
                continue
            if problems:
                warn(
                    f"A checkpoint is damaged: {problems[0]} Training resumes from the one before "
                    f"it, of step {step}.",
                    ElmoWarning,
                )
            self.latest = step
            return checkpoint
        if problems:
            raise ElmoError(
                f"No checkpoint in {self.folder} is whole. {problems[0]} Put back a copy of the "
                "folder, or remove it to train from the start."
            )
        return None

    def _write(self, folder: Path, checkpoint: Checkpoint) -> None:
        with zipfile.ZipFile(folder / _STATE, "x") as archive:  # what np.savez writes, too
            for name, array in _named_arrays(checkpoint.state).items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
        position = to_json(checkpoint.position.to_json()) + "\n"
        (folder / _POSITION).write_text(position, encoding="utf-8")
        record = {
            "step": checkpoint.step,
            "owner": self._owner,
            "reported": checkpoint.reported._asdict(),
            "files": {name: sha256_of(folder / name) for name in (_STATE, _POSITION)},
        }
        write_sealed(folder / _RECORD, record)

    def _read(self, folder: Path, step: int, like: TrainState) -> Checkpoint:
        record = self._checked_record(folder, step)
        try:
            content = (folder / _POSITION).read_bytes()
            position = StreamPosition.from_json(parse_json_object(content, str(folder / _POSITION)))
            reported = Reported.from_json(record["reported"])
            state = _state_like(like, folder / _STATE)
            if int(state.step) != step:
                raise ValueError(f"its state is that of step {int(state.step)}")
        except _BAD_ARRAYS as error:
            raise _Damaged(f"Cannot read {folder}: {error}.") from None
        return Checkpoint(step, state, position, reported)

    def _checked_record(self, folder: Path, step: int) -> dict[str, Any]:
        """The content of checkpoint.json, whose files all have their hashes."""
        path = folder / _RECORD
        try:
            record = read_sealed(path, "")
        except ElmoError as error:
            raise _Damaged(str(error).strip()) from None
        if record is None:
            raise _Damaged(f"{path} is missing, so it is unfinished or of an earlier version.")
        files = record.get("files")
        if (
            record.get("step") != step
            or not isinstance(files, dict)
            or files.keys() != {_STATE, _POSITION}
        ):
            raise _Damaged(f"{path} does not describe the checkpoint of step {step}.")
        if record.get("owner") != self._owner:
            raise ElmoError(
                f"{folder} is a checkpoint of another run, or its run.json or vocab.txt has been "
                "replaced. Put back the files that belong together, or remove the checkpoint."
            )
        for name, digest in files.items():
            try:
                is_same = sha256_of(folder / name) == digest
            except OSError as error:
                raise _Damaged(f"Cannot read {folder / name}: {error.strerror or error}.") from None
            if not is_same:
                raise _Damaged(f"{folder / name} has another SHA-256 than when it was written.")
        return record

    def _failure(self, step: int, error: Exception) -> str:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = (isinstance(cause, OSError) and cause.strerror) or str(cause)
        whole = "No checkpoint was written before"
        if self.latest is not None:
            whole = f"The last whole checkpoint is that of step {self.latest}"
        return (
            f"Cannot write the checkpoint of step {step} in {self.folder}: {reason.rstrip('.')}. "
            f"{whole}; when the cause is removed, the same command resumes."
        )

    def _remove_leftovers(self) -> None:
        """Remove what processes that were killed left of checkpoints they wrote or removed."""
        for path in self.folder.glob(".*.tmp"):
            if path.name[1:].partition(".")[0].isdecimal():
                shutil.rmtree(path, ignore_errors=True)


class _Damaged(Exception):
    """A checkpoint is not as it was written."""


def steps_in(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder, damaged ones too, rising.

    Raises:
        ElmoError: if the folder cannot be read. An empty list would start the run again.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ElmoError(f"Cannot read {folder}: {error.strerror or error}.") from None
    return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))


def _remove(folder: Path) -> None:
    # Under another name first: what a killed process leaves must not look like a checkpoint.
    doomed = folder.with_name(f".{folder.name}.old.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _named_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """The arrays of a state by their paths, on the host: they do not depend on the devices."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return {_name(path): np.asarray(leaf) for path, leaf in leaves}


def _state_like(like: TrainState, path: Path) -> TrainState:
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    arrays = []
    with np.load(path, allow_pickle=False) as stored:
        for key_path, leaf in leaves:
            name = _name(key_path)
            array = stored[name]
            if (array.shape, array.dtype) != (leaf.shape, leaf.dtype):
                raise ValueError(
                    f"{name} is {array.dtype} {array.shape}, expected {leaf.dtype} {leaf.shape}"
                )
            arrays.append(array)
    return jax.tree_util.tree_unflatten(structure, arrays)


def _name(path: Any) -> str:
    """The keys of a path joined by dots, whatever kinds of keys they are."""
    keys = [getattr(key, "name", getattr(key, "key", getattr(key, "idx", None))) for key in path]
    return ".".join(map(str, keys))
