"""The kinds of work inside a step of the biLM, each compiled and run alone.

The products of one step in one direction, for N lanes, as the engine multiplies them with many
([N, in] @ [in, out]); the arithmetic of the gates; the gather of the first layer's gates. Inside
the engine they overlap and fuse, so their sum need not be the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from elmo_jax import ElmoConfig
from elmo_jax.model.precision import linear

_ROWS = 1 << 12


def pieces(
    config: ElmoConfig, n_lanes: int, n_tokens: int, precision: str = "float32"
) -> dict[str, tuple[Callable[[], Any], int]]:
    """Pieces of ``n_tokens`` steps of one direction's layers.

    Returns:
        For each name a function that starts it, and the floating-point operations it does in
        products (0 for the others).
    """
    cell, out, n_layers = config.cell_dim, config.projection_dim, config.n_layers
    kernels = [(4 * cell, out)] * (2 * n_layers - 1)  # the first input product is a word's
    if config.has_lstm_projection:
        kernels += [(out, cell)] * n_layers
    flop = sum(2 * rows * columns for rows, columns in kernels) * n_lanes * n_tokens
    return {
        "products": (_products(kernels, n_lanes, n_tokens, precision), flop),
        "elementwise": (_elementwise(cell, n_layers, n_lanes, n_tokens), 0),
        "gather": (_gather(4 * cell, n_lanes, n_tokens), 0),
    }


def _products(
    shapes: list[tuple[int, int]], n_lanes: int, n_tokens: int, precision: str
) -> Callable[[], Any]:
    key = jax.random.key(0)
    matrices = [0.01 * jax.random.normal(key, shape) for shape in shapes]
    if precision == "bfloat16":  # once, not in every step
        matrices = [matrix.astype(jnp.bfloat16) for matrix in matrices]
    inputs = [jnp.ones((n_lanes, columns)) for _, columns in shapes]

    @jax.jit
    def run(matrices: list[jax.Array], inputs: list[jax.Array]) -> Any:
        def step(inputs: list[jax.Array], _: None) -> tuple[list[jax.Array], None]:
            outputs = [
                linear(a, b, precision, kernel_first=False)
                for a, b in zip(matrices, inputs, strict=True)
            ]
            # A number of each output goes into the next input, so that no product can be left out.
            return [b.at[0, 0].set(c[0, 0]) for b, c in zip(inputs, outputs, strict=True)], None

        return lax.scan(step, inputs, None, length=n_tokens)[0]

    return lambda: run(matrices, inputs)


def _elementwise(cell: int, n_layers: int, n_lanes: int, n_tokens: int) -> Callable[[], Any]:
    gates = 0.1 * jax.random.normal(jax.random.key(0), (n_layers, 4, n_lanes, cell))
    state = jnp.ones((n_layers, n_lanes, cell))

    @jax.jit
    def run(gates: jax.Array, state: jax.Array) -> Any:
        def step(state: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            given, candidate, kept, shown = (gates[:, i] + state for i in range(4))
            new = jax.nn.sigmoid(kept + 1) * state + jax.nn.sigmoid(given) * jnp.tanh(candidate)
            new = jnp.clip(new, -3, 3)
            return new, (jax.nn.sigmoid(shown) * jnp.tanh(new))[:, 0]

        return lax.scan(step, state, None, length=n_tokens)

    return lambda: run(gates, state)


def _gather(n_gates: int, n_lanes: int, n_tokens: int) -> Callable[[], Any]:
    table = jnp.ones((_ROWS, n_gates))
    rows_TN = jax.random.randint(jax.random.key(0), (n_tokens, n_lanes), 0, _ROWS)

    @jax.jit
    def run(table: jax.Array, rows_TN: jax.Array) -> Any:
        return lax.scan(lambda total, rows_N: (table[rows_N], None), table[rows_TN[0]], rows_TN)[0]

    return lambda: run(table, rows_TN)
