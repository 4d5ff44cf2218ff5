"""The compiled reductions of the engine: from a call's outputs to what leaves the device.

A result is [x; x] for the token layer and [forward; backward] above it, so each direction gives
one half of every result: of layers, of weighted sums of them, and of pooled sentences.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from ..model.layers import LayerSelection
from .lanes import Outputs
from .word_table import Words


@functools.partial(jax.jit, static_argnames=("selection", "dtype"))
def token_halves(
    words: Words,
    rows_TN: jax.Array,
    outputs: Outputs,
    shares_L: jax.Array,
    selection: LayerSelection,
    dtype: str,
) -> jax.Array:
    """One direction's half of the wanted layers: ``dtype`` [T, N, P], or [L, T, N, P] for all."""
    layers = (words.vectors[rows_TN], *outputs)
    return selection.apply(layers, shares_L, axis=0).astype(dtype)


@functools.partial(jax.jit, static_argnames=("selection", "pooling", "dtype"))
def pool_lanes(
    pooled: jax.Array,
    words: Words,
    rows_TN: tuple[jax.Array, jax.Array],
    fresh_TN: jax.Array,
    outputs: tuple[Outputs, Outputs],
    steps_KS: jax.Array,
    lanes_KS: jax.Array,
    lengths_KS: jax.Array,
    shares_L: jax.Array,
    selection: LayerSelection,
    pooling: str,
    dtype: str,
) -> tuple[jax.Array, jax.Array]:
    """Mean (or maximum) of the wanted layers over each sentence.

    Args:
        pooled: float32 [N, D] or [N, L, D], the sum (or maximum) so far of the sentence that each
            lane was in before.
        words: the word table.
        rows_TN: int32 [T, N], what the two directions read.
        fresh_TN: bool [T, N], where a sentence begins.
        outputs: of ``read_lanes``.
        steps_KS: int32 [K, S], the steps at which sentences end in each Kth of the lanes. Of what
            lies on a device it takes from there, when the lanes are divided among K.
        lanes_KS: int32 [K, S], the lanes in which they do, counted in each Kth.
        lengths_KS: int32 [K, S], their tokens.
        shares_L: see ``LayerSelection.apply``.
        selection: the wanted layers.
        pooling: "mean" or "max".
        dtype: of the result.

    Returns:
        ``pooled`` for the next call; and ``dtype`` [K, S, D] or [K, S, L, D], the sentences that
        have come to their end.
    """
    halves = [
        selection.apply((words.vectors[rows], *layers), shares_L, axis=2)
        for rows, layers in zip(rows_TN, outputs, strict=True)
    ]
    vectors = jnp.concatenate(halves, axis=-1)

    def add(so_far: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        new, fresh_N = now
        fresh = fresh_N.reshape(-1, *[1] * (new.ndim - 1))
        longer = so_far + new if pooling == "mean" else jnp.maximum(so_far, new)
        total = jnp.where(fresh, new, longer)
        return total, total

    last, totals = lax.scan(add, pooled, (vectors, fresh_TN))
    n_steps, n_lanes = fresh_TN.shape
    n_parts = len(steps_KS)
    parts = totals.reshape(n_steps, n_parts, n_lanes // n_parts, *totals.shape[2:])
    ends: Callable[..., jax.Array] = jax.vmap(
        lambda part, steps, lanes: part[steps, lanes], (1, 0, 0)
    )
    found = ends(parts, steps_KS, lanes_KS)
    if pooling == "mean":
        sizes = lengths_KS.astype(found.dtype)
        found = found / sizes.reshape(*sizes.shape, *[1] * (found.ndim - 2))
    return last, found.astype(dtype)
