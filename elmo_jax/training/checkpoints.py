"""Checkpoints of a run: the state on the devices, and the position in the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..errors import ElmoError
from .streams import StreamPosition
from .train_step import TrainState


class Checkpoints:
    """The latest checkpoints in a folder. Each is either complete or not there at all.

    Args:
        folder: created if it does not exist.
        n_latest: how many checkpoints to keep.
    """

    def __init__(self, folder: Path, n_latest: int) -> None:
        # Importing Orbax takes a second, which only training should cost.
        import orbax.checkpoint as ocp

        self._ocp, self.folder = ocp, folder
        options = ocp.CheckpointManagerOptions(
            max_to_keep=n_latest, create=True, enable_async_checkpointing=False
        )
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def latest(self) -> int | None:
        """The step of the latest checkpoint; None if there is none."""
        step: int | None = self._manager.latest_step()
        return step

    def save(self, step: int, state: TrainState, position: StreamPosition) -> None:
        """Write a checkpoint, unless the latest one is of the same step."""
        if step == self.latest():
            return
        args = self._ocp.args
        self._manager.save(
            step,
            args=args.Composite(
                state=args.StandardSave(_on_host(state)), position=args.JsonSave(position.to_json())
            ),
        )

    def restore(self, step: int, like: TrainState) -> tuple[TrainState, StreamPosition]:
        """Read the checkpoint of a step, as NumPy arrays of the shapes of ``like``.

        Raises:
            ElmoError: if it cannot be read, or belongs to another model.
        """
        args = self._ocp.args
        try:
            restored = self._manager.restore(
                step,
                args=args.Composite(
                    state=args.StandardRestore(_on_host(like)), position=args.JsonRestore()
                ),
            )
        except Exception as error:  # Orbax passes on whatever its storage raises
            raise ElmoError(
                f"Cannot read the checkpoint of step {step} in {self.folder}: {error}. Remove "
                f"{self.folder / str(step)} to resume from the one before."
            ) from error
        try:
            position = StreamPosition.from_json(restored["position"])
        except ElmoError as error:
            raise ElmoError(
                f"Cannot resume from the checkpoints in {self.folder}: {error}"
            ) from None
        return restored["state"], position

    def close(self) -> None:
        """Release the folder."""
        self._manager.close()


def _on_host(state: TrainState) -> Any:
    # NumPy arrays: a checkpoint must not depend on the devices, nor on their number.
    return jax.tree.map(np.asarray, state)
