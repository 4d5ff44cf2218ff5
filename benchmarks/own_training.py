"""elmo-jax's training as ``elmo_jax.training.train`` runs it, without saving and validating."""

from __future__ import annotations

import collections
import time
from pathlib import Path
from typing import Any

import jax

from elmo_jax import ElmoConfig
from elmo_jax.training import Corpus, TrainingSettings, Vocabulary
from elmo_jax.training.candidates import sample_both
from elmo_jax.training.language_model import Reading, init_language_model
from elmo_jax.training.lexicon import Lexicon
from elmo_jax.training.streams import TrainingStreams
from elmo_jax.training.train_step import (
    StepMetrics,
    devices_for_rows,
    make_optimizer,
    make_train_step,
    new_state,
    place_state,
    place_window,
    state_shardings,
)
from elmo_jax.training.windows import Window, assemble

_IN_FLIGHT = 2  # as in elmo_jax.training.loop


class OwnTraining:
    """A run that goes on for as many steps as it is asked for.

    Args:
        config: the architecture.
        settings: of the run; ``n_steps`` is what its schedule is for.
        text: the file to train on.
        vocabulary: the words to predict.
    """

    def __init__(
        self, config: ElmoConfig, settings: TrainingSettings, text: Path, vocabulary: Vocabulary
    ) -> None:
        self._config, self._settings, self._vocabulary = config, settings, vocabulary
        self._devices = devices_for_rows(settings.batch_size)
        optimizer = make_optimizer(settings, settings.n_steps or 1)
        params = init_language_model(config, len(vocabulary), settings.seed)
        state = new_state(config, params, optimizer, settings.batch_size)
        self._state = place_state(state, self._devices)
        reading = Reading(settings.dropout, settings.resets, settings.precision)
        self._step = make_train_step(config, reading, optimizer, state_shardings(self._devices))
        self._streams = TrainingStreams(
            Corpus.of(text),
            Lexicon(vocabulary, config),
            settings.batch_size,
            settings.unroll_steps,
            settings.seed,
            settings.shuffle_buffer,
        )
        self._n_samples = settings.n_samples(len(vocabulary))
        self._number = 0

    @property
    def tokens_per_step(self) -> int:
        """N · T; each counts once, though both directions predict one."""
        return self._settings.batch_size * self._settings.unroll_steps

    @property
    def window(self) -> int:
        """T."""
        return self._settings.unroll_steps

    def run(self, n_steps: int) -> tuple[float, list[float]]:
        """The seconds that some steps take, text and all, and their losses."""
        losses: list[float] = []
        waiting: collections.deque[StepMetrics] = collections.deque()
        started = time.perf_counter()
        for _ in range(n_steps):
            waiting.append(self._take_step(*self._prepare()))
            while len(waiting) > _IN_FLIGHT:
                losses.append(float(waiting.popleft().loss))
        losses += [float(metrics.loss) for metrics in waiting]
        return time.perf_counter() - started, losses

    def host_seconds(self, n_steps: int) -> float:
        """How long the host takes for the windows of some steps; the device does nothing."""
        started = time.perf_counter()
        for _ in range(n_steps):
            self._prepare()
        return time.perf_counter() - started

    def device_seconds(self, n_steps: int) -> float:
        """How long the device takes for some steps of one window, prepared already."""
        window = jax.block_until_ready(self._placed(*self._prepare()))  # type: ignore[no-untyped-call]
        metrics = self._step_of(*window)  # a window may have a shape that none had before
        jax.block_until_ready(metrics.loss)  # type: ignore[no-untyped-call]
        started = time.perf_counter()
        for _ in range(n_steps):
            metrics = self._step_of(*window)
        jax.block_until_ready(metrics.loss)  # type: ignore[no-untyped-call]
        return time.perf_counter() - started

    def _prepare(self) -> tuple[Window, Any]:
        streams = self._streams
        window = assemble(streams.take(), streams.lexicon, self._devices.count)
        candidates = None
        if self._n_samples:
            choice = self._n_samples, len(self._vocabulary)
            candidates = sample_both(self._settings.seed, self._number, *choice)
        self._number += 1
        return window, candidates

    def _placed(self, window: Window, candidates: Any) -> tuple[Window, Any]:
        placed = place_window(window, self._devices)
        return placed, jax.device_put(candidates, self._devices.everywhere)

    def _take_step(self, window: Window, candidates: Any) -> StepMetrics:
        return self._step_of(*self._placed(window, candidates))

    def _step_of(self, window: Window, candidates: Any) -> StepMetrics:
        key = jax.random.key(self._settings.seed)
        self._state, metrics = self._step(self._state, window, candidates, key)
        return metrics
