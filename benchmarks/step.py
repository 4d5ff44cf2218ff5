"""The engine's compiled step on its own: the one file here that knows the engine from inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from elmo_jax import ElmoConfig
from elmo_jax.engine.lanes import read_lanes, start_state
from elmo_jax.engine.plan import plan_for
from elmo_jax.engine.word_table import Words
from elmo_jax.model import GATES, round_kernels
from elmo_jax.parameters import Params

_ROWS = 2048
"""Of the word table: enough for the gather to miss the nearest cache, as with real text."""


def engine_step(
    config: ElmoConfig,
    params: Params,
    n_lanes: int,
    n_tokens: int,
    precision: str = "float32",
) -> Callable[[], Any]:
    """One call of the engine's step over random words: ``n_tokens`` of each of ``n_lanes`` lanes.

    Args:
        config: the architecture.
        params: the parameters, on the device.
        n_lanes: N.
        n_tokens: T.
        precision: of the products.

    Returns:
        A function that starts the call and gives its outputs; the first call compiles.
    """
    rng = np.random.default_rng(0)
    shape = n_tokens, n_lanes
    n_gates = len(GATES) * config.cell_dim
    widths = Words(config.projection_dim, n_gates, n_gates)  # type: ignore[arg-type]
    words = jax.tree.map(
        lambda width: jnp.asarray(rng.normal(0, 0.4, (_ROWS, width)), jnp.float32), widths
    )
    fresh = np.zeros(shape, bool)
    fresh[0] = True
    forward, backward = (rng.integers(0, _ROWS, shape, np.int32) for _ in range(2))
    plan = plan_for(jax.default_backend())
    params = round_kernels(params, precision)
    start = start_state(params, config, config.n_layers, precision)
    state = jax.tree.map(lambda x: jnp.broadcast_to(x, (n_lanes, *x.shape)), start)

    def call() -> Any:
        arguments = (params, words, start, state, forward, backward, fresh, np.int32(n_tokens))
        return read_lanes(*arguments, config, precision, plan.layout(n_lanes))

    return call
