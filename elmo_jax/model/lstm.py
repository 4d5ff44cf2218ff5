"""The LSTM with projection and clips, and the stack of such layers that is one direction of a biLM.

``ProjectedLSTMCell`` is one layer at one token, ``lane_step`` one token of a lane, and
``read_layers`` the layers on top of each other. All uses share them; only the loop over the tokens
differs. ``LanguageModelStack`` scans one lane and can be differentiated; ``elmo_jax.engine.step``
loops over many lanes, for a number of steps that need not be static.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn.initializers import Initializer

from .config import ElmoConfig
from .precision import gate_dtype, linear

GATES = ("input", "candidate", "forget", "output")
"""Order of the four blocks of H rows in an LSTM kernel [G, P]: that of TensorFlow's LSTMCell."""

FORGET_BIAS = 1.0
"""Added to the forget gate when it is computed; the published files do not contain it."""


class LSTMState(NamedTuple):
    """What one LSTM layer carries from one token to the next. Both arrays are already clipped.

    Attributes:
        cell_H: c, float32 [H].
        hidden_P: h, float32 [P], before a skip connection adds to it.
    """

    cell_H: jax.Array
    hidden_P: jax.Array


class ProjectedLSTMCell(nn.Module):
    """LSTM without peepholes, with a clipped cell state and a clipped, projected output.

    i, j, f, o = W_x x + W_h h + b;  c' = clip(σ(f + 1) c + σ(i) tanh(j));
    h' = clip(W_p (σ(o) tanh(c'))).  Equations of TensorFlow 1's ``LSTMCell`` (Sak et al. 2014).

    ``precision.linear`` explains the last three fields.
    """

    config: ElmoConfig
    precision: str = "float32"
    kernel_first: bool = True
    bfloat16_result: bool = False  # only of the products that give gates

    def setup(self) -> None:
        """Make the parameters; each kernel is [out, in]."""
        n_in = n_out = self.config.projection_dim
        n_cell = self.config.cell_dim
        n_gates = len(GATES) * n_cell
        init = _glorot_uniform(n_in + n_out, n_gates)
        self.input_kernel = self.param("input_kernel", init, (n_gates, n_in))
        self.recurrent_kernel = self.param("recurrent_kernel", init, (n_gates, n_out))
        self.bias = self.param("bias", nn.initializers.zeros, (n_gates,))
        if self.config.has_lstm_projection:
            init = _glorot_uniform(n_cell, n_out)
            self.projection_kernel = self.param("projection_kernel", init, (n_out, n_cell))

    def input_gates(self, x: jax.Array) -> jax.Array:
        """The part of the gates that needs no state, W_x x + b: [..., P] -> [..., G]."""
        gates = self._linear(self.input_kernel, x) + self.bias.reshape(*[1] * (x.ndim - 1), -1)
        return gates.astype(gate_dtype(self.precision, gates.dtype))

    def __call__(self, state: LSTMState, input_gates_G: jax.Array) -> LSTMState:
        """Read one token by its ``input_gates``. The output is the new ``hidden_P``."""
        gates_G = self._gates(self.recurrent_kernel, state.hidden_P)
        return self._next_state(state, input_gates_G.astype(gates_G.dtype) + gates_G)

    def fused_kernel(self) -> jax.Array:
        """[W_x, W_h], for ``fused_step``: [G, 2P]."""
        return jnp.concatenate([self.input_kernel, self.recurrent_kernel], axis=1)

    def fused_step(self, state: LSTMState, x_P: jax.Array, fused_kernel: jax.Array) -> LSTMState:
        """Read one token by its vector: W_x x + W_h h is one product."""
        gates_G = self._gates(fused_kernel, jnp.concatenate([x_P, state.hidden_P]))
        return self._next_state(state, gates_G + self.bias)

    def _gates(self, kernel: jax.Array, inputs: jax.Array) -> jax.Array:
        return self._linear(kernel, inputs, self.bfloat16_result).astype(inputs.dtype)

    def _next_state(self, state: LSTMState, gates_G: jax.Array) -> LSTMState:
        gates = dict(zip(GATES, jnp.split(gates_G, len(GATES)), strict=True))
        remembered = nn.sigmoid(gates["forget"] + FORGET_BIAS) * state.cell_H
        cell_H = remembered + nn.sigmoid(gates["input"]) * jnp.tanh(gates["candidate"])
        cell_H = _clip(cell_H, self.config.cell_clip)  # before the output gate sees it
        hidden = nn.sigmoid(gates["output"]) * jnp.tanh(cell_H)
        if self.config.has_lstm_projection:  # TensorFlow's cell clips only what it projects
            hidden = self._linear(self.projection_kernel, hidden)
            hidden = _clip(hidden, self.config.proj_clip)
        return LSTMState(cell_H, hidden)

    def _linear(
        self, kernel: jax.Array, inputs: jax.Array, bfloat16_result: bool = False
    ) -> jax.Array:
        return linear(kernel, inputs, self.precision, self.kernel_first, bfloat16_result)


def _clip(x: jax.Array, bound: float | None) -> jax.Array:
    return x if bound is None else jnp.clip(x, -bound, bound)


def _glorot_uniform(fan_in: int, fan_out: int) -> Initializer:
    """For a matrix stored in parts: the fans are those of the whole, as in bilm-tf."""
    limit = (6 / (fan_in + fan_out)) ** 0.5
    return functools.partial(jax.random.uniform, dtype=jnp.float32, minval=-limit, maxval=limit)


