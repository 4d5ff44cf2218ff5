"""The loop over the windows of a run: step, validate, save, and stop when there is a reason to."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import math
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn

import jax
import numpy as np

from ..checkpoint.vocabulary import Vocabulary
from ..errors import ElmoError, ElmoWarning, warn
from ..lanes.devices import Devices
from ..model.config import ElmoConfig
from ..model.spelling import word_limit
from ..processes import Processes
from .best_model import write_if_best
from .checkpoints import Checkpoint, CheckpointNotWritten, Checkpoints
from .evaluation import warn_of_unknown_words
from .feed import WindowFeed
from .language_model import Reading
from .losses import Candidates, candidates_of_step
from .perplexity import EvaluationSettings, Perplexity, measure
from .placement import copied_everywhere, place_window, put, put_part, to_host
from .reporting import Reporter
from .run_folder import RunFolder
from .settings import TrainingSettings
from .streams import StreamPosition
from .text_contents import TextContents
from .text_files import Corpus, CorpusStatistics
from .train_step import (
    StepMetrics,
    TrainState,
    all_finite,
    make_optimizer,
    make_train_step,
)
from .windows import Sizes

# Steps that may be under way at once. JAX returns before a step is done, so the host prepares the
# next window while the devices compute; asking for a loss at once would make it wait.
_MAX_STEPS_IN_FLIGHT = 2

N_WINDOWS_AHEAD = _MAX_STEPS_IN_FLIGHT + 1
"""Windows that several processes prepare ahead: what travels with a step is known when as many
steps have been started after it."""


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
        self,
        config: ElmoConfig,
        params: dict[str, Any],
        vocabulary: Vocabulary,
        processes: Processes,
    ) -> Perplexity:
        """The perplexity of a model, without warnings."""
        return measure(config, params, vocabulary, self.corpus, self.settings, processes)[0]


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
    tokenized_with: str | None  # the tokenizer that made the words of the text, if it is known

    @property
    def n_samples(self) -> int:
        """Negative samples per direction and step; 0 for the full softmax."""
        return self.settings.n_samples(len(self.vocabulary))

    def taken(self, step: int) -> dict[str, Any]:
        """How far the run is after a step: the first fields of a summary."""
        known = {} if self.tokenized_with is None else {"tokenized_with": self.tokenized_with}
        return {
            "step": step,
            "n_steps": self.n_steps,
            "reset_state": self.settings.resets,
            "tokenizer": self.settings.tokenizer,
            **known,
            "total_tokens": step * self.settings.tokens_per_step,
        }


class StopSignal:
    """Whether a signal asked the run to stop."""

    number = 0  # of the signal; 0 if there was none

    @property
    def name(self) -> str | None:
        """Its name, such as "SIGTERM"."""
        return signal.Signals(self.number).name if self.number else None


@dataclasses.dataclass
class TrainingLoop:
    """The steps of a run that are still missing, and what they read from and write to.

    Several processes take the same steps together. What one of them alone knows (that it was told
    to stop, that its text cannot be read, how many words it has to spell) travels with a step, and
    all act on it after the same step.
    """

    run: Run
    processes: Processes
    feed: WindowFeed
    devices: Devices
    checkpoints: Checkpoints  # that the first process writes
    reporter: Reporter
    in_flight: collections.deque[tuple[int, StepMetrics]] = dataclasses.field(
        default_factory=collections.deque
    )
    stop: StopSignal = dataclasses.field(default_factory=StopSignal)

    def train(self, state: TrainState) -> tuple[TrainState, str | None]:
        """Train to the end, or until SIGINT or SIGTERM; TrainingDiverged if a loss is not finite.

        Returns the last state, which is saved, and the name of the signal if it stopped the run.
        """
        settings, n_steps = self.run.settings, self.run.n_steps
        train_step = make_train_step(
            self.run.config,
            Reading(settings.dropout, settings.resets, settings.precision),
            make_optimizer(settings, n_steps),
            jax.tree.map(lambda array: array.sharding, state),
            n_before_average=n_steps - settings.n_averaged(n_steps),
        )
        eval_every = settings.eval_interval(n_steps)
        save_every = settings.checkpoint_interval(n_steps)
        key, step = self._key(settings.seed), int(state.step)
        with stop_signal() as own_stop:
            if self.processes.is_alone:
                self.stop = own_stop
            while step < n_steps and not self.stop.number:
                window = place_window(self.feed.take(), self.devices)
                numbers = self._numbers(own_stop)
                state, metrics = train_step(state, window, self._candidates(step), key, numbers)
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
            self._save(step, state)
        return state, self.stop.name if step < n_steps else None

    def _key(self, seed: int) -> jax.Array:
        if self.processes.is_alone:
            return jax.random.key(seed)
        make = functools.partial(jax.random.key, seed)
        return jax.jit(make, out_shardings=self.devices.everywhere)()

    def _candidates(self, step: int) -> Candidates | None:
        n_samples, n_words = self.run.n_samples, len(self.run.vocabulary)
        if not n_samples:
            return None
        candidates = candidates_of_step(self.run.settings.seed, step, n_samples, n_words)
        return put(candidates, self.devices.everywhere)

    def _numbers(self, own_stop: StopSignal) -> jax.Array | None:
        """What this process tells the others with the next step."""
        if self.processes.is_alone:
            return None
        own = (*self.feed.newest_sizes, own_stop.number, self.feed.failure is not None)
        rows = np.tile(np.array(own, np.int32), (jax.local_device_count(), 1))
        return put_part(rows, self.devices.divided())

    def _wait_for_steps(self, n_in_flight: int) -> None:
        """Wait until at most ``n_in_flight`` steps are under way; check and report the others."""
        while len(self.in_flight) > n_in_flight:
            step, metrics = self.in_flight.popleft()
            loss, norm = float(metrics.loss), float(metrics.gradient_norm)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                self._diverged(step, f"the loss is {loss} and the gradient's norm {norm}")
            self.reporter.report_step(step, loss, norm)
            if metrics.largest_numbers is not None:
                self._hear(*np.asarray(metrics.largest_numbers).tolist())

    def _hear(self, n_short: int, n_long: int, signal_number: int, has_failed: int) -> None:
        """Act on what all processes told with a step."""
        if has_failed:
            self._let_steps_end()
            self.processes.raise_failure(self.feed.failure)
        self.feed.agree(Sizes(n_short, n_long))
        self.stop.number = self.stop.number or signal_number

    def _save(self, step: int, state: TrainState) -> None:
        self._wait_for_steps(0)  # no checkpoint may follow a loss that is not a number
        if not all_finite(state.params):
            self._diverged(step, "not every parameter is a finite number")
        with self.reporter.clock_stopped():
            with self.processes.together():
                self.run.contents.check()  # no checkpoint may follow text that has changed
            state = to_host(state, self.devices, self.processes)
            position = StreamPosition.joined(self.feed.mark, self.processes)
            checkpoint = Checkpoint(step, state, position, self.reporter.reported)
            self.processes.first(lambda: self._write(checkpoint))

    def _write(self, checkpoint: Checkpoint) -> None:
        try:
            self.checkpoints.save(checkpoint)
        except CheckpointNotWritten as error:
            if checkpoint.step < self.run.n_steps:
                raise
            # The trained model matters more, and may yet find room.
            warn(f"{error} The model itself is written all the same.", ElmoWarning)

    def _validate(self, step: int, state: TrainState) -> None:
        self._wait_for_steps(0)
        run = self.run
        if run.validation is not None:
            with self.reporter.clock_stopped():
                params = copied_everywhere(state.result, self.devices)
                model = (run.config, params, run.vocabulary)
                result = run.validation.perplexity(*model, self.processes)
                self.reporter.report_validation(step, result)
                self.processes.first(lambda: self._write_if_best(step, params))

    def _write_if_best(self, step: int, params: dict[str, Any]) -> None:
        run = self.run
        summary = {**run.taken(step), **self.reporter.validation_of(step)}
        if not math.isfinite(summary["valid_perplexity"]):
            return
        try:
            on_host = jax.tree.map(np.asarray, params)
            write_if_best(run.folder.best, run.config, on_host, run.vocabulary, summary)
        except ElmoError as error:
            warn(f"{error} Training goes on without the model of step {step}.", ElmoWarning)

    def _let_steps_end(self) -> None:
        """Nothing else may be under way when the processes speak to each other."""
        jax.block_until_ready([metrics for _, metrics in self.in_flight])  # type: ignore[no-untyped-call]

    def _diverged(self, step: int, problem: str) -> NoReturn:
        self._let_steps_end()
        self.processes.first(lambda: self._raise_diverged(step, problem))
        raise AssertionError("the first process has raised")

    def _raise_diverged(self, step: int, problem: str) -> NoReturn:
        latest, checkpoint = self.checkpoints.latest, "no checkpoint was written before"
        if latest is not None:
            folder = self.checkpoints.folder / str(latest)
            checkpoint = f"the last good checkpoint is that of step {latest}, in {folder}"
        is_float32 = self.run.settings.precision == "float32"
        or_float32 = "" if is_float32 else ", or with precision float32"
        raise TrainingDiverged(
            f"Training diverged at step {step}: {problem}; {checkpoint}. Start another run with a "
            f"lower learning_rate or clip_norm{or_float32}."
        )


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
        stop.number = number
        restore_handlers()

    for number in handlers:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        restore_handlers()
