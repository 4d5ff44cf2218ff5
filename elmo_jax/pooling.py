"""Pooling: a sentence's tokens to one vector, over real tokens only."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .errors import ElmoError

POOLINGS = ("mean", "max")


def check_pooling(pooling: str) -> None:
    """Raise ElmoError unless ``pooling`` is one of POOLINGS."""
    if pooling not in POOLINGS:
        raise ElmoError(
            f"Unknown pooling={pooling!r}: expected one of {', '.join(map(repr, POOLINGS))}."
        )


def pool(vectors_TD: jax.Array, length: jax.Array, pooling: str) -> jax.Array:
    """The first ``length`` tokens of one sentence as one vector; zeros if there are none.

    Args:
        vectors_TD: float32 [T, D].
        length: int, at most T.
        pooling: "mean" or "max".
    """
    real_T1 = (jnp.arange(vectors_TD.shape[0], dtype=jnp.int32) < length)[:, None]
    if pooling == "mean":
        n_tokens = jnp.maximum(length, 1).astype(vectors_TD.dtype)
        return jnp.where(real_T1, vectors_TD, 0).sum(axis=0) / n_tokens
    if not vectors_TD.shape[0]:
        return jnp.zeros(vectors_TD.shape[1:], vectors_TD.dtype)
    # By its place: the slope of max() goes to what equals it, which is nothing where the compiler
    # computes the vectors twice and rounds them otherwise.
    place_1D = jnp.where(real_T1, vectors_TD, -jnp.inf).argmax(axis=0)[None]
    most = jnp.take_along_axis(vectors_TD, place_1D, axis=0)[0]
    return jnp.where(length > 0, most, 0)
