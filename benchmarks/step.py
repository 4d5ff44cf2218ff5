"""The engine's compiled step on its own, over made-up words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from elmo_jax import ElmoConfig
from elmo_jax.engine.plan import Layout, plan_for
from elmo_jax.engine.step import read_lanes, start_state
from elmo_jax.engine.word_table import Words
from elmo_jax.model.bilm import BiLMState
from elmo_jax.model.lstm import GATES
from elmo_jax.model.parameters import Params
from elmo_jax.model.precision import gate_dtype, round_kernels

_ROWS = 2048
"""Of the word table: enough for the gather to miss the nearest cache, as with real text."""


class StepInputs(NamedTuple):
    """What one call of the engine's step reads.

    Attributes:
        params: with kernels in the precision of the products.
        words: a table of random words.
        start: of every sentence.
        forward_TN: int32 [T, N], rows of the table.
        backward_TN: the same of the other direction.
        fresh_TN: bool [T, N]; a sentence begins with the first token.
    """

    params: Params
    words: Words
    start: BiLMState
    forward_TN: np.ndarray
    backward_TN: np.ndarray
    fresh_TN: np.ndarray


def step_inputs(
    config: ElmoConfig, params: Params, n_lanes: int, n_tokens: int, precision: str
) -> StepInputs:
    """Random words for ``n_tokens`` of each of ``n_lanes`` lanes; the same ones every time."""
    rng = np.random.default_rng(0)
    gates = rng.normal(0, 0.4, (2, _ROWS, len(GATES) * config.cell_dim))
    words = Words(
        jnp.asarray(rng.normal(0, 0.4, (_ROWS, config.projection_dim)), jnp.float32),
        jnp.asarray(gates, gate_dtype(precision)),
    )
    shape = n_tokens, n_lanes
    fresh = np.zeros(shape, bool)
    fresh[0] = True
    forward, backward = (rng.integers(0, _ROWS, shape, np.int32) for _ in range(2))
    params = round_kernels(params, precision)
    start = start_state(params, config, config.n_layers, precision)
    return StepInputs(params, words, start, forward, backward, fresh)


def step_arguments(
    config: ElmoConfig,
    params: Params,
    n_lanes: int,
    n_tokens: int,
    precision: str,
    layout: Layout,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Of ``read_lanes``, over ``step_inputs``: those that are arrays, and the static ones."""
    given = step_inputs(config, params, n_lanes, n_tokens, precision)
    state = jax.tree.map(lambda x: jnp.broadcast_to(x, (n_lanes, *x.shape)), given.start)
    arrays = (given.params, given.words, given.start, state, *given[3:], np.int32(n_tokens))
    return arrays, (config, precision, layout)


def engine_step(
    config: ElmoConfig,
    params: Params,
    n_lanes: int,
    n_tokens: int,
    precision: str = "float32",
    **choices: bool,
) -> Callable[[], Any]:
    """One call of the engine's step over ``step_inputs``.

    Args:
        config: the architecture.
        params: the parameters, on the device.
        n_lanes: N.
        n_tokens: T.
        precision: of the products.
        **choices: fields of the plan's ``Layout`` to be other than they are.

    Returns:
        A function that starts the call and gives its outputs; the first call compiles.
    """
    layout = plan_for(jax.default_backend()).layout(n_lanes)._replace(**choices)
    arrays, static = step_arguments(config, params, n_lanes, n_tokens, precision, layout)
    return lambda: read_lanes(*arrays, *static)
