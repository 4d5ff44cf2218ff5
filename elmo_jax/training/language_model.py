"""A window of text through the biLM: the modules of inference, with carried state and dropout."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..model.bilm import BiLM, BiLMState, init_params, zero_state
from ..model.config import ElmoConfig
from ..model.lstm import LSTMState
from ..model.parameters import DIRECTIONS, Params
from .windows import Window


def init_language_model(config: ElmoConfig, n_words: int, seed: int = 0) -> dict[str, Any]:
    """New random parameters of a biLM and its softmax over V = ``n_words``, as in bilm-tf."""
    softmax_key = jax.random.fold_in(jax.random.key(seed), 1)
    return {**init_params(config, seed), "softmax": init_softmax(config, n_words, softmax_key)}


def init_softmax(config: ElmoConfig, n_words: int, key: jax.Array) -> dict[str, jax.Array]:
    """A kernel [V, P] from N(0, 1/sqrt(P)), as in bilm-tf, and a bias [V] of zeros."""
    scale = config.projection_dim**-0.5
    kernel = scale * jax.random.normal(key, (n_words, config.projection_dim))
    return {"kernel": kernel, "bias": jnp.zeros(n_words)}


def initial_rows(config: ElmoConfig, n_rows: int, dtype: Any = jnp.float32) -> BiLMState:
    """The state of N rows before any text: zeros, [N, H] and [N, P] per layer."""
    return jax.tree.map(lambda leaf: jnp.zeros((n_rows, *leaf.shape), dtype), zero_state(config))


class Reading(NamedTuple):
    """How the text of a window is read.

    Attributes:
        dropout: the share of each LSTM layer's input, and of the output, that is dropped.
        reset_state: whether each sentence starts from zeros, not from the state before it.
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
        reading: how the text is read.
        key: for dropout, if there is any.

    Returns:
        float32 [2, N, T, P], and the state after the window.
    """
    bilm = BiLM(config, reading.precision)
    words_UP: Any = bilm.apply({"params": params}, window, method=_encode)
    keys = None
    if reading.dropout:
        assert key is not None
        keys = jax.random.split(key, window.slots.shape[:2])
    fresh = window.fresh if reading.reset_state else jnp.zeros_like(window.fresh)
    outputs, states = [], []
    for number, name in enumerate(DIRECTIONS):
        read_row = functools.partial(_read_row, bilm, params, name, words_UP, reading.dropout)
        row_axes = (0, 0, 0, None if keys is None else 0)
        output, after = jax.vmap(read_row, row_axes)(
            window.slots[number],
            fresh[number],
            state[number],
            None if keys is None else keys[number],
        )
        outputs.append(output)
        states.append(after)
    return jnp.stack(outputs), BiLMState(*states)


def _encode(bilm: BiLM, window: Window) -> jax.Array:
    """The vectors of the window's distinct words, short ones first."""
    parts = [bilm.encode_words(part) for part in (window.short_UC, window.long_UC)]
    return jnp.concatenate(parts)


def _read_row(
    bilm: BiLM,
    params: Params,
    direction: str,
    words_UP: jax.Array,
    dropout: float,
    slots_T: jax.Array,
    fresh_T: jax.Array,
    state: tuple[LSTMState, ...],
    key: jax.Array | None,
) -> tuple[jax.Array, tuple[LSTMState, ...]]:
    """The top layer's output of one direction over one row, and the state after it."""

    def read(bilm: BiLM) -> tuple[jax.Array, tuple[LSTMState, ...]]:
        stack = getattr(bilm, direction)
        zeros = jax.tree.map(jnp.zeros_like, state)
        outputs, after = stack(words_UP[slots_T], state, zeros, fresh_T, dropout_rate=dropout)
        return stack.drop(outputs[-1], dropout), after

    rngs = None if key is None else {"dropout": key}
    result: Any = bilm.apply({"params": params}, method=read, rngs=rngs)
    return result
