"""Checkpoints of a run: the state on the devices, and the place in the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..errors import ElmoError
from .step import TrainState
from .streams import StreamPosition


class Checkpoints:
    """The latest checkpoints in a folder, each one complete or not there at all.

    Args:
        folder: made if need be.
        keep: how many stay.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        # Orbax takes a second to import, which only training should pay.
        import orbax.checkpoint as ocp

        self._ocp, self.folder = ocp, folder
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=True, enable_async_checkpointing=False
        )
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def latest(self) -> int | None:
        """The step of the last checkpoint, if there is one."""
        step: int | None = self._manager.latest_step()
        return step

    def save(self, step: int, state: TrainState, position: StreamPosition) -> None:
        """Write a checkpoint; one of the same step that is there already is kept."""
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
        """Read a checkpoint, as NumPy arrays.

        Args:
            step: of the checkpoint.
            like: a state of the same shapes.

        Raises:
            ElmoError: if it cannot be read, or is that of another model.
        """
        args = self._ocp.args
        try:
            restored = self._manager.restore(
                step,
                args=args.Composite(
                    state=args.StandardRestore(_on_host(like)), position=args.JsonRestore()
                ),
            )
        except Exception as error:  # Orbax raises whatever its storage raises
            raise ElmoError(
                f"Cannot read the checkpoint of step {step} in {self.folder}: {error}. Remove "
                f"{self.folder / str(step)} to go on from the one before."
            ) from error
        try:
            position = StreamPosition.from_json(restored["position"])
        except ElmoError as error:
            raise ElmoError(
                f"Cannot go on from the checkpoints in {self.folder}: {error}"
            ) from None
        return restored["state"], position

    def close(self) -> None:
        """Let go of the folder."""
        self._manager.close()


def _on_host(state: TrainState) -> Any:
    """As NumPy arrays, so that a checkpoint says nothing of the devices, nor of how many."""
    return jax.tree.map(np.asarray, state)
