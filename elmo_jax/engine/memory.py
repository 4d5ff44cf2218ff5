"""What to do when a device has no memory left."""

from __future__ import annotations

import warnings

import jax

from ..errors import DeviceMemoryWarning, ElmoError
from .plan import Plan


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says so. JAX has one class for all that a device reports, by its status."""
    text = str(error).upper()
    signs = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY")
    return isinstance(error, jax.errors.JaxRuntimeError) and any(sign in text for sign in signs)


def warn_of_fewer_lanes(before: int, plan: Plan) -> None:
    """Say that the run goes on, and how."""
    warnings.warn(
        f"The device ran out of memory with a batch of {before} lanes. The batch is now "
        f"{plan.max_lanes} lanes; the sentences that were under way are run again.",
        DeviceMemoryWarning,
        stacklevel=3,
    )


def no_fewer_lanes(n_lanes: int, reason: str) -> ElmoError:
    """The error for a device that is too small for the least batch."""
    return ElmoError(
        f"The device ran out of memory with the smallest batch, {n_lanes} lane(s), so there is "
        "nothing left to halve. Free memory that other programs or arrays hold on it, ask for "
        "fewer layers or a pooling, take a smaller model, or use another device (devices=...). "
        f"The device said: {reason}"
    )
