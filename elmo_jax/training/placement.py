"""Arrays on the devices of a run: the rows of a batch are divided over them, the rest is copied.

What is computed is the same as on one device; the compiler splits it along the rows. The devices
may belong to several processes. Each process has all parameters, and its own rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Sharding

from ..errors import ElmoError, counted
from ..lanes.devices import Devices
from .train_step import TrainState
from .windows import Window

Tree = TypeVar("Tree")


def devices_for_rows(n_rows: int, devices: Sequence[jax.Device] | None = None) -> Devices:
    """The devices, those of all processes if None; ElmoError if they cannot share N rows evenly."""
    if devices is None:
        devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
        n_own, n_processes = jax.local_device_count(), jax.process_count()
        if len(devices) != n_own * n_processes:
            raise ElmoError(
                f"The {n_processes} processes have {counted(len(devices), 'device')} in all, and "
                f"this one has {n_own}; expected as many in each process."
            )
    together = Devices(devices)
    if n_rows % together.count:
        raise ElmoError(
            f"A batch of {n_rows} rows cannot be divided evenly over {together.count} devices; "
            f"expected a multiple of {together.count}."
        )
    return together


def state_shardings(devices: Devices) -> TrainState:
    """A TrainState with the sharding of each of its trees."""
    everywhere = devices.everywhere
    return TrainState(everywhere, everywhere, everywhere, devices.divided())  # type: ignore[arg-type]


def place_state(state: TrainState, devices: Devices) -> TrainState:
    """Put a state where a step leaves it. Each process has all of it."""
    return TrainState(*map(put, state, state_shardings(devices)))


def window_shardings(devices: Devices) -> Window:
    """A Window with the sharding of each of its arrays: its words and its rows are divided."""
    words, rows = devices.divided(), devices.divided(1)
    return Window(words, words, rows, rows, rows, rows)  # type: ignore[arg-type]


def place_window(window: Window, devices: Devices) -> Window:
    """Put a window where a step takes it. Each process has its own part of the window."""
    shardings: Any = window_shardings(devices)
    parts: Any = map(put_part, window, shardings)
    return Window(*parts)


def put(tree: Tree, sharding: Any) -> Tree:
    """Put arrays that each process has whole."""

    def put_array(array: Any) -> jax.Array:
        whole = np.asarray(array)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    is_own = sharding.is_fully_addressable
    return jax.device_put(tree, sharding) if is_own else jax.tree.map(put_array, tree)


def put_part(part: np.ndarray, sharding: Sharding) -> jax.Array:
    """Put an array that is divided, from the part that each process has."""
    if sharding.is_fully_addressable:
        return jax.device_put(part, sharding)
    from_parts: Any = jax.make_array_from_process_local_data
    array: jax.Array = from_parts(sharding, part)
    return array


def copied_everywhere(tree: Tree, devices: Devices) -> Tree:
    """A copy of divided arrays on each device, so that each process can read all of them."""
    if devices.everywhere.is_fully_addressable:
        return tree
    return jax.jit(_same, out_shardings=devices.everywhere)(tree)


def _same(tree: Any) -> Any:
    return tree


def copied_to_own(tree: Tree, devices: Devices) -> Tree:
    """Copies, on devices of this process, of arrays that each device has whole."""

    def own(array: Any) -> Any:
        is_shared = isinstance(array, jax.Array) and not array.is_fully_addressable
        return array.addressable_data(0) if is_shared else array

    return jax.device_put(jax.tree.map(own, tree), devices.everywhere)
