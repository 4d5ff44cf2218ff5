"""The compiled step of the engine: every lane reads its next tokens, in both directions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ..model.bilm import BiLM, BiLMState
from ..model.config import ElmoConfig
from ..model.lstm import Cell, LSTMState, ProjectedLSTMCell, lane_step, read_layers
from ..model.parameters import DIRECTIONS, Params
from .plan import Layout
from .word_table import Words

Outputs = tuple[jax.Array, ...]
"""The outputs of one direction's layers, each float32 [T, N, P]."""


@functools.partial(jax.jit, static_argnames=("config", "n_layers", "precision"))
def start_state(params: Params, config: ElmoConfig, n_layers: int, precision: str) -> BiLMState:
    """The state in which each sentence starts, see ``BiLM.start_state``."""
    model = BiLM(config, precision)
    state: Any = model.apply({"params": params}, n_layers, method="start_state")
    return state


@functools.partial(jax.jit, static_argnames=("config", "precision", "layout"))
def read_lanes(
    params: Params,
    words: Words,
    start: BiLMState,
    state: BiLMState,
    forward_TN: jax.Array,
    backward_TN: jax.Array,
    fresh_TN: jax.Array,
    n_steps: jax.Array,
    config: ElmoConfig,
    precision: str,
    layout: Layout,
) -> tuple[tuple[Outputs, Outputs], BiLMState]:
    """Read up to T tokens of every lane in each direction, both from left to right.

    ``start`` is the state in which a sentence begins, for as many layers as are to run; ``state``
    is that of each lane, with the lane as axis 0. ``forward_TN`` and ``backward_TN`` are int32,
    rows of the word table; ``fresh_TN`` is bool, where a sentence begins. ``n_steps`` steps run,
    and the outputs of the others are zeros; if ``layout.static_steps``, all T run.

    Returns the outputs of both directions, and the state for the next call.
    """
    cell = ProjectedLSTMCell(
        config, precision, not layout.lanes_first, bfloat16_result=layout.fused_products
    )
    count = len(fresh_TN) if layout.static_steps else n_steps
    n_directions, n_rows, n_gates = words.gates.shape
    table = words.gates.reshape(n_directions * n_rows, n_gates)  # the backward rows come last

    def read(*direction: Any) -> tuple[Outputs, tuple[LSTMState, ...]]:
        return _read_direction(cell, table, fresh_TN, count, layout, *direction)

    directions = [
        (params[name], getattr(start, name), getattr(state, name), rows_TN)
        for name, rows_TN in zip(DIRECTIONS, (forward_TN, backward_TN + n_rows), strict=True)
    ]
    if layout.fused_products:
        both = jax.vmap(read)(*jax.tree.map(lambda *arrays: jnp.stack(arrays), *directions))
        results = [jax.tree.map(lambda x, i=i: x[i], both) for i in range(n_directions)]
    else:
        results = [read(*direction) for direction in directions]
    (forward, after), (backward, before) = results
    return (forward, backward), BiLMState(after, before)


def _read_direction(
    cell: ProjectedLSTMCell,
    table: jax.Array,
    fresh_TN: jax.Array,
    n_steps: jax.Array | int,
    layout: Layout,
    params: Params,
    start: tuple[LSTMState, ...],
    state: tuple[LSTMState, ...],
    rows_TN: jax.Array,
) -> tuple[Outputs, tuple[LSTMState, ...]]:
    """The stack over lanes. Inside it, arrays are [..., P, N] if the lanes come last."""
    lane_axis = 0 if layout.lanes_first else -1

    def read_layer(depth: int, inputs: jax.Array, before: LSTMState) -> Any:
        variables = {"params": params[f"layers_{depth}"]}
        apply: Callable[..., Any] = functools.partial(cell.apply, variables)
        if depth == 0:
            layer_input = _first_layer(apply, table, layout)
        else:
            layer_input = _upper_layer(apply, layout)
        one_lane = lane_step(layer_input.cell, start[depth])
        all_lanes = jax.vmap(one_lane, (lane_axis, (lane_axis, 0)), lane_axis)

        def step(state: LSTMState, now: tuple[jax.Array, jax.Array]) -> LSTMState:
            inputs, fresh_N = now
            return all_lanes(state, (layer_input.in_step(inputs), fresh_N))

        return _loop(step, before, (layer_input.before_loop(inputs), fresh_TN), n_steps)

    def turn(tree: Any) -> Any:
        return tree if layout.lanes_first else jax.tree.map(lambda x: x.swapaxes(-1, -2), tree)

    layers = [functools.partial(read_layer, depth) for depth in range(len(start))]
    outputs, after = read_layers(layers, rows_TN, turn(state), cell.config.use_skip_connections)
    return turn(outputs), turn(after)


def _loop(
    step: Callable[[LSTMState, Any], LSTMState],
    before: LSTMState,
    inputs: Any,
    n_steps: jax.Array | int,
) -> tuple[LSTMState, jax.Array]:
    """``lax.scan`` over axis 0 of ``inputs``, but ``n_steps`` need not be static.

    So the end of a text costs only the steps that are left, and no compiled shape of its own.
    """
    most_steps = len(jax.tree.leaves(inputs)[0])
    hidden = jnp.zeros((most_steps, *before.hidden_P.shape), before.hidden_P.dtype)

    def body(number: jax.Array, carry: tuple[LSTMState, jax.Array]) -> Any:
        state, hidden = carry
        new = step(state, jax.tree.map(lambda x: x[number], inputs))
        return new, hidden.at[number].set(new.hidden_P)

    result: tuple[LSTMState, jax.Array] = lax.fori_loop(0, n_steps, body, (before, hidden))
    return result


def _unchanged(inputs: Any) -> Any:
    return inputs


class _LayerInput(NamedTuple):
    """How a layer takes its inputs: where they are multiplied to become its part of the gates."""

    cell: Cell
    in_step: Callable[[Any], Any] = _unchanged  # from one step's inputs to what the cells read
    before_loop: Callable[[Any], Any] = _unchanged  # from the layer's inputs to those of the steps


def _first_layer(apply: Callable[..., Any], table: jax.Array, layout: Layout) -> _LayerInput:
    """Its inputs are rows of the table, which holds their gates."""
    barrier: Callable[[jax.Array], jax.Array] = lax.optimization_barrier

    def gates(rows_N: jax.Array) -> jax.Array:
        if layout.fused_products:
            # Without a barrier, the compiler gathers the rows where it adds them to the product.
            return table[rows_N]
        # With one it copies whole rows, instead of number by number inside the sum.
        gates_NG = barrier(table[rows_N])
        # With the second one it transposes them once, not once for each gate.
        return gates_NG if layout.lanes_first else barrier(gates_NG.T)

    return _LayerInput(apply, in_step=gates)


def _upper_layer(apply: Callable[..., Any], layout: Layout) -> _LayerInput:
    """Its inputs are the outputs of the layer below."""
    input_gates = functools.partial(apply, method="input_gates")
    if layout.fused_products:
        kernel = apply(method="fused_kernel")  # here: the compiler would leave it in the loop
        cell = functools.partial(apply, fused_kernel=kernel, method="fused_step")
        return _LayerInput(cell)
    if layout.lanes_first:
        return _LayerInput(apply, in_step=input_gates)
    # With few lanes, a product takes as long as reading its weights: one product for all steps.
    return _LayerInput(apply, before_loop=jax.vmap(jax.vmap(input_gates, -1, -1)))
