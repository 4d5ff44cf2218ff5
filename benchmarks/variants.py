"""Other forms of the engine's step, which an accelerator may prefer.

The engine reads layer by layer, each direction by itself, and keeps gates in float32. A form is
that with choices made otherwise:

* one scan: all layers of a step in one loop, so that a state stays where the next step finds it;
* stacked: both directions in one batched product, half as many kernels to launch;
* half gates: the word table, and what leaves a product of gates, in bfloat16, half the traffic;
* hoisted: the second layer's input product for all steps at once, layer by layer;
* unrolled: four steps in each turn of the loop.

What pays belongs into ``elmo_jax.engine.lanes``; this file is for finding out.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from elmo_jax import ElmoConfig
from elmo_jax.model.lstm import FORGET_BIAS
from elmo_jax.parameters import DIRECTIONS, Params

from .step import step_inputs

Array = jax.Array
State = tuple[Array, Array]
"""Cell and output of a layer: [2, N, H] and [2, N, P]."""


@dataclasses.dataclass(frozen=True)
class Form:
    """What is chosen otherwise, see above."""

    one_scan: bool = True
    stacked: bool = False
    half_gates: bool = False
    unroll: int = 1


FORMS = {
    "one scan": Form(),
    "one scan, stacked": Form(stacked=True),
    "one scan, stacked, half gates": Form(stacked=True, half_gates=True),
    "one scan, stacked, half gates, unrolled": Form(stacked=True, half_gates=True, unroll=4),
    "hoisted, stacked": Form(one_scan=False, stacked=True),
    "hoisted, stacked, half gates": Form(one_scan=False, stacked=True, half_gates=True),
    "hoisted, stacked, half gates, unrolled": Form(False, True, True, 4),
}


def forms(precision: str) -> dict[str, Form]:
    """Those that keep the precision of the products: half gates go with half operands."""
    return {n: form for n, form in FORMS.items() if precision == "bfloat16" or not form.half_gates}


def variant(
    config: ElmoConfig, params: Params, n_lanes: int, n_tokens: int, precision: str, form: Form
) -> Callable[[], Any]:
    """A call like ``engine_step``'s over the same words, in another form.

    Returns:
        A function that starts the call and gives the outputs of both directions' layers, float32
        [2, layers, T, N, P]; the first call compiles.
    """
    given = step_inputs(config, params, n_lanes, n_tokens, precision)
    arrays = {
        "layers": _layers(config, given.params),
        "tables": _pair(given.words.forward, given.words.backward).astype(
            jnp.bfloat16 if form.half_gates else jnp.float32
        ),
        "start": [tuple(map(_pair, *pair)) for pair in zip(*given.start, strict=True)],
        "rows_TDN": np.stack([given.forward_TN, given.backward_TN], axis=1),
        "fresh_TN": given.fresh_TN,
    }
    return lambda: _read(arrays, config=config, precision=precision, form=form)


def _pair(forward: Array, backward: Array) -> Array:
    return jnp.stack([forward, backward])


def _layers(config: ElmoConfig, params: Params) -> list[dict[str, Array]]:
    """The parameters of each layer, both directions along axis 0; kernels [2, in, out]."""
    layers = []
    for depth in range(config.n_layers):
        pair = [params[name][f"layers_{depth}"] for name in DIRECTIONS]
        layer = jax.tree.map(_pair, *pair)
        layers.append({k: v.swapaxes(1, 2) if v.ndim == 3 else v for k, v in layer.items()})
    return layers


@functools.partial(jax.jit, static_argnames=("config", "precision", "form"))
def _read(arrays: dict[str, Any], config: ElmoConfig, precision: str, form: Form) -> Array:
    reader = _Reader(config, precision, form, **arrays)
    return reader.one_scan() if form.one_scan else reader.hoisted()


@dataclasses.dataclass
class _Reader:
    """See ``variant``; letters of shapes: D directions, else those of the engine."""

    config: ElmoConfig
    precision: str
    form: Form
    layers: list[dict[str, Array]]
    tables: Array
    start: list[State]
    rows_TDN: Array
    fresh_TN: Array

    def one_scan(self) -> Array:
        """All layers in one loop."""

        def step(states: list[State], now: tuple[Array, Array]) -> tuple[list[State], Array]:
            rows_DN, fresh_N = now
            after: list[State] = []
            outputs: list[Array] = []
            for depth, state in enumerate(states):
                gates = self._of_input(depth, outputs[-1]) if depth else self._of_words(rows_DN)
                after.append(self._cell(depth, state, gates, fresh_N))
                outputs.append(self._skip(depth, after[-1][1], outputs))
            return after, jnp.stack(outputs)

        states = [self._everywhere(begin) for begin in self.start]
        read = self.rows_TDN, self.fresh_TN
        _, outputs_TLDNP = lax.scan(step, states, read, unroll=self.form.unroll)
        return outputs_TLDNP.transpose(2, 1, 0, 3, 4)

    def hoisted(self) -> Array:
        """Layer by layer, with the input product of all steps of a layer at once."""
        outputs: list[Array] = []
        for depth, begin in enumerate(self.start):
            read = self._of_all_inputs(depth, outputs[-1]) if depth else self.rows_TDN

            def step(state: State, now: Any, depth: int = depth) -> tuple[State, Array]:
                gates = now[0] if depth else self._of_words(now[0])
                new = self._cell(depth, state, gates, now[1])
                return new, new[1]

            arguments = self._everywhere(begin), (read, self.fresh_TN)
            _, hidden_TDNP = lax.scan(step, *arguments, unroll=self.form.unroll)
            outputs.append(self._skip(depth, hidden_TDNP, outputs))
        return jnp.stack(outputs).transpose(2, 0, 1, 3, 4)

    def _cell(self, depth: int, state: State, gates_DNG: Array, fresh_N: Array) -> State:
        """One step of a layer, see ``elmo_jax.model.ProjectedLSTMCell``."""
        layer, config = self.layers[depth], self.config
        cell, hidden = (
            jnp.where(fresh_N[None, :, None], begin[:, None], now)
            for begin, now in zip(self.start[depth], state, strict=True)
        )
        gates = gates_DNG.astype(jnp.float32)
        gates += self._product(hidden, layer["recurrent_kernel"], of_gates=True)
        given, candidate, kept, shown = jnp.split(gates, 4, axis=-1)
        new = jax.nn.sigmoid(kept + FORGET_BIAS) * cell
        new = _clip(new + jax.nn.sigmoid(given) * jnp.tanh(candidate), config.cell_clip)
        hidden = jax.nn.sigmoid(shown) * jnp.tanh(new)
        if config.has_lstm_projection:
            hidden = self._product(hidden, layer["projection_kernel"], of_gates=False)
            hidden = _clip(hidden, config.proj_clip)
        return new, hidden

    def _of_words(self, rows_DN: Array) -> Array:
        return jax.vmap(lambda table, rows: table[rows])(self.tables, rows_DN)

    def _of_input(self, depth: int, x_DNP: Array) -> Array:
        layer = self.layers[depth]
        return self._product(x_DNP, layer["input_kernel"], of_gates=True) + layer["bias"][:, None]

    def _of_all_inputs(self, depth: int, x_TDNP: Array) -> Array:
        n_steps, _, n_lanes, _ = x_TDNP.shape
        flat = x_TDNP.swapaxes(0, 1).reshape(2, n_steps * n_lanes, -1)
        gates = self._of_input(depth, flat).astype(self.tables.dtype)
        return gates.reshape(2, n_steps, n_lanes, -1).swapaxes(0, 1)

    def _skip(self, depth: int, hidden: Array, below: list[Array]) -> Array:
        return hidden + below[-1] if depth and self.config.use_skip_connections else hidden

    def _everywhere(self, begin: State) -> State:
        n_lanes = self.fresh_TN.shape[1]
        cell, hidden = (jnp.repeat(x[:, None], n_lanes, axis=1) for x in begin)
        return cell, hidden

    def _product(self, x_DNI: Array, kernel_DIO: Array, *, of_gates: bool) -> Array:
        """Float32 [2, N, out]."""
        is_half = self.precision == "bfloat16"
        out = jnp.bfloat16 if is_half and of_gates and self.form.half_gates else jnp.float32
        exact = None if is_half or self.precision == "tf32" else lax.Precision.HIGHEST
        product = functools.partial(jnp.matmul, precision=exact, preferred_element_type=out)
        x_DNI = x_DNI.astype(kernel_DIO.dtype)  # kernels are rounded already
        if self.form.stacked:
            found = product(x_DNI, kernel_DIO)
        else:
            found = jnp.stack([product(*each) for each in zip(x_DNI, kernel_DIO, strict=True)])
        return found.astype(jnp.float32)


def _clip(x: Array, bound: float | None) -> Array:
    return x if bound is None else jnp.clip(x, -bound, bound)
