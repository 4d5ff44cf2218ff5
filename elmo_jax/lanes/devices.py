"""Devices that share the lanes: what each holds whole, and what is divided among them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..errors import ElmoError

_AXIS = "rows"

Function = TypeVar("Function", bound=Callable[..., Any])


class Devices:
    """Devices in a row. Lanes are divided among them, and all else is copied to each.

    The compiled functions are those of one device. The compiler divides them along the lanes,
    which do not depend on each other, so that no step waits for another device.

    None takes the usual devices; if that is a single one, arrays stay where JAX puts them.
    """

    def __init__(self, devices: Sequence[jax.Device] | None) -> None:
        self._devices = _usual_devices() if devices is None else list(devices)
        self.count, self.platform = len(self._devices), self._devices[0].platform
        self._mesh = Mesh(np.array(self._devices), (_AXIS,))
        self._is_default = devices is None and self.count == 1

    @property
    def everywhere(self) -> NamedSharding:
        """A copy on each device."""
        return NamedSharding(self._mesh, PartitionSpec())  # type: ignore[no-untyped-call]

    def divided(self, axis: int = 0) -> NamedSharding:
        """An equal part of an axis on each device."""
        spec = PartitionSpec(*[None] * axis, _AXIS)  # type: ignore[no-untyped-call]
        return NamedSharding(self._mesh, spec)

    def as_mesh(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which these are JAX's mesh, whatever mesh the user has set.

        All that touches their arrays happens inside it: where the axes of the user's mesh are
        explicit, JAX refuses arrays of any other mesh.
        """
        if self._is_default or jax.sharding.get_abstract_mesh().empty:
            return contextlib.nullcontext()
        set_mesh: Any = getattr(jax, "set_mesh", None) or getattr(jax.sharding, "use_mesh", None)
        return set_mesh(self._mesh)

    def copy(self, tree: Any) -> Any:
        """Copy arrays to every device. Where one lies already, it is not copied."""
        if self._is_default:
            return tree

        def spread(x: Any) -> Any:
            parts = [jax.device_put(x, device) for device in self._devices]
            return jax.make_array_from_single_device_arrays(x.shape, self.everywhere, parts)

        return jax.tree.map(spread, tree)

    def n_shards(self, n_lanes: int) -> int:
        """Among how many of the devices this many lanes are divided."""
        return n_shards(n_lanes, self.count)

    def divide(self, tree: Any, axis: int) -> Any:
        """Divide arrays along their lanes; copy them if the lanes cannot be divided evenly."""
        if self._is_default:
            return tree

        def put(x: Any) -> Any:
            is_even = self.n_shards(x.shape[axis]) == self.count
            return jax.device_put(x, self.divided(axis) if is_even else self.everywhere)

        return jax.tree.map(put, tree)

    def take_lanes(self, tree: Any, former_N: np.ndarray) -> Any:
        """Rearrange the lanes in a tree of arrays [lanes, ...].

        ``former_N`` says which lane each was; a new one, of zeros, has the former number of lanes.
        """
        if not self._is_default:  # a lane may move to another device, so all see all of them first
            tree = jax.device_put(tree, self.everywhere)
        return self.divide(_take_lanes(tree, former_N), axis=0)


def n_shards(n_lanes: int, n_devices: int) -> int:
    """Among how many devices lanes are divided: all, or one if that leaves a remainder."""
    return n_devices if n_lanes and n_lanes % n_devices == 0 else 1


@jax.jit
def _take_lanes(tree: Any, former_N: jax.Array) -> Any:
    def take(x: jax.Array) -> jax.Array:
        return jnp.pad(x, ((0, 1), *[(0, 0)] * (x.ndim - 1)))[former_N]

    return jax.tree.map(take, tree)


def _usual_devices() -> list[jax.Device]:
    """All local devices; or only the one that the user made JAX's default."""
    local, defaults = jax.local_devices(), jnp.zeros(()).devices()
    # Several are those of a mesh that the user has set.
    return local if len(defaults) > 1 or local[0] in defaults else list(defaults)


def check_devices(devices: Sequence[jax.Device] | None) -> None:
    """Raise ElmoError unless ``devices`` is None, or different devices of one platform."""
    if devices is None:
        return
    expected = "expected None for all local devices, or a sequence of different JAX devices"
    if not isinstance(devices, Sequence) or not all(isinstance(d, jax.Device) for d in devices):
        raise ElmoError(f"devices={devices!r}: {expected}, such as jax.devices().")
    if not devices or len(set(devices)) < len(devices):
        raise ElmoError(f"devices={devices!r}: {expected}, at least one.")
    if len({device.platform for device in devices}) > 1:
        raise ElmoError(f"devices={devices!r}: {expected}, all of one platform.")


def over_rows(n_arrays: int) -> Callable[[Function], Function]:
    """Decorate a function of batches so that it takes rows divided along axes of a user's mesh.

    Where those axes are explicit, JAX would refuse the function's own operations. Inside the
    decorated function the compiler divides the work, as it does for all other arrays; the result
    is divided along its rows as the batch was. The first ``n_arrays`` arguments are arrays, or
    trees of them: the parameters, the batch (axis 0 the row), and others.
    """

    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            sharding = jax.typeof(arguments[1]).sharding
            explicit = getattr(sharding.mesh, "explicit_axes", ())
            axis = next(iter(sharding.spec), None)
            if axis is None or not explicit or not hasattr(jax.sharding, "auto_axes"):
                return function(*arguments)
            rows = NamedSharding(sharding.mesh, PartitionSpec(axis))  # type: ignore[no-untyped-call]
            arrays, choices = arguments[:n_arrays], arguments[n_arrays:]
            automatic = jax.sharding.auto_axes(
                lambda *xs: function(*xs, *choices), out_sharding=rows
            )
            return automatic(*arrays)

        return call

    return decorate
