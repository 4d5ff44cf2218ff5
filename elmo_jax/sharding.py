"""Several devices as one: what each holds whole, and what is divided among them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .errors import ElmoError

_AXIS = "rows"


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