Cell = Callable[[LSTMState, Any], LSTMState]
"""A cell with its parameters: from the state and a token's input to the next state."""

Layer = Callable[[Any, LSTMState], tuple[LSTMState, jax.Array]]
"""A layer over all tokens: from its inputs and first state to its last state and hidden states."""


def lane_step(cell: Cell, start: LSTMState) -> Callable[[LSTMState, Any], LSTMState]:
    """One token of a lane, which may hold several sentences end to end.

    The result is a function of the state before the token and of ``(input, is_first)`` or
    ``(input, is_first, is_real)``. A token that ``is_first`` in its sentence is read from the state
    ``start``. One that is not ``is_real`` is padding and leaves the state as it is.
    """

    def step(state: LSTMState, token: Any) -> LSTMState:
        inputs, is_first, *is_real = token
        state = _select(is_first, start, state)
        new = cell(state, inputs)
        return _select(is_real[0], new, state) if is_real else new

    return step


def read_layers(
    layers: Sequence[Layer],
    inputs: Any,
    state: Sequence[LSTMState],
    use_skip_connections: bool,
    drop: Callable[[Any], Any] = lambda inputs: inputs,
) -> tuple[tuple[jax.Array, ...], tuple[LSTMState, ...]]:
    """The stack: each layer reads the outputs of the one below.

    Takes the inputs of the lowest layer (token vectors, or whatever else it takes), and the state
    of each layer before the first token. Returns the outputs of each layer, and its last state.
    ``drop`` is the dropout for the input of each layer.
    """
    outputs, states = [], []
    for depth, (layer, before) in enumerate(zip(layers, state, strict=True)):
        # First of all: a skip connection adds the input as the cell saw it [bilm-tf].
        inputs = drop(inputs)
        after, hidden = layer(inputs, before)
        inputs = hidden + inputs if use_skip_connections and depth > 0 else hidden
        outputs.append(inputs)
        states.append(after)
    return tuple(outputs), tuple(states)


class LanguageModelStack(nn.Module):
    """The LSTM layers of one direction over one lane."""

    config: ElmoConfig
    reverse: bool = False  # whether to read the lane from its last token to its first
    precision: str = "float32"

    def setup(self) -> None:
        """Make the cells."""
        n_layers = self.config.n_layers
        self.layers = [ProjectedLSTMCell(self.config, self.precision) for _ in range(n_layers)]

    def __call__(
        self,
        tokens_TP: jax.Array,
        state: tuple[LSTMState, ...],
        start: tuple[LSTMState, ...],
        fresh_T: jax.Array | np.ndarray,
        real_T: jax.Array | None = None,
        dropout_rate: float = 0.0,
    ) -> tuple[tuple[jax.Array, ...], tuple[LSTMState, ...]]:
        """Read a lane.

        Args:
            tokens_TP: float32 [T, P].
            state: of each layer, before the token that is read first. Layers beyond its length do
                not run: none is computed that nobody asked for.
            start: of each layer, the state in which a sentence begins.
            fresh_T: bool [T], the tokens that begin a sentence, in reading order.
            real_T: bool [T] or None; tokens where it is False leave the state as it is.
            dropout_rate: the share of each layer's input to drop; needs an rng "dropout".

        Returns:
            The outputs of the layers, each float32 [T, P], and their states after the last token.
        """
        flags = (fresh_T,) if real_T is None else (fresh_T, real_T)
        layers = [
            functools.partial(self._read_layer, cell, begin, flags)
            for cell, begin, _ in zip(self.layers, start, state, strict=False)
        ]
        drop = functools.partial(self.drop, rate=dropout_rate)
        return read_layers(layers, tokens_TP, state, self.config.use_skip_connections, drop)

    def drop(self, x: jax.Array, rate: float) -> jax.Array:
        """Set a share of the numbers to zero and scale up the others, by the rng "dropout"."""
        if not rate:
            return x
        stays = jax.random.bernoulli(self.make_rng("dropout"), 1 - rate, x.shape)
        return jnp.where(stays, x / (1 - rate), 0)

    def _read_layer(
        self,
        cell: ProjectedLSTMCell,
        start: LSTMState,
        flags: tuple[jax.Array | np.ndarray, ...],
        inputs_TP: jax.Array,
        before: LSTMState,
    ) -> tuple[LSTMState, jax.Array]:
        input_gates_TG = cell.input_gates(inputs_TP)
        # A bound module may not be called inside a JAX transformation; a pure function may.
        unbound, variables = cell.unbind()
        apply: Cell = functools.partial(unbound.apply, variables)  # type: ignore[assignment]
        step = lane_step(apply, start)

        # For the gradient, keep only the products of each step and compute the rest again: that
        # takes less memory, and moves less through it.
        @functools.partial(
            jax.checkpoint, prevent_cse=False, policy=jax.checkpoint_policies.dots_saveable
        )
        def scan_step(state: LSTMState, token: Any) -> tuple[LSTMState, jax.Array]:
            new = step(state, token)
            return new, new.hidden_P

        return lax.scan(scan_step, before, (input_gates_TG, *flags), reverse=self.reverse)


def _select(condition: jax.Array, yes: LSTMState, no: LSTMState) -> LSTMState:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
