"""A window of text through the biLM: the modules of inference, in the lanes of training."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..model.bilm import BiLM, BiLMState, init_params, zero_state
from ..model.config import ElmoConfig
from ..model.lstm import LSTMState
from ..model.parameters import Params
from .windows import Window


def init_language_model(config: ElmoConfig, n_words: int, seed: int = 0) -> dict[str, Any]:
    """A biLM with its softmax over V = ``n_words``, started as bilm-tf starts it."""
    softmax_key = jax.random.fold_in(jax.random.key(seed), 1)
    return {**init_params(config, seed), "softmax": init_softmax(config, n_words, softmax_key)}


def init_softmax(config: ElmoConfig, n_words: int, key: jax.Array) -> dict[str, jax.Array]:
    """N(0, 1/sqrt(P)) and zeros."""
    scale = config.projection_dim**-0.5
    kernel = scale * jax.random.normal(key, (n_words, config.projection_dim))
    return {"kernel": kernel, "bias": jnp.zeros(n_words)}


def initial_rows(config: ElmoConfig, n_rows: int, dtype: Any = jnp.float32) -> BiLMState:
    """The state of N rows before any text: zeros, [N, H] and [N, P] a layer."""
    return jax.tree.map(lambda leaf: jnp.zeros((n_rows, *leaf.shape), dtype), zero_state(config))


class Reading(NamedTuple):
    """How the text of a window is read.

    Attributes:
        dropout: share of each LSTM layer's input, and of the output, that is dropped.
        reset_state: start each sentence from zeros instead of the state before it.
        precision: of the matrix products.
    """

    dropout: float = 0.0
    reset_state: bool = False
    precision: str = "float32"


def read_window(
    params: Params,
    state: BiLMState,
    window: Window,
    *,
    config: ElmoConfig,
    reading: Reading,
    key: jax.Array | None = None,
) -> tuple[jax.Array, BiLMState]:
    """The outputs of the top layer of both directions.

    Args:
        params: the biLM.
        state: of the rows, as the window before left it.
        window: of N rows and T steps.
        config: the architecture.
        reading: how it is read.
        key: for the dropout, if there is any.

    Returns:
        float32 [2, N, T, P], and the state after the window.
    """
    bilm = BiLM(config, reading.precision)
    words_UP = bilm.apply({"params": params}, window, method=_encode)
    n_rows = window.slots.shape[1]
    keys = None
    if reading.dropout:
        assert key is not None
        keys = jax.random.split(key, (2, n_rows))
    outputs, states = [], []
    for number, (name, rows) in enumerate(zip(("forward", "backward"), state, strict=True)):

        def one_lane(
            slots_T: jax.Array,
            fresh_T: jax.Array,
            row: tuple[LSTMState, ...],
            key: jax.Array | None,
            name: str = name,
        ) -> tuple[jax.Array, tuple[LSTMState, ...]]:
            lane: tuple[jax.Array, tuple[LSTMState, ...]] = bilm.apply(  # type: ignore[assignment]
                {"params": params},
                name,
                words_UP[slots_T],
                row,
                fresh_T,
                reading,
                method=_read_lane,
                rngs=None if key is None else {"dropout": key},
            )
            return lane

        fresh = window.fresh[number] if reading.reset_state else jnp.zeros_like(window.fresh[0])
        top, new = jax.vmap(one_lane, in_axes=(0, 0, 0, None if keys is None else 0))(
            window.slots[number], fresh, rows, None if keys is None else keys[number]
        )
        outputs.append(top)
        states.append(new)
    return jnp.stack(outputs), BiLMState(*states)


def _encode(bilm: BiLM, window: Window) -> jax.Array:
    """The vectors of the window's distinct words, short ones first."""
    parts = [bilm.encode_words(part) for part in (window.short_UC, window.long_UC)]
    return jnp.concatenate(parts)


def _read_lane(
    bilm: BiLM,
    name: str,
    tokens_TP: jax.Array,
    state: tuple[LSTMState, ...],
    fresh_T: jax.Array,
    reading: Reading,
) -> tuple[jax.Array, tuple[LSTMState, ...]]:
    stack = getattr(bilm, name)
    zeros = jax.tree.map(jnp.zeros_like, state)
    outputs, new = stack(tokens_TP, state, zeros, fresh_T, dropout_rate=reading.dropout)
    return stack.drop(outputs[-1], reading.dropout), new
