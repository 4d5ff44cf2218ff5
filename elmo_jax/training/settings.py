"""What a training run can be told, apart from the model and the text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import MOST_SEED, ElmoError, UnusedOptionsWarning, count_problem, number_problem, warn
from ..model.precision import check_precision
from .bilm_options import read_settings

RECIPES = ("modern", "original")

_COUNTS = {
    "batch_size", "unroll_steps", "n_steps", "shuffle_buffer", "eval_every", "checkpoint_every",
    "keep_checkpoints", "log_every",
}  # fmt: skip
MOST_STEPS = 2**31 - 1
"""JAX counts steps in int32; windows have no more tokens than it can number, either."""

_POSITIVE = {"epochs", "learning_rate", "clip_norm"}
_SHARES = {"dropout", "warmup_share"}
_OPTIONAL = {"n_steps", "learning_rate", "clip_norm", "eval_every", "checkpoint_every"}

_LEARNING_RATES = {"modern": 4e-3, "original": 0.2}
_CLIPS = {"modern": 1.0, "original": 10.0}


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """The numbers of a training run.

    Attributes:
        recipe: "modern" (AdamW with warm-up and cosine decay), or "original" (bilm-tf: Adagrad
            from an accumulator of 1, on the loss times ``unroll_steps``).
        batch_size: N, rows of the batch, over all devices together.
        unroll_steps: T, steps of a window: how far gradients reach back.
        epochs: passes over the corpus.
        n_steps: windows to train on, instead of ``epochs``.
        n_negative_samples: K of the sampled softmax. A vocabulary that is not larger is
            trained with the full softmax; so is any with 0.
        learning_rate: None for that of the recipe: 0.004 or 0.2.
        clip_norm: bound on the global norm of the gradient; None for that of the recipe: 1 or
            10 (there the gradient is that of the loss times ``unroll_steps``).
        warmup_share: "modern" only: share of the steps in which the rate rises.
        weight_decay: "modern" only.
        dropout: share dropped of each LSTM layer's input, and of the output.
        reset_state: start every sentence from zeros, as a stateless embedder reads it, instead
            of the state that the sentence before left. None for the way of the recipe: "modern"
            resets, "original" carries on as bilm-tf does. A model that has always carried on
            can be at a loss from zeros, above all after a short training.
        tokenizer: the name of what splits lines into words, see ``elmo_jax.tokenizer_named``.
        precision: of the matrix products, see ``elmo_jax.model.precision``.
        seed: decides the first weights, the order of the text, dropout and samples.
        shuffle_buffer: sentences that each direction holds in memory to shuffle.
        eval_every: steps between validations; None for ten in a run.
        checkpoint_every: steps between checkpoints; None for twenty in a run, at most 1,000.
        keep_checkpoints: how many of the latest checkpoints stay.
        log_every: steps between lines of the metrics file.

    Raises:
        ElmoError: listing every value that is out of range.
    """

    recipe: str = "modern"
    batch_size: int = 128
    unroll_steps: int = 20
    epochs: float = 10
    n_steps: int | None = None
    n_negative_samples: int = 8192
    learning_rate: float | None = None
    clip_norm: float | None = None
    warmup_share: float = 0.05
    weight_decay: float = 0.01
    dropout: float = 0.1
    reset_state: bool | None = None
    tokenizer: str = "whitespace"
    precision: str = "float32"
    seed: int = 0
    shuffle_buffer: int = 200_000
    eval_every: int | None = None
    checkpoint_every: int | None = None
    keep_checkpoints: int = 3
    log_every: int = 10

    def __post_init__(self) -> None:
        problems = list(filter(None, _problems(self)))
        if problems:
            raise ElmoError("These training settings cannot be used: " + "; ".join(problems))
        check_precision(self.precision)
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, np.generic):  # no JSON
                object.__setattr__(self, name, value.item())

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], source: str = "options", **choices: Any
    ) -> TrainingSettings:
        """The settings in the ``options.json`` that bilm-tf trained with, already parsed.

        Taken are ``dropout``, ``batch_size``, ``unroll_steps``, ``n_epochs`` (``epochs``),
        ``n_negative_samples_batch`` (``n_negative_samples``; 0 where ``sample_softmax`` is false),
        and, as Adagrad's, ``learning_rate`` and ``all_clip_norm_val`` (``clip_norm``): with one of
        these the recipe is "original", unless ``choices`` has another, which leaves them out.

        bilm-tf's ``batch_size`` is that of one GPU, here it is that of all devices together.
        ``n_train_tokens`` and ``n_tokens_vocab`` are not needed: both are counted.

        Args:
            options: the parsed JSON object.
            source: what to call the object in errors.
            **choices: settings that win over those of the options.

        Warns:
            UnusedOptionsWarning: naming the keys that change nothing.

        Raises:
            ElmoError: for values that cannot be used.

        Example:
            >>> settings = TrainingSettings.from_options({"n_epochs": 3, "dropout": 0.2}, epochs=5)
            >>> settings.epochs, settings.dropout
            (5, 0.2)
        """
        fields, unused = read_settings(options, source, choices.get("recipe"))
        if unused:
            warn(f"{source}: training does not use {', '.join(unused)}.", UnusedOptionsWarning)
        try:
            return cls(**{**fields, **choices})
        except ElmoError as error:
            raise ElmoError(f"{source}: {error}") from None

    @property
    def rate(self) -> float:
        """The learning rate, or the highest one of a schedule."""
        return _LEARNING_RATES[self.recipe] if self.learning_rate is None else self.learning_rate

    @property
    def clip(self) -> float:
        """The bound on the gradient's norm."""
        return _CLIPS[self.recipe] if self.clip_norm is None else self.clip_norm

    @property
    def resets(self) -> bool:
        """Whether every sentence starts from zeros."""
        return self.recipe == "modern" if self.reset_state is None else self.reset_state

    @property
    def tokens_per_step(self) -> int:
        """N · T. Each token counts once, though both directions predict one."""
        return self.batch_size * self.unroll_steps

    def samples(self, n_words: int) -> int:
        """K for a vocabulary of V words, 0 for the full softmax."""
        return self.n_negative_samples if self.n_negative_samples < n_words else 0

    def steps(self, n_predictions: int) -> int:
        """How many windows the run has, from the number of tokens of the corpus."""
        if self.n_steps is not None:
            return self.n_steps
        n_steps = self.epochs * n_predictions / self.tokens_per_step
        if n_steps > MOST_STEPS:
            raise ElmoError(
                f"{self.epochs:g} epochs of this text are {n_steps:.3g} steps, expected at most "
                f"{MOST_STEPS:,}. Ask for fewer epochs."
            )
        return max(1, round(n_steps))


def _problems(settings: TrainingSettings) -> Iterator[str | None]:
    if settings.recipe not in RECIPES:
        yield f"recipe is {settings.recipe!r}, expected one of {', '.join(RECIPES)}"
    if settings.reset_state not in (None, True, False):
        yield f"reset_state is {settings.reset_state!r}, expected True, False or None"
    for name, value in dataclasses.asdict(settings).items():
        if value is None and name in _OPTIONAL:
            continue
        if name in _COUNTS:
            yield count_problem(value, name, 1, MOST_STEPS)
        elif name in _POSITIVE:
            yield number_problem(value, name, positive=True)
        elif name in _SHARES:
            yield number_problem(value, name, positive=False, below=1)
    try:
        if settings.tokens_per_step > MOST_STEPS:
            yield f"batch_size times unroll_steps is over {MOST_STEPS:,}: lower one of them"
    except TypeError:
        pass  # one is no number, which was told
    yield count_problem(settings.n_negative_samples, "n_negative_samples", 0)
    yield count_problem(settings.seed, "seed", 0, MOST_SEED)
    yield number_problem(settings.weight_decay, "weight_decay", positive=False)
