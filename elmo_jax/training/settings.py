"""The settings of a training run, from keyword arguments or from bilm-tf's options.json."""

from __future__ import annotations

import dataclasses
import functools
import numbers
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ..errors import (
    MOST_SEED,
    ElmoError,
    UnusedOptionsWarning,
    count_problem,
    did_you_mean,
    first_few,
    flag_problem,
    number_problem,
    shortened,
    warn,
)
from ..model.config import PRECISIONS
from ..model.options import KEYS, MANYLANGS_KEYS
from .argument_types import choice_problem

T = TypeVar("T")

RECIPES = ("modern", "original")

# Steps, and the tokens of a window, are counted in int32 on the device.
_MAX_INT32 = 2**31 - 1

_COUNTS = {
    "batch_size", "unroll_steps", "n_steps", "shuffle_buffer", "eval_every", "checkpoint_every",
    "keep_checkpoints", "log_every",
}  # fmt: skip
_POSITIVE = {"epochs", "learning_rate", "clip_norm"}
_SHARES = {"dropout", "warmup_share", "average_share"}
_MODERN_ONLY = ("warmup_share", "weight_decay")
_CHOICES = {"recipe": RECIPES, "precision": PRECISIONS}
_OPTIONAL = {"n_steps", "learning_rate", "clip_norm", "eval_every", "checkpoint_every"}

_LEARNING_RATES = {"modern": 4e-3, "original": 0.2}
_CLIPS = {"modern": 1.0, "original": 10.0}

# Keys of bilm-tf's options.json, and the settings they become.
_BILM_KEYS = {
    "batch_size": "batch_size",
    "unroll_steps": "unroll_steps",
    "n_epochs": "epochs",
    "n_negative_samples_batch": "n_negative_samples",
    "dropout": "dropout",
}
_ADAGRAD_KEYS = {"learning_rate": "learning_rate", "all_clip_norm_val": "clip_norm"}
# Keys that set no field of their own, and so are not reported as unused.
_OTHER_KEYS = {
    "bidirectional",  # belongs to the architecture
    "sample_softmax",  # false means n_negative_samples = 0
    "n_train_tokens", "n_tokens_vocab",  # counted from the text and the vocabulary
}  # fmt: skip
_ARCHITECTURE_KEYS = {path for keys in (KEYS, MANYLANGS_KEYS) for path, _ in keys.values()} | {
    "char_cnn.n_characters", "encoder.name", "token_embedder.name"
}  # fmt: skip


def _refuse_unknown_names(settings: type[T]) -> type[T]:
    """Make a setting that does not exist an ElmoError, which says what may be meant."""
    initialize = settings.__init__

    @functools.wraps(initialize)
    def checked(self: T, *args: Any, **choices: Any) -> None:
        names = [field.name for field in dataclasses.fields(settings)]  # type: ignore[arg-type]
        if unknown := [_unknown_name(name, names) for name in choices if name not in names]:
            raise ElmoError(first_few(unknown))
        initialize(self, *args, **choices)

    settings.__init__ = checked  # type: ignore[method-assign,assignment]
    return settings


