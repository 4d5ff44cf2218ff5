"""Placement: which device holds which lanes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..lanes.devices import Devices, usual_devices
from .plan import n_shards
from .step import take_lanes


class Placement:
    """Lanes divided among devices; all else is on each of them.

    The compiled functions are those of one device. The compiler divides them along the lanes,
    which do not know of each other, so that no step waits for another device.

    Args:
        devices: None for the usual ones. If that is one, arrays stay where JAX puts them.

    Attributes:
        n_devices: how many there are.
        platform: of them.
    """

    def __init__(self, devices: Sequence[jax.Device] | None) -> None:
        found = Devices(usual_devices() if devices is None else devices)
        self.n_devices, self.platform = found.count, found.platform
        self._devices = None if devices is None and found.count == 1 else found

    def as_mesh(self) -> contextlib.AbstractContextManager[Any]:
        """See ``Devices.as_mesh``. All that touches the arrays happens inside it."""
        return self._devices.as_mesh() if self._devices else contextlib.nullcontext()

    def copy(self, tree: Any) -> Any:
        """Arrays to every device."""
        return self._devices.copy(tree) if self._devices else tree

    def n_shards(self, n_lanes: int) -> int:
        """Among how many devices so many lanes are divided."""
        return n_shards(n_lanes, self.n_devices)

    def divide(self, tree: Any, axis: int) -> Any:
        """Arrays along their lanes, if there are enough for all devices; else copies."""
        devices = self._devices
        if devices is None:
            return tree

        def put(x: Any) -> Any:
            even = self.n_shards(x.shape[axis]) == devices.count
            return jax.device_put(x, devices.divided(axis) if even else devices.everywhere)

        return jax.tree.map(put, tree)

    def take_lanes(self, tree: Any, kept_N: np.ndarray) -> Any:
        """See ``take_lanes``. A lane may move to another device, so all see all of them first."""
        if self._devices:
            tree = jax.device_put(tree, self._devices.everywhere)
        return self.divide(take_lanes(tree, kept_N), axis=0)
