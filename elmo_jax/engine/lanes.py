"""The compiled step of the engine: every lane reads its next tokens, in both directions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..model.bilm import BiLM, BiLMState
from ..model.config import ElmoConfig
from ..model.lstm import LSTMState, ProjectedLSTMCell, select_state
from ..model.parameters import DIRECTIONS, Params
from .plan import Layout
from .word_table import Words

Outputs = tuple[jax.Array, ...]
"""The outputs of one direction's layers, each float32 [T, N, P]."""


@functools.partial(jax.jit, static_argnames=("config", "n_layers", "precision"))
def start_state(params: Params, config: ElmoConfig, n_layers: int, precision: str) -> BiLMState:
    """The state in which each sentence starts, for the first ``n_layers`` LSTM layers."""
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

    Args:
        params: the parameter tree.
        words: the word table, with gates.
        start: of every sentence; says how many layers run.
        state: that of each lane, axis 0 the lane.
        forward_TN: int32 [T, N], what the forward stack reads: rows of the word table.
        backward_TN: int32 [T, N], what the backward stack reads.
        fresh_TN: bool [T, N], where a sentence begins.
        n_steps: int, how many of the T steps are to be run; the outputs of the others are zeros.
        config: the architecture.
        precision: of the products.
        layout: of the lanes; with ``all_steps``, ``n_steps`` is not looked at.

    Returns:
        The outputs of both directions, and the state for the next call.
    """
    cell = ProjectedLSTMCell(config, precision, not layout.lanes_first, narrow=layout.together)
    count = len(fresh_TN) if layout.all_steps else n_steps
    n_directions, n_rows, n_gates = words.gates.shape
    table = words.gates.reshape(n_directions * n_rows, n_gates)  # one below the other

    def read(*given: Any) -> tuple[Outputs, tuple[LSTMState, ...]]:
        return _read_stack(cell, table, fresh_TN, count, layout, *given)

    rows = (forward_TN, backward_TN + n_rows)
    given = [
        (params[name], getattr(start, name), getattr(state, name), rows_TN)
        for name, rows_TN in zip(DIRECTIONS, rows, strict=True)
    ]
    if layout.together:
        stacked = jax.vmap(read)(*jax.tree.map(lambda *both: jnp.stack(both), *given))
        found = [jax.tree.map(lambda x, i=i: x[i], stacked) for i in range(n_directions)]
    else:
        found = [read(*arguments) for arguments in given]
    (forward, after), (backward, before) = found
    return (forward, backward), BiLMState(after, before)


def _read_stack(
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
    """``LanguageModelStack`` over lanes; the first layer takes its input's gates from the table."""
    inputs: Any = None
    outputs, states = [], []
    for depth, (begin, initial) in enumerate(zip(start, state, strict=True)):
        layer = functools.partial(cell.apply, {"params": params[f"layers_{depth}"]})
        read: Any = inputs
        given: Callable[[Any], Any] = _as_it_is
        if depth == 0:
            read, given = rows_TN, _gates_of_words(table, layout)
        elif layout.together:
            joined: Any = layer(method="joined_kernel")  # the compiler would leave it in the loop
            layer = functools.partial(layer, joined_kernel=joined, method="read")
        elif layout.lanes_first:
            given = functools.partial(layer, method="input_gates")
        else:
            # With few lanes a product takes as long as its weights take to be read: once for all.
            of_input = functools.partial(layer, method="input_gates")
            read = jax.vmap(jax.vmap(of_input, -1, -1))(inputs)
        read_step = _read_step(layer, given, begin, layout)
        hidden, last = _read_layer(read_step, (read, fresh_TN), initial, n_steps, layout)
        inputs = hidden + inputs if cell.config.use_skip_connections and depth > 0 else hidden
        outputs.append(inputs if layout.lanes_first else inputs.swapaxes(1, 2))
        states.append(last)
    return tuple(outputs), tuple(states)


def _read_step(
    layer: Callable[..., Any],
    given: Callable[[Any], jax.Array],
    begin: LSTMState,
    layout: Layout,
) -> Callable[[LSTMState, tuple[Any, jax.Array]], LSTMState]:
    """One step of all lanes, as a function of their state and of what they read.

    Args:
        layer: the cell with its parameters, for one lane.
        given: from what is read to what the cell takes.
        begin: the state in which a sentence starts, of one lane.
        layout: of the lanes.
    """
    axis = 0 if layout.lanes_first else -1

    def one_lane(state: LSTMState, given: jax.Array, fresh: jax.Array) -> LSTMState:
        new: LSTMState = layer(select_state(fresh, begin, state), given)
        return new

    lanes = jax.vmap(one_lane, (axis, axis, 0), axis)
    return lambda state, now: lanes(state, given(now[0]), now[1])


def _read_layer(
    read_step: Callable[[LSTMState, Any], LSTMState],
    read: Any,
    state: LSTMState,
    n_steps: jax.Array | int,
    layout: Layout,
) -> tuple[jax.Array, LSTMState]:
    """The outputs of a layer, [T, N, P], or [T, P, N] with the lanes last; and its last state.

    Args:
        read_step: see ``_read_step``.
        read: what each step reads, axis 0 the step.
        state: of each lane, axis 0 the lane.
        n_steps: how many steps are run. It need be no constant: the end of a text then costs
            just what is left of it, and needs no compiled shape of its own.
        layout: of the lanes.
    """
    turn: Callable[[jax.Array], jax.Array] = (lambda x: x) if layout.lanes_first else jnp.transpose
    first = jax.tree.map(turn, state)
    longest = len(jax.tree.leaves(read)[0])
    hidden = jnp.zeros((longest, *first.hidden_P.shape), first.hidden_P.dtype)

    def step(number: jax.Array, carry: tuple[LSTMState, jax.Array]) -> Any:
        state, hidden = carry
        new = read_step(state, jax.tree.map(lambda x: x[number], read))
        return new, hidden.at[number].set(new.hidden_P)

    last, hidden = lax.fori_loop(0, n_steps, step, (first, hidden))
    return hidden, jax.tree.map(turn, last)


def _as_it_is(read: Any) -> Any:
    return read


def _gates_of_words(table: jax.Array, layout: Layout) -> Callable[[jax.Array], jax.Array]:
    """For the first layer: the rows of the table for what is read in a step."""
    if layout.together:
        return lambda rows_N: table[rows_N]  # where they are added to the product, not before
    barrier: Callable[[jax.Array], jax.Array] = lax.optimization_barrier

    def gates(rows_N: jax.Array) -> jax.Array:
        # Behind the barrier whole rows are copied, instead of number by number in the sum.
        gates_NG = barrier(table[rows_N])
        # And behind the second one they are turned once, not once for each gate.
        return gates_NG if layout.lanes_first else barrier(gates_NG.T)

    return gates
