"""One compiled step of training: its loss and its optimizer."""

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
from .language_model import Reading, initial_rows, read_window
from .losses import Candidates, full_losses, sampled_losses
from .settings import TrainingSettings
from .windows import Window


class Average(NamedTuple):
    """The mean of the parameters after each of the latest steps."""

    params: dict[str, Any]
    n_steps: jax.Array  # int32


class TrainState(NamedTuple):
    """What a step changes, on the devices."""

    step: jax.Array  # int32, number of steps taken
    params: dict[str, Any]  # with the softmax
    optimizer: optax.OptState
    rows: BiLMState  # the LSTM state of the N rows
    average: Average | None = None  # None if the run averages no parameters

    @property
    def result(self) -> dict[str, Any]:
        """The parameters that the run is for: the average if there is one."""
        return self.params if self.average is None else self.average.params


class StepMetrics(NamedTuple):
    """What a step reports: float32 scalars on the devices."""

    loss: jax.Array  # mean of both directions in nats; of the sampled softmax, if it is used
    gradient_norm: jax.Array  # global norm of the gradient of that loss, before clipping
    largest_numbers: jax.Array | None = None  # int32 [K], each the largest that a process gave


StepFunction = Callable[..., tuple[TrainState, StepMetrics]]
"""``(state, window, candidates, key, numbers=None) -> state, metrics``, see ``make_train_step``."""


def new_state(
    config: ElmoConfig,
    params: dict[str, Any],
    optimizer: optax.GradientTransformation,
    n_rows: int,
    *,
    averages: bool = False,
) -> TrainState:
    """The state before the first step; ``averages`` if parameters are to be averaged."""
    params = jax.tree.map(jnp.asarray, params)
    rows = initial_rows(config, n_rows, params["softmax"]["bias"].dtype)
    zero = jnp.zeros((), jnp.int32)
    # Copies: a step is given all arrays of the state to write over.
    average = Average(jax.tree.map(jnp.copy, params), jnp.copy(zero)) if averages else None
    return TrainState(zero, params, optimizer.init(params), rows, average)


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
    """½ (forward + backward) mean loss of a window without padding, and the rows' state after it.

    Without candidates it is the loss of the full softmax.
    """
    outputs, new_rows = read_window(params, rows, window, config=config, reading=reading, key=key)
    head, losses = params["softmax"], []
    for direction in range(2):
        outputs_MP = outputs[direction].reshape(-1, outputs.shape[-1])
        targets_M = window.targets[direction].reshape(-1)
        if candidates is None:
            losses_M = full_losses(head, outputs_MP, targets_M, reading.precision)
        else:
            own = Candidates(candidates.classes[direction], candidates.n_tries[direction])
            losses_M = sampled_losses(head, outputs_MP, targets_M, own, reading.precision)
        losses.append(losses_M.mean())
    return (losses[0] + losses[1]) / 2, new_rows


def make_train_step(
    config: ElmoConfig,
    reading: Reading,
    optimizer: optax.GradientTransformation,
    shardings: TrainState | None = None,
    *,
    n_before_average: int = 0,
) -> StepFunction:
    """A compiled step ``(state, window, candidates, key, numbers=None) -> state, metrics``.

    The state is donated: the new one takes its memory. ``key`` is the same for every step; the
    dropout of a step follows from it and the number of the step. The compiler chooses the sharding
    of the new state if ``shardings``, see ``placement.state_shardings``, are None. If the state has
    an average, it leaves out the first ``n_before_average`` steps.

    ``numbers``, int32 [devices, K], is what several processes have to tell each other, a row for
    each device. It travels with the step: a program of its own would not be ordered with it.
    """
    out = None if shardings is None else (shardings, shardings.step)

    @functools.partial(jax.jit, donate_argnums=0, out_shardings=out)
    def train_step(
        state: TrainState,
        window: Window,
        candidates: Candidates | None,
        key: jax.Array,
        numbers: jax.Array | None = None,
    ) -> tuple[TrainState, StepMetrics]:
        # Truncated backpropagation: the gradient is that of the parameters alone, and none flows
        # through the state of the rows into the window before.
        loss_and_gradient = jax.value_and_grad(
            functools.partial(window_loss, config=config, reading=reading), has_aux=True
        )
        step_key = jax.random.fold_in(key, state.step)
        (loss, rows), gradient = loss_and_gradient(
            state.params, state.rows, window, candidates, step_key
        )
        # The caller may have set strict promotion, but optax raises a float to the power of an int.
        with jax.numpy_dtype_promotion("standard"):
            updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        step = state.step + 1
        average = state.average
        if average is not None:
            average = _with(params, average, begins=state.step <= n_before_average)
        largest = None if numbers is None else numbers.max(axis=0)
        metrics = StepMetrics(loss, _global_norm(gradient), largest)
        return TrainState(step, params, optimizer_state, rows, average), metrics

    return train_step


def _with(params: dict[str, Any], average: Average, *, begins: jax.Array) -> Average:
    """The average with one more step, or of this step alone if the average ``begins`` with it."""
    n_steps = jnp.where(begins, 0, average.n_steps) + 1
    share = 1 / n_steps.astype(jnp.float32)
    with jax.numpy_dtype_promotion("standard"):  # parameters may be float64
        mean = optax.incremental_update(params, average.params, share)
    return Average(mean, n_steps)


def _global_norm(tree: Any) -> jax.Array:
    def square(leaf: jax.Array) -> jax.Array:
        # Precision: a TPU would round to bfloat16. Not a vdot, which reshapes: to do that to a
        # divided array, devices would have to exchange all of it.
        return jnp.tensordot(leaf, leaf, axes=leaf.ndim, precision=jax.lax.Precision.HIGHEST)

    return jnp.sqrt(sum(map(square, jax.tree.leaves(tree))))


@jax.jit
def all_finite(params: Params) -> jax.Array:
    """Whether every number of a tree is finite."""
    return jnp.all(jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]))


# Optimizers


def make_optimizer(settings: TrainingSettings, n_steps: int) -> optax.GradientTransformation:
    """The optimizer of a run of ``n_steps``, for the gradient of the mean loss.

    "original" is bilm-tf's: Adagrad without an epsilon, its accumulator starting at 1. The gradient
    is that of the loss times ``unroll_steps``, as in bilm-tf's ``training.py``.
    """
    if settings.recipe == "original":
        return optax.chain(
            optax.scale(settings.unroll_steps),
            optax.clip_by_global_norm(settings.clip),
            optax.adagrad(settings.rate, initial_accumulator_value=1.0, eps=0.0),
        )
    rate = learning_rate(settings, n_steps)
    return optax.chain(
        optax.clip_by_global_norm(settings.clip),
        optax.adamw(rate, b1=0.9, b2=0.99, weight_decay=settings.weight_decay),
    )


def learning_rate(settings: TrainingSettings, n_steps: int) -> optax.Schedule:
    """Rate at each step: constant for "original", warm-up and cosine decay to 0 for "modern"."""
    if settings.recipe == "original":
        return optax.constant_schedule(settings.rate)
    n_warmup = min(n_steps - 1, round(settings.warmup_share * n_steps))
    return optax.warmup_cosine_decay_schedule(
        init_value=settings.rate / (n_warmup + 1),
        peak_value=settings.rate,
        warmup_steps=n_warmup,
        decay_steps=n_steps,
    )
