"""The compiled steps of the engine: reading packed lanes, and reducing what they gave."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..config import ElmoConfig
from ..model import BiLM, BiLMState
from ..parameters import Params
from ..selection import LayerSelection


class Reading(NamedTuple):
    """What one direction reads in one call.

    Attributes:
        slots_NT: int32 [N, T], rows of the word table.
        fresh_NT: bool [N, T], the tokens with which a sentence begins, in reading order.
    """

    slots_NT: jax.Array | np.ndarray
    fresh_NT: jax.Array | np.ndarray


Outputs = tuple[jax.Array, ...]
"""The outputs of one direction's layers, each float32 [N, T, P]."""


@functools.partial(jax.jit, static_argnames=("config", "n_layers", "precision"))
def start_state(params: Params, config: ElmoConfig, n_layers: int, precision: str) -> BiLMState:
    """The state in which each sentence starts, for the first ``n_layers`` LSTM layers."""
    model = BiLM(config, precision)
    state: Any = model.apply({"params": params}, n_layers, method="start_state")
    return state


@functools.partial(jax.jit, static_argnames=("config", "precision"))
def read_lanes(
    params: Params,
    words: jax.Array,
    start: BiLMState,
    state: BiLMState,
    forward: Reading,
    backward: Reading,
    config: ElmoConfig,
    precision: str,
) -> tuple[Outputs, Outputs, BiLMState]:
    """Read one stretch of every lane in each direction, not necessarily the same stretch.

    Args:
        params: the parameter tree.
        words: float32 [rows, P], the word table.
        start: of every sentence; says how many layers run.
        state: that of each lane, axis 0 the lane.
        forward: what the forward stack reads.
        backward: what the backward stack reads.
        config: the architecture.
        precision: of the products.

    Returns:
        Forward outputs, backward outputs, and the state for the next stretch.
    """
    model = BiLM(config, precision)

    def direction(name: str, reading: Reading) -> Any:
        def one_lane(state: Any, slots_T: Any, fresh_T: Any) -> Any:
            arguments = (name, words[slots_T], state, getattr(start, name), fresh_T)
            return model.apply({"params": params}, *arguments, method="read")

        return jax.vmap(one_lane)(getattr(state, name), reading.slots_NT, reading.fresh_NT)

    forward_outputs, after = direction("forward", forward)
    backward_outputs, before = direction("backward", backward)
    return forward_outputs, backward_outputs, BiLMState(after, before)


@functools.partial(jax.jit, static_argnames=("selection", "dtype"))
def token_results(
    words: jax.Array,
    slots_NT: jax.Array,
    forward: Outputs,
    backward: Outputs,
    shares_L: jax.Array,
    selection: LayerSelection,
    dtype: str,
) -> jax.Array:
    """The wanted layers of one stretch, ``dtype`` [N, T, D], or [N, L, T, D] for all."""
    layers = _layers(words, slots_NT, forward, backward)
    return selection.apply(layers, shares_L, axis=1).astype(dtype)


@functools.partial(jax.jit, static_argnames=("selection", "pooling"), donate_argnames=("pooled",))
def add_to_pools(
    pooled: jax.Array,
    words: jax.Array,
    slots_NT: jax.Array,
    sentence_NT: jax.Array,
    forward: Outputs,
    backward: Outputs,
    shares_L: jax.Array,
    selection: LayerSelection,
    pooling: str,
) -> jax.Array:
    """Sum (or maximum) of the wanted layers over each sentence's tokens in one stretch.

    Args:
        pooled: float32 [S, D] or [S, L, D], what earlier stretches gave.
        words: float32 [rows, P], the word table.
        slots_NT: int32 [N, T], rows of the word table.
        sentence_NT: int32 [N, T], the sentence of each token; S or more at padding.
        forward: outputs of ``read_lanes`` for this stretch.
        backward: outputs of ``read_lanes`` for this stretch.
        shares_L: see ``LayerSelection.apply``.
        selection: the wanted layers.
        pooling: "mean" sums, "max" takes the maximum.
    """
    layers = _layers(words, slots_NT, forward, backward)
    wanted = selection.apply(layers, shares_L, axis=2)
    vectors = wanted.reshape(-1, *wanted.shape[2:])
    rows = pooled.at[sentence_NT.reshape(-1)]
    return rows.add(vectors, mode="drop") if pooling == "mean" else rows.max(vectors, mode="drop")


def _layers(
    words: jax.Array, slots_NT: jax.Array, forward: Outputs, backward: Outputs
) -> list[jax.Array]:
    tokens_NTP = words[slots_NT]
    pairs = [(tokens_NTP, tokens_NTP), *zip(forward, backward, strict=True)]
    return [jnp.concatenate(pair, axis=-1) for pair in pairs]
