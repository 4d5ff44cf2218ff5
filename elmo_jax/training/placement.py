"""Arrays on the devices of a run: what is divided over them, and what each of them has whole.

What is computed is the same as on one device; the compiler splits it. The rows of a batch are
divided, and so are the columns of a large sampled softmax, with what the optimizer keeps of them:
most of a model is there, a step touches few of its rows, and the sum of whole gradients over all
devices would take longer than the step. All else is copied. The devices may belong to several
processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Sharding

from ..errors import ElmoError, counted
from ..lanes.devices import Devices
from ..processes import Processes
from .train_step import TrainState
from .windows import Window

Tree = TypeVar("Tree")

_SOFTMAX_KERNEL = "['softmax']['kernel']"
"""How its path ends, among the parameters and in the optimizer's state."""


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


def divides_softmax(n_words: int, n_samples: int, n_tokens: int) -> bool:
    """Whether devices exchange less if each has some columns of a softmax over V = ``n_words``.

    ``n_samples`` is K, 0 for the full softmax; ``n_tokens`` are those that one device predicts in a
    step, for each direction. Counted are the rows that pass through the link of a device.
    """
    # Either the gradient of every word passes twice, to be summed; or, in each direction, samples
    # pass once, their gradients twice, and the rows of the targets and their gradients once.
    if_copied, if_divided = 2 * n_words, 2 * (3 * n_samples + 2 * n_tokens)
    return n_samples > 0 and if_divided < if_copied


def state_shardings(state: TrainState, devices: Devices, *, divide_softmax: bool) -> TrainState:
    """The sharding of each array of a state; see ``divides_softmax``."""

    def of(path: Any, array: Any) -> Sharding:
        is_divided = divide_softmax and jax.tree_util.keystr(path).endswith(_SOFTMAX_KERNEL)
        is_even = is_divided and array.shape[1] % devices.count == 0
        return devices.divided(1) if is_even else devices.everywhere

    shardings: TrainState = jax.tree_util.tree_map_with_path(of, state)
    return shardings._replace(rows=jax.tree.map(lambda _: devices.divided(), state.rows))


def place_state(state: TrainState, devices: Devices, *, divide_softmax: bool) -> TrainState:
    """Put a state, which each process has whole, where a step takes it and leaves it."""
    placed: TrainState = jax.tree.map(
        put, state, state_shardings(state, devices, divide_softmax=divide_softmax)
    )
    return placed


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
    """A tree whose arrays this process can read whole; the other processes have to ask as well."""

    def whole(array: Any) -> Any:
        is_shared = isinstance(array, jax.Array) and not array.is_fully_addressable
        if not is_shared or array.is_fully_replicated:
            return array
        return jax.jit(_same, out_shardings=devices.everywhere)(array)

    return jax.tree.map(whole, tree)


def to_host(tree: Tree, devices: Devices, processes: Processes) -> Tree:
    """The arrays of a tree as NumPy arrays in the first process; None in the others.

    One after the other, so that devices need room for a single copy.
    """

    def read(array: jax.Array) -> np.ndarray | None:
        whole = copied_everywhere(array, devices)
        return np.asarray(whole) if processes.is_first else None

    return jax.tree.map(read, tree)


def _same(array: Any) -> Any:
    return array


def copied_to_own(tree: Tree, devices: Devices) -> Tree:
    """Copies, on devices of this process, of arrays that each device has whole."""

    def own(array: Any) -> Any:
        is_shared = isinstance(array, jax.Array) and not array.is_fully_addressable
        return array.addressable_data(0) if is_shared else array

    return jax.device_put(jax.tree.map(own, tree), devices.everywhere)
