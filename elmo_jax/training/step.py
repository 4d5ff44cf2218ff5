"""One step of training, compiled: a window in, new parameters and a loss out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ..model.bilm import BiLMState
from ..model.config import ElmoConfig
from ..model.parameters import Params
from .candidates import Candidates
from .language_model import Reading, initial_rows, read_window
from .losses import full_losses, sampled_losses
from .windows import Window


class TrainState(NamedTuple):
    """All that a step changes, on the device.

    Attributes:
        step: int32, steps taken.
        params: the parameter tree, softmax included.
        optimizer: of optax.
        rows: the LSTM state of the rows.
    """

    step: jax.Array
    params: dict[str, Any]
    optimizer: optax.OptState
    rows: BiLMState


class StepMetrics(NamedTuple):
    """What a step reports: float32 scalars on the device.

    Attributes:
        loss: mean of both directions, in nats; sampled, if the softmax is.
        gradient_norm: global norm of the mean loss's gradient, before clipping.
    """

    loss: jax.Array
    gradient_norm: jax.Array


StepFunction = Callable[
    [TrainState, Window, Candidates | None, jax.Array], tuple[TrainState, StepMetrics]
]


def new_state(
    config: ElmoConfig, params: dict[str, Any], optimizer: optax.GradientTransformation, n_rows: int
) -> TrainState:
    """The state before the first step."""
    params = jax.tree.map(jnp.asarray, params)
    dtype = params["softmax"]["bias"].dtype
    rows = initial_rows(config, n_rows, dtype)
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), rows)


def window_loss(
    params: Params,
    rows: BiLMState,
    window: Window,
    candidates: Candidates | None,
    key: jax.Array,
    *,
    config: ElmoConfig,
    reading: Reading,
) -> tuple[jax.Array, BiLMState]:
    """½ (forward + backward) mean loss of a window, and the state after it.

    Args:
        params: biLM and softmax.
        rows: the state before the window.
        window: without padding.
        candidates: negative samples of each direction, or None for the full softmax.
        key: for dropout.
        config: the architecture.
        reading: how the text is read.
    """
    outputs, new_rows = read_window(params, rows, window, config=config, reading=reading, key=key)
    losses = []
    for number in range(2):
        outputs_MP = outputs[number].reshape(-1, outputs.shape[-1])
        targets_M = window.targets[number].reshape(-1)
        if candidates is None:
            losses_M = full_losses(params["softmax"], outputs_MP, targets_M, reading.precision)
        else:
            losses_M = sampled_losses(
                params["softmax"],
                outputs_MP,
                targets_M,
                Candidates(candidates.classes[number], candidates.n_tries[number]),
                reading.precision,
            )
        losses.append(losses_M.mean())
    return (losses[0] + losses[1]) / 2, new_rows


def make_train_step(
    config: ElmoConfig,
    reading: Reading,
    optimizer: optax.GradientTransformation,
    shardings: TrainState | None = None,
) -> StepFunction:
    """A compiled step ``(state, window, candidates, key) -> state, metrics``.

    The state is donated: its memory becomes that of the new one. ``key`` is the run's; the
    step's own dropout follows from it and from the number of the step.

    Args:
        config: the architecture.
        reading: how the text is read.
        optimizer: of optax.
        shardings: of the state, see ``Placement``; left to the compiler if None.
    """
    out = None if shardings is None else (shardings, shardings.step)

    @functools.partial(jax.jit, donate_argnums=0, out_shardings=out)
    def train_step(
        state: TrainState, window: Window, candidates: Candidates | None, key: jax.Array
    ) -> tuple[TrainState, StepMetrics]:
        loss_of = jax.value_and_grad(
            functools.partial(window_loss, config=config, reading=reading), has_aux=True
        )
        step_key = jax.random.fold_in(key, state.step)
        (loss, rows), gradient = loss_of(state.params, state.rows, window, candidates, step_key)
        # A caller may have chosen strict promotion; optax raises a float to the power of an int32.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = StepMetrics(loss, _norm(gradient))
        return TrainState(state.step + 1, params, optimizer_state, rows), metrics

    return train_step


def _norm(tree: Any) -> jax.Array:
    return jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))


@jax.jit
def all_finite(params: Params) -> jax.Array:
    """Whether every number of a tree is finite."""
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]))
