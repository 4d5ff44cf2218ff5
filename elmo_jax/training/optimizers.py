"""The two recipes as optax transformations of the gradient of the mean loss."""

from __future__ import annotations

import optax

from .settings import TrainingSettings


def make_optimizer(settings: TrainingSettings, n_steps: int) -> optax.GradientTransformation:
    """The optimiser of a run.

    "original" is bilm-tf's: the gradient is that of the loss times ``unroll_steps``, clipped to
    a global norm of 10; Adagrad at 0.2, its accumulator starting at 1, without an epsilon.

    Args:
        settings: recipe, rate, clip.
        n_steps: of the whole run; the schedule of "modern" ends there.
    """
    if settings.recipe == "original":
        return optax.chain(
            optax.scale(settings.unroll_steps),
            optax.clip_by_global_norm(settings.clip),
            optax.adagrad(settings.rate, initial_accumulator_value=1.0, eps=0.0),
        )
    return optax.chain(
        optax.clip_by_global_norm(settings.clip),
        optax.adamw(
            learning_rate(settings, n_steps),
            b1=0.9,
            b2=0.99,
            weight_decay=settings.weight_decay,
        ),
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
