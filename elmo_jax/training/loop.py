"""The loop over the windows of a run: step, validate, save, and stop when there is a reason to."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import jax

from ..checkpoint.vocabulary import Vocabulary
from ..errors import ElmoError, ElmoWarning, warn
from ..lanes.devices import Devices
from ..model.config import ElmoConfig
from ..model.spelling import word_limit
from .checkpoints import Checkpoint, CheckpointNotWritten, Checkpoints
from .evaluation import EvaluationSettings, Perplexity, measure, warn_of_unknown_words
from .language_model import Reading
from .losses import Candidates, candidates_of_step
from .reporting import Reporter
from .run_folder import RunFolder
from .settings import TrainingSettings
from .streams import TrainingStreams
from .text_contents import TextContents
from .text_files import Corpus, CorpusStatistics
from .train_step import (
    StepMetrics,
    TrainState,
    all_finite,
    make_optimizer,
    make_train_step,
    place_window,
    state_shardings,
)
from .windows import Window, assemble

# Steps that may be under way at once. JAX returns before a step is done, so the host prepares the
# next window while the devices compute; asking for a loss at once would make it wait.
_MAX_STEPS_IN_FLIGHT = 2


class TrainingDiverged(ElmoError):
    """The loss is no longer a number."""


@dataclasses.dataclass(frozen=True)
class Validation:
    """The text on which a run measures its perplexity."""

    corpus: Corpus  # quiet, because its faults were reported when it was counted
    statistics: CorpusStatistics
    settings: EvaluationSettings
    digest: str  # a hash of the text that is measured

    def warn(self, config: ElmoConfig, vocabulary: Vocabulary) -> None:
        """Warn of unknown words and of words that the model cuts."""
        warn_of_unknown_words(self.statistics.oov_rate(vocabulary), "the validation text")
        self.statistics.cut_words(word_limit(config)).warn("the validation text")

    def perplexity(
        self, config: ElmoConfig, params: dict[str, Any], vocabulary: Vocabulary
    ) -> Perplexity:
        """The perplexity of a model, without warnings."""
        return measure(config, params, vocabulary, self.corpus, self.settings)[0]


@dataclasses.dataclass(frozen=True)
class Run:
    """What is fixed from the first step of a run to the last."""

    folder: RunFolder
    record: dict[str, Any]  # the contents of run.json
    config: ElmoConfig
    settings: TrainingSettings
    vocabulary: Vocabulary  # the words of the softmax
    n_steps: int  # of the whole run, not of this call
    corpus: Corpus  # quiet, because its faults were reported when it was counted
    contents: TextContents  # what the files contained then
    validation: Validation | None

    @property
    def n_samples(self) -> int:
        """Negative samples per direction and step; 0 for the full softmax."""
        return self.settings.n_samples(len(self.vocabulary))


@dataclasses.dataclass
class TrainingLoop:
    """The steps of a run that are still missing, and what they read from and write to."""

    run: Run
    streams: TrainingStreams
    devices: Devices
    checkpoints: Checkpoints
    reporter: Reporter
    in_flight: collections.deque[tuple[int, StepMetrics]] = dataclasses.field(
        default_factory=collections.deque
    )

    def train(self, state: TrainState) -> tuple[TrainState, str | None]:
        """Train to the end, or until SIGINT or SIGTERM; TrainingDiverged if a loss is not finite.

        Returns the last state, which is saved, and the name of the signal if it stopped the run.
        """
        settings, n_steps = self.run.settings, self.run.n_steps
        train_step = make_train_step(
            self.run.config,
            Reading(settings.dropout, settings.resets, settings.precision),
            make_optimizer(settings, n_steps),
            state_shardings(self.devices),
        )
        eval_every = settings.eval_interval(n_steps)
        save_every = settings.checkpoint_interval(n_steps)
        key, step = jax.random.key(settings.seed), int(state.step)
        with stop_signal() as stopped:
            while step < n_steps and stopped.by is None:
                window, candidates = self._next_window(step)
                state, metrics = train_step(state, window, candidates, key)
                step += 1
                self.in_flight.append((step, metrics))
                self._wait_for_steps(_MAX_STEPS_IN_FLIGHT)
                # Validate before saving, so that a run killed between the two validates again.
                if step % eval_every == 0:
                    self._validate(step, state)
                if step % save_every == 0 and step < n_steps:
                    self._save(step, state)
            if step == n_steps and self.reporter.validated_step != step:
                self._validate(step, state)
            self._save_last(step, state)
        return state, stopped.by if step < n_steps else None

    def _next_window(self, step: int) -> tuple[Window, Candidates | None]:
        window = assemble(self.streams.take(), self.streams.lexicon, self.devices.count)
        candidates, n_words = None, len(self.run.vocabulary)
        if n_samples := self.run.n_samples:
            candidates = candidates_of_step(self.run.settings.seed, step, n_samples, n_words)
            candidates = jax.device_put(candidates, self.devices.everywhere)
        return place_window(window, self.devices), candidates

    def _wait_for_steps(self, n_in_flight: int) -> None:
        """Wait until at most ``n_in_flight`` steps are under way; check and report the others."""
        while len(self.in_flight) > n_in_flight:
            step, metrics = self.in_flight.popleft()
            loss, norm = float(metrics.loss), float(metrics.gradient_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise self._diverged(step, f"the loss is {loss} and the gradient's norm {norm}")
            self.reporter.report_step(step, loss, norm)

    def _save(self, step: int, state: TrainState) -> None:
        self._wait_for_steps(0)  # no checkpoint may follow a loss that is not a number
        if not all_finite(state.params):
            raise self._diverged(step, "not every parameter is a finite number")
        with self.reporter.clock_stopped():
            self.run.contents.check()  # no checkpoint may follow text that has changed
            reported = self.reporter.reported
            self.checkpoints.save(Checkpoint(step, state, self.streams.position, reported))

    def _save_last(self, step: int, state: TrainState) -> None:
        try:
            self._save(step, state)
        except CheckpointNotWritten as error:
            if step < self.run.n_steps:
                raise
            # The trained model matters more, and may yet find room.
            warn(f"{error} The model itself is written all the same.", ElmoWarning)

    def _validate(self, step: int, state: TrainState) -> None:
        self._wait_for_steps(0)
        run = self.run
        if run.validation is not None:
            with self.reporter.clock_stopped():
                result = run.validation.perplexity(run.config, state.params, run.vocabulary)
                self.reporter.report_validation(step, result)

    def _diverged(self, step: int, problem: str) -> TrainingDiverged:
        latest, checkpoint = self.checkpoints.latest, "no checkpoint was written before"
        if latest is not None:
            folder = self.checkpoints.folder / str(latest)
            checkpoint = f"the last good checkpoint is that of step {latest}, in {folder}"
        is_float32 = self.run.settings.precision == "float32"
        or_float32 = "" if is_float32 else ", or with precision float32"
        return TrainingDiverged(
            f"Training diverged at step {step}: {problem}; {checkpoint}. Start another run with a "
            f"lower learning_rate or clip_norm{or_float32}."
        )


class StopSignal:
    """Whether a signal asked the run to stop."""

    by: str | None = None  # its name, such as "SIGTERM"


@contextlib.contextmanager
def stop_signal() -> Iterator[StopSignal]:
    """Note the first SIGINT or SIGTERM instead of ending; a second one acts as usual."""
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread can catch signals
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore_handlers() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        stop.by = signal.Signals(number).name
        restore_handlers()

    for number in handlers:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        restore_handlers()
