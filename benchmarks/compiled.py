"""The compiled functions of the library as they are called, to be looked at or timed alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from elmo_jax import ElmoConfig
from elmo_jax.engine.outputs import pool_lanes
from elmo_jax.engine.plan import Plan
from elmo_jax.engine.step import read_lanes
from elmo_jax.engine.word_table import _write_words
from elmo_jax.model.layers import select_layers
from elmo_jax.model.parameters import Params
from elmo_jax.training import TrainingSettings
from elmo_jax.training.candidates import Candidates
from elmo_jax.training.language_model import Reading, init_language_model
from elmo_jax.training.train_step import make_optimizer, make_train_step, new_state
from elmo_jax.training.windows import Window

from .step import step_arguments, step_inputs

_VOCABULARY, _NEGATIVES, _WINDOW = 100_000, 8192, 20
_WORDS_OF_A_WINDOW = 4096
_USUAL_WIDTH = 23  # of the ids of a word, which the engine cuts short where it can


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a compiled function.

    Attributes:
        function: made by ``jax.jit``.
        arguments: those that are arrays.
        static: those that are not, which follow.
        n_tokens: that one call is for.
        n_steps: of loops whose number of steps is an argument.
    """

    function: Any
    arguments: tuple[Any, ...]
    static: tuple[Any, ...]
    n_tokens: int
    n_steps: int = 1


def step(config: ElmoConfig, params: Params, plan: Plan, n_lanes: int, precision: str) -> Call:
    """The engine's step: all layers of ``plan.chunk_steps`` tokens of each lane."""
    n_steps, layout = plan.chunk_steps, plan.layout(n_lanes)
    arrays, static = step_arguments(config, params, n_lanes, n_steps, precision, layout)
    return Call(read_lanes, arrays, static, n_lanes * n_steps, n_steps)


def pool(config: ElmoConfig, params: Params, plan: Plan, n_lanes: int, precision: str) -> Call:
    """Means over sentences of the average of the layers that a step gave."""
    before = step(config, params, plan, n_lanes, precision)
    outputs, _ = jax.eval_shape(lambda *x: read_lanes(*x, *before.static), *before.arguments)
    _, words, _, _, forward_TN, backward_TN, fresh_TN, _ = before.arguments
    selection, layer_weights_L = select_layers("average", config)
    pooled = jnp.zeros((n_lanes, config.output_dim))
    places_KS = (np.zeros((1, n_lanes), np.int32),) * 2 + (np.ones((1, n_lanes), np.int32),)
    arguments = (pooled, words, (forward_TN, backward_TN), fresh_TN, _zeros(outputs), *places_KS)
    static = selection, "mean", "float32"
    return Call(pool_lanes, (*arguments, layer_weights_L), static, before.n_tokens)


def words(config: ElmoConfig, params: Params, plan: Plan, n_lanes: int, precision: str) -> Call:
    """The spelling of a large batch of usual words; a word counts as a token here."""
    given = step_inputs(config, params, n_lanes, 1, precision)
    size = plan.word_batches[1]
    width = min(_USUAL_WIDTH, config.max_characters_per_token)
    arguments = (given.params, given.words, np.ones((size, width), np.int32))
    rows_U = np.arange(size, dtype=np.int32)
    return Call(_write_words, (*arguments, rows_U), (config, precision), size)


def training(config: ElmoConfig, params: Params, plan: Plan, n_lanes: int, precision: str) -> Call:
    """A step of training with as many rows as there are lanes, and sampled softmax."""
    del params, plan
    settings = TrainingSettings(batch_size=n_lanes, precision=precision, n_steps=100)
    optimizer = make_optimizer(settings, 100)
    params = init_language_model(config, _VOCABULARY)
    state = new_state(config, params, optimizer, n_lanes)
    shape = 2, n_lanes, _WINDOW
    width = min(_USUAL_WIDTH, config.max_characters_per_token)
    window = Window(
        np.ones((_WORDS_OF_A_WINDOW, width), np.int32),
        np.ones((32, config.max_characters_per_token), np.int32),
        *(np.zeros(shape, np.int32) for _ in range(2)),
        *(np.zeros(shape, bool) for _ in range(2)),
    )
    classes = np.broadcast_to(np.arange(_NEGATIVES, dtype=np.int32), (2, _NEGATIVES))
    candidates = Candidates(classes, np.full(2, 2 * _NEGATIVES, np.float32))
    reading = Reading(settings.dropout, settings.resets, settings.precision)
    function = make_train_step(config, reading, optimizer)
    arguments = state, window, candidates, jax.random.key(0)
    return Call(function, arguments, (), n_lanes * _WINDOW)


CALLS: dict[str, Callable[[ElmoConfig, Params, Plan, int, str], Call]] = {
    "step": step,
    "pool": pool,
    "words": words,
    "training": training,
}


def _zeros(shapes: Any) -> Any:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
