"""Windows of training that worker processes of grain prepare for one process that trains.

Grain gives each worker a slice of its source. Here the slice is one of rows, not of text: every
worker reads all sentences, as the processes of a run do, and makes its part of each window. So the
windows are those of a run, whatever the number of workers.
"""

from __future__ import annotations

import time
from typing import Any

import grain
from absl import flags

from elmo_jax.processes import Processes
from elmo_jax.training.windows import Window

from .host_work import TrainingText

_WINDOWS_AHEAD = 2
"""As many as a run has steps in flight."""


class _Parts(grain.IterDataset):
    """The parts of windows that one worker makes."""

    def __init__(self, text: TrainingText, n_rows: int) -> None:
        super().__init__()
        self._text, self._n_rows, self._worker = text, n_rows, Processes(1, 0)

    def set_slice(self, slice: slice, sequential_slice: bool = False) -> None:
        """Called by grain in each worker: every ``step``-th, from ``start`` on."""
        self._worker = Processes(slice.step, slice.start)

    def __iter__(self) -> _PartsIterator:
        windows = self._text.windows(self._n_rows, self._worker.own(self._n_rows))
        return _PartsIterator(windows)


class _PartsIterator(grain.DatasetIterator):
    def __init__(self, windows: Any) -> None:
        super().__init__()
        self._windows, self._n_given = windows, 0

    def __next__(self) -> Window:
        self._n_given += 1
        return next(self._windows)

    def get_state(self) -> dict[str, int]:
        return {"given": self._n_given}

    def set_state(self, state: dict[str, int]) -> None:
        raise NotImplementedError("nothing is resumed here")


def receive(text: TrainingText, n_rows: int, n_workers: int) -> tuple[float, float]:
    """Seconds for the windows of one pass after the first, and the processor's seconds of them.

    The latter are those of this process alone, which trains in a real run.
    """
    flags.FLAGS.mark_as_parsed()  # grain takes some options from there
    options = grain.MultiprocessingOptions(n_workers, per_worker_buffer_size=_WINDOWS_AHEAD)
    parts = iter(_Parts(text, n_rows).mp_prefetch(options))
    for _ in range(n_workers):
        next(parts)
    started, processor = time.perf_counter(), time.process_time()
    for _ in range(text.n_windows(n_rows) * n_workers):
        next(parts)
    seconds = time.perf_counter() - started, time.process_time() - processor
    parts.close()
    return seconds
