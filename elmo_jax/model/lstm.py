"""The LSTM with projection and clips, and the stack of them that is one direction of a biLM."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from .config import ElmoConfig
from .initializers import glorot_uniform
from .precision import gate_dtype, linear

GATES = ("input", "candidate", "forget", "output")
"""Order of the four blocks of H rows in an LSTM kernel [G, P]: that of TensorFlow's LSTMCell."""

FORGET_BIAS = 1.0
"""Added to the forget gate when it is computed; the published files do not contain it."""


class LSTMState(NamedTuple):
    """What one LSTM layer carries from a token to the next, both after clipping.

    Attributes:
        cell_H: c, float32 [H].
        hidden_P: h, float32 [P], without the sum of a skip connection.
    """

    cell_H: jax.Array
    hidden_P: jax.Array


class ProjectedLSTMCell(nn.Module):
    """LSTM without peepholes, with clipped cell state and clipped, projected output.

    i, j, f, o = W_x x + W_h h + b;  c' = clip(σ(f + 1) c + σ(i) tanh(j));
    h' = clip(W_p (σ(o) tanh(c'))).  Equations of TensorFlow 1's ``LSTMCell`` (Sak et al. 2014).

    Attributes:
        config: the architecture.
        precision: of the matrix products, see ``elmo_jax.model.precision``.
        kernel_first: the order of their operands, see ``linear``.
        narrow: whether gates may come rounded out of their products, see ``linear``.
    """

    config: ElmoConfig
    precision: str = "float32"
    kernel_first: bool = True
    narrow: bool = False

    def setup(self) -> None:
        """Make the parameters; each kernel is [out, in]."""
        n_in = n_out = self.config.projection_dim
        n_cell = self.config.cell_dim
        n_gates = len(GATES) * n_cell
        init = glorot_uniform(n_in + n_out, n_gates)
        self.input_kernel = self.param("input_kernel", init, (n_gates, n_in))
        self.recurrent_kernel = self.param("recurrent_kernel", init, (n_gates, n_out))
        self.bias = self.param("bias", nn.initializers.zeros, (n_gates,))
        if self.config.has_lstm_projection:
            self.projection_kernel = self.param(
                "projection_kernel", glorot_uniform(n_cell, n_out), (n_out, n_cell)
            )

    def input_gates(self, x: jax.Array) -> jax.Array:
        """The part of the gates that needs no state, W_x x + b: [..., P] -> [..., G]."""
        gates = self._linear(self.input_kernel, x) + self.bias.reshape(*[1] * (x.ndim - 1), -1)
        return gates.astype(gate_dtype(self.precision, gates.dtype))

    def __call__(self, state: LSTMState, input_gates_G: jax.Array) -> LSTMState:
        """Read one token, given as its ``input_gates``; the new hidden_P is the output."""
        gates_G = self._gates(self.recurrent_kernel, state.hidden_P)
        return self._advance(state, input_gates_G.astype(gates_G.dtype) + gates_G)

    def joined_kernel(self) -> jax.Array:
        """[W_x, W_h], for ``read``: [G, 2P]."""
        return jnp.concatenate([self.input_kernel, self.recurrent_kernel], axis=1)

    def read(self, state: LSTMState, x_P: jax.Array, joined_kernel: jax.Array) -> LSTMState:
        """Read one token, given as it is: both parts of its gates are one product."""
        gates_G = self._gates(joined_kernel, jnp.concatenate([x_P, state.hidden_P]))
        return self._advance(state, gates_G + self.bias)

    def _gates(self, kernel: jax.Array, inputs: jax.Array) -> jax.Array:
        return self._linear(kernel, inputs, self.narrow).astype(inputs.dtype)

    def _advance(self, state: LSTMState, gates_G: jax.Array) -> LSTMState:
        """The state after the one whose gates these are."""
        gates = dict(zip(GATES, jnp.split(gates_G, len(GATES)), strict=True))
        kept = nn.sigmoid(gates["forget"] + FORGET_BIAS) * state.cell_H
        cell_H = kept + nn.sigmoid(gates["input"]) * jnp.tanh(gates["candidate"])
        cell_H = _clip(cell_H, self.config.cell_clip)  # before the output gate sees it
        hidden = nn.sigmoid(gates["output"]) * jnp.tanh(cell_H)
        if self.config.has_lstm_projection:  # TensorFlow's cell clips what it projects only
            hidden = self._linear(self.projection_kernel, hidden)
            hidden = _clip(hidden, self.config.proj_clip)
        return LSTMState(cell_H, hidden)

    def _linear(self, kernel: jax.Array, inputs: jax.Array, narrow: bool = False) -> jax.Array:
        return linear(kernel, inputs, self.precision, self.kernel_first, narrow)


