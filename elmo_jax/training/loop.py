"""The loop over the windows: step, validate, save, and stop when there is a reason to."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax

from ..checkpoint.vocabulary import Vocabulary
from ..errors import ElmoError
from ..model.config import ElmoConfig
from .candidates import sample_both
from .checkpoints import Checkpoints
from .evaluation import Perplexity
from .interrupts import catch_signals
from .language_model import Reading
from .optimizers import make_optimizer
from .placement import Placement
from .reporting import Reporter
from .settings import TrainingSettings
from .step import StepMetrics, TrainState, all_finite, make_train_step
from .streams import TrainingStreams
from .windows import assemble

# Steps that may be under way at once: the next window is prepared while the devices compute.
_STEPS_IN_FLIGHT = 2


class TrainingDiverged(ElmoError):
    """The loss is no longer a number."""


@dataclasses.dataclass
class Loop:
    """A run from one step to another.

    Attributes:
        config: the architecture.
        settings: of the run.
        n_steps: of the whole run.
        vocabulary: of the softmax.
        streams: the text, at its place.
        placement: of the arrays.
        checkpoints: where to save.
        reporter: where to report.
        validate: perplexity of a config and its parameters, or None.
    """

    config: ElmoConfig
    settings: TrainingSettings
    n_steps: int
    vocabulary: Vocabulary
    streams: TrainingStreams
    placement: Placement
    checkpoints: Checkpoints
    reporter: Reporter
    validate: Callable[[ElmoConfig, Any], Perplexity] | None

    def __post_init__(self) -> None:
        self._pending: collections.deque[tuple[int, StepMetrics]] = collections.deque()

    def run(self, state: TrainState) -> tuple[TrainState, str | None]:
        """Train to the end, or until a signal comes.

        Returns:
            The last state, which is saved, and the name of the signal, if one came.

        Raises:
            TrainingDiverged: naming the step and the last good checkpoint.
        """
        settings, streams, step = self.settings, self.streams, int(state.step)
        reading = Reading(settings.dropout, settings.resets, settings.precision)
        train_step = make_train_step(
            self.config,
            reading,
            make_optimizer(settings, self.n_steps),
            self.placement.state_shardings,
        )
        eval_every = settings.eval_every or max(1, self.n_steps // 10)
        save_every = settings.checkpoint_every or min(1000, max(1, self.n_steps // 20))
        n_samples = settings.samples(len(self.vocabulary))
        key = jax.random.key(settings.seed)
        with catch_signals() as interrupt:
            while step < self.n_steps and interrupt.name is None:
                window = assemble(streams.take(), streams.lexicon, self.placement.n_devices)
                candidates = None
                if n_samples:
                    candidates = sample_both(settings.seed, step, n_samples, len(self.vocabulary))
                state, metrics = train_step(
                    state,
                    self.placement.place_window(window),
                    self.placement.place_candidates(candidates),
                    key,
                )
                step += 1
                self._pending.append((step, metrics))
                self._settle(_STEPS_IN_FLIGHT)
                # What is saved has been validated: a run that is killed in between does it again.
                if step % eval_every == 0:
                    self._validate(step, state)
                if step % save_every == 0 and step < self.n_steps:
                    self._save(step, state)
            if step == self.n_steps and self.reporter.validated_step != step:
                self._validate(step, state)
            self._save(step, state)
        return state, interrupt.name if step < self.n_steps else None

    def _settle(self, n_left: int) -> None:
        """Wait for steps until ``n_left`` are under way, and look at their losses."""
        while len(self._pending) > n_left:
            step, metrics = self._pending.popleft()
            loss, norm = float(metrics.loss), float(metrics.gradient_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise self._diverged(f"the loss is {loss} and the gradient's norm {norm}", step)
            self.reporter.step(step, loss, norm)

    def _diverged(self, what: str, step: int) -> TrainingDiverged:
        latest = self.checkpoints.latest()
        saved = "no checkpoint was written before"
        if latest is not None:
            folder = self.checkpoints.folder / str(latest)
            saved = f"the last good checkpoint is that of step {latest}, in {folder}"
        rounded = ", or with precision float32" if self.settings.precision != "float32" else ""
        return TrainingDiverged(
            f"Training diverged at step {step}: {what}; {saved}. Start another run with a lower "
            f"learning_rate or clip_norm{rounded}."
        )

    def _save(self, step: int, state: TrainState) -> None:
        self._settle(0)  # so that no checkpoint is written after a loss that is no number
        if not all_finite(state.params):
            raise self._diverged("not every parameter is a finite number", step)
        self.reporter.pause()
        self.checkpoints.save(step, state, self.streams.position)
        self.reporter.resume()

    def _validate(self, step: int, state: TrainState) -> None:
        self._settle(0)
        if self.validate is None:
            return
        self.reporter.pause()
        result = self.validate(self.config, state.params)
        self.reporter.validation(step, result)
        self.reporter.resume()
