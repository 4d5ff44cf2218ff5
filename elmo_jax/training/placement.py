"""Data parallelism: the rows of a batch over all devices, the parameters on each."""

from __future__ import annotations

from typing import Any

import jax

from ..errors import ElmoError
from ..lanes.devices import Devices
from ..model.bilm import BiLMState
from .candidates import Candidates
from .step import TrainState
from .windows import Window


class Placement:
    """Which device holds what.

    The computation is that of one device on the whole batch; the compiler splits it along the
    rows, and adds the gradients up.

    Args:
        n_rows: N of the batch.
        devices: all local ones if None.

    Raises:
        ElmoError: if N rows cannot be divided evenly.
    """

    def __init__(self, n_rows: int, devices: list[jax.Device] | None = None) -> None:
        devices = devices or jax.local_devices()
        self.n_devices = len(devices)
        if n_rows % self.n_devices:
            raise ElmoError(
                f"A batch of {n_rows} rows cannot be divided evenly over {self.n_devices} "
                f"devices; expected a multiple of {self.n_devices}."
            )
        self._devices = Devices(devices)

    @property
    def state_shardings(self) -> TrainState:
        """The shardings of a TrainState; those of its parts are prefixes of the parts' trees."""
        everywhere = self._devices.everywhere
        return TrainState(everywhere, everywhere, everywhere, self._devices.divided())  # type: ignore[arg-type]

    def place_state(self, state: TrainState) -> TrainState:
        """Move a state to where the steps leave it."""
        placed = [
            jax.device_put(part, sharding)
            for part, sharding in zip(state, self.state_shardings, strict=True)
        ]
        return TrainState(*placed)

    def place_params(self, params: Any) -> Any:
        """Copy a tree to every device."""
        return jax.device_put(params, self._devices.everywhere)

    def place_rows(self, rows: BiLMState) -> BiLMState:
        """Divide the state of the rows."""
        return jax.device_put(rows, self._devices.divided())

    def place_window(self, window: Window) -> Window:
        """Divide the words to spell, and the rows."""
        words, rows = self._devices.divided(), self._devices.divided(1)
        return jax.device_put(window, Window(words, words, rows, rows, rows, rows))  # type: ignore[arg-type]

    def place_candidates(self, candidates: Candidates | None) -> Candidates | None:
        """Copy the samples to every device."""
        return jax.device_put(candidates, self._devices.everywhere)
