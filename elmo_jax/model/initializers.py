"""The initializers of bilm-tf that Flax does not have."""

from __future__ import annotations

import jax
from jax.nn.initializers import Initializer


def uniform(limit: float) -> Initializer:
    """U(-limit, limit)."""

    def init(key, shape, dtype=jax.numpy.float32, out_sharding=None):  # type: ignore[no-untyped-def]
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


def glorot_uniform(fan_in: int, fan_out: int) -> Initializer:
    """Glorot-uniform of a matrix that is stored in parts: the fans are those of the whole."""
    return uniform((6 / (fan_in + fan_out)) ** 0.5)