@_refuse_unknown_names
@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """The numbers of a training run.

    Attributes:
        recipe: "modern" (AdamW with warm-up and cosine decay), or "original" (bilm-tf: Adagrad
            from an accumulator of 1, on the loss times ``unroll_steps``).
        batch_size: N, rows of a batch, for all devices together.
        unroll_steps: T, steps per window: how far back gradients reach.
        epochs: passes over the corpus.
        n_steps: number of windows to train on, instead of ``epochs``.
        n_negative_samples: K, negative samples in the sampled softmax. If K is 0, or the
            vocabulary has at most K words, the full softmax is used.
        learning_rate: None for the recipe's: 0.004 (modern) or 0.2 (original).
        clip_norm: limit on the global norm of the gradient; None for the recipe's: 1 or 10.
        warmup_share: share of the steps during which the learning rate rises ("modern" only).
        weight_decay: weight decay of AdamW ("modern" only).
        average_share: share of the steps, at the end of the run, whose parameters are averaged
            (Polyak and Juditsky 1992). The average is what is validated and saved; the steps go
            on from the parameters themselves. 0 for the last parameters.
        dropout: share dropped from each LSTM layer's input, and from the output.
        reset_state: start every sentence from zeros, as ``Elmo`` does, instead of from the state
            after the previous sentence. None for the recipe's way: "modern" resets; "original"
            does not, like bilm-tf. A model trained without resets may do badly when it starts
            from zeros, especially after a short training.
        tokenizer: name of the tokenizer that splits lines; see ``elmo_jax.tokenizer_named``.
        precision: for matrix products; see ``elmo_jax.model.precision``.
        seed: determines the first weights, the order of the text, the dropout and the samples.
        shuffle_buffer: sentences held in memory for shuffling, per direction.
        eval_every: steps between validations; None for ten validations per run.
        checkpoint_every: steps between checkpoints; None for twenty per run, but at most
            1,000 steps apart.
        keep_checkpoints: how many of the latest checkpoints to keep.
        log_every: steps between lines of the metrics file.

    Raises:
        ElmoError: for values that are out of range or have a wrong type, all listed; or for a
            setting that does not exist.
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
    average_share: float = 0.0
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
        for name, value in _values(self).items():
            object.__setattr__(self, name, _plain(value))
        if problems := list(filter(None, _problems(self))):
            raise ElmoError("These training settings cannot be used: " + "; ".join(problems))
        if self.tokens_per_step > _MAX_INT32:
            raise ElmoError(
                f"batch_size times unroll_steps is over {_MAX_INT32:,}: lower one of them."
            )

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], source: str = "options", **choices: Any
    ) -> TrainingSettings:
        """The settings in bilm-tf's ``options.json``, as parsed; ``choices`` override them.

        It uses ``dropout``, ``batch_size``, ``unroll_steps``, ``n_epochs`` (here ``epochs``) and
        ``n_negative_samples_batch`` (here ``n_negative_samples``; 0 if ``sample_softmax`` is
        false). ``learning_rate`` and ``all_clip_norm_val`` (here ``clip_norm``) are for Adagrad: if
        either is there, the recipe is "original". With ``recipe="modern"`` they are ignored.
        In bilm-tf, ``batch_size`` is for one GPU; here it is for all devices together.

        ``source`` is the name of the options in errors.

        Warns:
            UnusedOptionsWarning: for keys that have no effect; it names them.

        Raises:
            ElmoError: for values that cannot be used.

        Example:
            >>> settings = TrainingSettings.from_options({"n_epochs": 3, "dropout": 0.2}, epochs=5)
            >>> settings.epochs, settings.dropout
            (5, 0.2)
        """
        fields, unused = _fields_from_options(options, source, choices.get("recipe"))
        if unused:
            warn(f"{source}: training does not use {', '.join(unused)}.", UnusedOptionsWarning)
        try:
            return cls(**{**fields, **choices})
        except ElmoError as error:
            raise ElmoError(f"{source}: {error}") from None

    @property
    def rate(self) -> float:
        """The learning rate, or the highest rate of a schedule."""
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
        """N · T: each token counts once, though both directions predict it."""
        return self.batch_size * self.unroll_steps

    def n_samples(self, n_words: int) -> int:
        """K for a vocabulary of V words; 0 for the full softmax."""
        return self.n_negative_samples if self.n_negative_samples < n_words else 0

    def total_steps(self, n_predictions: int) -> int:
        """How many windows the run has if one epoch predicts ``n_predictions`` tokens."""
        if self.n_steps is not None:
            return self.n_steps
        n_steps = self.epochs * n_predictions / self.tokens_per_step
        if n_steps > _MAX_INT32:
            raise ElmoError(
                f"{self.epochs:g} epochs of this text are {n_steps:.3g} steps, expected at most "
                f"{_MAX_INT32:,}. Ask for fewer epochs."
            )
        return max(1, round(n_steps))

    def n_averaged(self, n_steps: int) -> int:
        """How many of the last steps of a run of ``n_steps`` are averaged; 0 for none."""
        return max(1, round(self.average_share * n_steps)) if self.average_share else 0

    def eval_interval(self, n_steps: int) -> int:
        """Steps between validations of a run of ``n_steps``."""
        return self.eval_every or max(1, n_steps // 10)

    def checkpoint_interval(self, n_steps: int) -> int:
        """Steps between checkpoints of a run of ``n_steps``."""
        return self.checkpoint_every or min(1000, max(1, n_steps // 20))


def _problems(settings: TrainingSettings) -> Iterator[str | None]:
    """What is wrong with the settings. Every field is in one of these groups."""
    for name, value in _values(settings).items():
        if value is None and name in _OPTIONAL:
            continue
        if name in _COUNTS:
            yield count_problem(value, name, 1, _MAX_INT32)
        elif name in _POSITIVE:
            yield number_problem(value, name, positive=True)
        elif name in _SHARES:
            yield number_problem(value, name, positive=False, below=1)
        elif name in _CHOICES:
            yield choice_problem(value, name, _CHOICES[name])
    yield flag_problem(settings.reset_state, "reset_state", optional=True)
    yield count_problem(settings.n_negative_samples, "n_negative_samples", 0)
    yield count_problem(settings.seed, "seed", 0, MOST_SEED)
    yield number_problem(settings.weight_decay, "weight_decay", positive=False)
    if isinstance(settings.recipe, str) and settings.recipe == "original":
        yield from _problems_of_modern_settings(settings)
    if not isinstance(settings.tokenizer, str):
        yield f"tokenizer is {shortened(settings.tokenizer)}, expected the name of one"


def _problems_of_modern_settings(settings: TrainingSettings) -> Iterator[str]:
    """What is asked of AdamW and its schedule, but not of the recipe that has neither."""
    for name in _MODERN_ONLY:
        value = getattr(settings, name)
        is_number = isinstance(value, int | float)  # anything else has a problem of its own
        if is_number and value not in (0, getattr(TrainingSettings, name)):
            yield f"{name} is {shortened(value)}, but the recipe 'original' has none: leave it out"


def _values(settings: TrainingSettings) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}


def _plain(value: Any) -> Any:
    """A number or a flag of any package as Python has it, which can be written as JSON."""
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    try:
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    except OverflowError:  # a fraction too large for a float
        return value


def _unknown_name(name: str, names: Sequence[str]) -> str:
    meant = did_you_mean(name, names, likeness=0.5) or f" Expected one of {', '.join(names)}."
    return f"There is no training setting {shortened(name)}.{meant}"


def _fields_from_options(
    options: Mapping[str, Any], source: str, recipe: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Fields of TrainingSettings, and the keys that set none. A null is the same as no key."""
    if not isinstance(options, Mapping):
        raise ElmoError(f"{source}: expected a JSON object, got {type(options).__name__}.")
    present = {key: value for key, value in options.items() if value is not None}
    fields = {field: present[key] for key, field in _BILM_KEYS.items() if key in present}
    used = {*_BILM_KEYS, *_OTHER_KEYS, *_ARCHITECTURE_KEYS}
    if present.get("share_embedding_softmax") is not True:  # the softmax has its own matrix here
        used.add("share_embedding_softmax")
    if present.get("sample_softmax") is False:
        fields["n_negative_samples"] = 0
    if recipe != "modern":
        used |= _ADAGRAD_KEYS.keys()
        adagrad = {field: present[key] for key, field in _ADAGRAD_KEYS.items() if key in present}
        if adagrad:
            fields |= {**adagrad, "recipe": "original"}
    return fields, [path for path in _key_paths(present) if path not in used]


def _key_paths(options: Mapping[str, Any], prefix: str = "") -> list[str]:
    """All keys; those of nested objects are joined with dots."""
    paths = []
    for key, value in options.items():
        path = f"{prefix}{key}"
        nested = isinstance(value, Mapping) and value
        paths += _key_paths(value, f"{path}.") if nested else [path]
    return paths