def _clip(x: jax.Array, bound: float | None) -> jax.Array:
    return x if bound is None else jnp.clip(x, -bound, bound)


class LanguageModelStack(nn.Module):
    """The LSTM layers of one direction over one lane.

    A lane may hold several sentences end to end: where ``fresh_T`` is set, the step starts from
    ``start`` instead of the state that the step before left.
    """

    config: ElmoConfig
    reverse: bool = False
    precision: str = "float32"

    def setup(self) -> None:
        """Make the cells."""
        self.layers = [
            ProjectedLSTMCell(self.config, self.precision) for _ in range(self.config.n_layers)
        ]

    def __call__(
        self,
        tokens_TP: jax.Array,
        state: tuple[LSTMState, ...],
        start: tuple[LSTMState, ...],
        fresh_T: jax.Array | np.ndarray,
        real_T: jax.Array | None = None,
        dropout_rate: float = 0.0,
    ) -> tuple[tuple[jax.Array, ...], tuple[LSTMState, ...]]:
        """Read a lane, from its first token to its last, or the other way if ``reverse``.

        Args:
            tokens_TP: float32 [T, P].
            state: the state to begin with, one a layer. Its length says how many of the
                ``n_layers`` layers run, so that none is computed which nobody asked for.
            start: the state in which a sentence begins, one a layer.
            fresh_T: bool [T], the tokens with which a sentence begins, in reading order.
            real_T: bool [T] or None; steps where it is False leave the state as it is.
            dropout_rate: share of each layer's input to drop, in training; needs an rng
                "dropout".

        Returns:
            The outputs of the layers, each float32 [T, P], and the last state, in reading order.
        """
        inputs_TP, outputs, states = tokens_TP, [], []
        for depth, (cell, begin, initial) in enumerate(
            zip(self.layers, start, state, strict=False)
        ):
            # Before the sum: a skip connection adds the input as the cell saw it [bilm-tf].
            inputs_TP = self.drop(inputs_TP, dropout_rate)
            last, hidden_TP = self._run(cell, begin, initial, inputs_TP, fresh_T, real_T)
            skip = self.config.use_skip_connections and depth > 0
            inputs_TP = hidden_TP + inputs_TP if skip else hidden_TP
            outputs.append(inputs_TP)
            states.append(last)
        return tuple(outputs), tuple(states)

    def drop(self, x: jax.Array, rate: float) -> jax.Array:
        """Zeros for a share of the numbers, the others scaled up, by the rng "dropout"."""
        if not rate:
            return x
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - rate, x.shape)
        return jnp.where(kept, x / (1 - rate), 0)

    def _run(
        self,
        cell: ProjectedLSTMCell,
        start: LSTMState,
        initial: LSTMState,
        inputs_TP: jax.Array,
        fresh_T: jax.Array | np.ndarray,
        real_T: jax.Array | None,
    ) -> tuple[LSTMState, jax.Array]:
        def step(
            cell: ProjectedLSTMCell, state: LSTMState, now: tuple[jax.Array, ...]
        ) -> tuple[LSTMState, jax.Array]:
            input_gates_G, fresh, *real = now
            state = select_state(fresh, start, state)
            new = cell(state, input_gates_G)
            return (select_state(real[0], new, state) if real else new), new.hidden_P

        # For a gradient, products are kept of every step and the rest is computed once more: it
        # takes less memory, and less goes through it.
        scan = nn.scan(
            nn.remat(step, prevent_cse=False, policy=jax.checkpoint_policies.dots_saveable),
            variable_broadcast="params",
            split_rngs={"params": False},
            reverse=self.reverse,
        )
        flags = (fresh_T,) if real_T is None else (fresh_T, real_T)
        return scan(cell, initial, (cell.input_gates(inputs_TP), *flags))


def select_state(condition: jax.Array, yes: LSTMState, no: LSTMState) -> LSTMState:
    """The one state or the other, whole: ``condition`` is a scalar bool."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)
