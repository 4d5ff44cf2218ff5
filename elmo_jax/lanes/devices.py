"""Several devices as one: what each holds whole, and what is divided among them."""

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
    """Devices in a row.

    Args:
        devices: at least one.

    Attributes:
        count: how many they are.
    """

    def __init__(self, devices: Sequence[jax.Device]) -> None:
        self.count = len(devices)
        self._devices = list(devices)
        self._mesh = Mesh(np.array(self._devices), (_AXIS,))

    @property
    def platform(self) -> str:
        """What they are: "cpu", "gpu" or "tpu"."""
        return self._devices[0].platform

    @property
    def everywhere(self) -> NamedSharding:
        """A copy on each."""
        return NamedSharding(self._mesh, PartitionSpec())  # type: ignore[no-untyped-call]

    def divided(self, axis: int = 0) -> NamedSharding:
        """An equal part of an axis on each."""
        spec = PartitionSpec(*[None] * axis, _AXIS)  # type: ignore[no-untyped-call]
        return NamedSharding(self._mesh, spec)

    def as_mesh(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which these are JAX's mesh, whatever mesh the user has set.

        Where the user's axes are explicit, JAX refuses arrays of any other mesh.
        """
        if jax.sharding.get_abstract_mesh().empty:
            return contextlib.nullcontext()
        set_mesh: Any = getattr(jax, "set_mesh", None) or getattr(jax.sharding, "use_mesh", None)
        return set_mesh(self._mesh)

    def copy(self, tree: Any) -> Any:
        """Arrays to every device; where one lies already it is not copied."""

        def spread(x: Any) -> Any:
            parts = [jax.device_put(x, device) for device in self._devices]
            return jax.make_array_from_single_device_arrays(x.shape, self.everywhere, parts)

        return jax.tree.map(spread, tree)


def usual_devices() -> list[jax.Device]:
    """All local devices; or the one alone that the user made JAX's default."""
    local = jax.local_devices()
    devices = jnp.zeros(()).devices()
    if len(devices) > 1:  # those of a mesh that the user has set
        return local
    (default,) = devices
    return local if default == local[0] else [default]


def check_devices(devices: Sequence[jax.Device] | None) -> None:
    """Raise ElmoError unless ``devices`` is None, or some different devices of one kind."""
    if devices is None:
        return
    expected = "expected None for all local ones, or a sequence of different JAX devices"
    if not isinstance(devices, Sequence) or not all(isinstance(d, jax.Device) for d in devices):
        raise ElmoError(f"devices={devices!r}: {expected}, as jax.devices() gives.")
    if not devices or len(set(devices)) < len(devices):
        raise ElmoError(f"devices={devices!r}: {expected}, at least one.")
    if len({device.platform for device in devices}) > 1:
        raise ElmoError(f"devices={devices!r}: {expected}, all of one platform.")


def over_rows(n_arrays: int) -> Callable[[Function], Function]:
    """Let a function over batches take rows that the user divided along explicit axes of a mesh.

    Inside it the compiler divides the work, as it does for all other arrays; what comes out is
    divided along its rows as the batch was.

    Args:
        n_arrays: arguments from the first on that are arrays, or trees of them: the parameters,
            the batch (axis 0 the row), and others.
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
