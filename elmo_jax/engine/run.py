"""Run: one pass over a stream of sentences, and all that it carries from call to call."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ..config import ElmoConfig
from ..model import BiLMState
from ..parameters import Params
from .collectors import Collector, PoolCollector, Request, Results, TokenCollector
from .lanes import Outputs, read_lanes, take_lanes
from .plan import LONGEST_LEAD, MAX_LANES, STRETCH, choose_lanes, smaller_shape
from .timeline import Stretch, Timeline
from .word_table import WordTable

_CALLS_IN_FLIGHT = 2
"""The device computes a call while the host takes the results of the one before."""


class Run:
    """Lays sentences into lanes, reads the lanes call by call, and gives results in order.

    Args:
        config: the architecture.
        params: the parameter tree.
        precision: of the products.
        table: the words; it is shared with other runs, and only touched in ``place``,
            ``advance`` and ``close``.
        start: the state in which a sentence starts, for the layers that are to run.
        request: what is wanted of each sentence.
    """

    def __init__(
        self,
        config: ElmoConfig,
        params: Params,
        precision: str,
        table: WordTable,
        start: BiLMState,
        request: Request,
    ) -> None:
        self._config, self._params, self._precision = config, params, precision
        self._table, self._start, self._request = table, start, request
        kind = TokenCollector if request.pooling is None else PoolCollector
        self._collector: Collector = kind(request, config)
        self._timeline = Timeline()
        self._state = jax.tree.map(lambda x: jnp.zeros((0, *x.shape), x.dtype), start)
        self._in_flight: collections.deque[tuple[np.ndarray, Callable[[Results], None]]]
        self._in_flight = collections.deque()
        self._results: Results = {}
        self._finished: set[int] = set()
        self._n_placed = self._n_given = 0

    @property
    def wants_more(self) -> bool:
        """Whether a window should be placed now: a lane is about to end, and none is far ahead."""
        ends_N = self._timeline.ends_N
        if not len(ends_N):
            return True
        return bool(ends_N.min() < STRETCH and ends_N.max() <= LONGEST_LEAD)

    @property
    def has_work(self) -> bool:
        """Whether something was placed whose result was not given out."""
        return self._n_given < self._n_placed

    def place(self, window: list[Sequence[str]], is_last: bool) -> None:
        """Lay sentences into the lanes.

        Args:
            window: the sentences.
            is_last: whether none will follow.
        """
        lengths = np.fromiter(map(len, window), np.int64, len(window))
        numbers = self._n_placed + np.arange(len(window))
        self._n_placed += len(window)
        for number in numbers[lengths == 0].tolist():
            shape = self._request.shape(self._config, 0)
            self._results[number] = np.zeros(shape, self._request.dtype)
            self._finished.add(number)
        real = lengths > 0
        if not real.any():
            return
        words = (word for sentence in window for word in sentence)
        rows = self._table.rows(words, self, self._timeline.rows)
        n_lanes = choose_lanes(lengths[real]) if is_last else MAX_LANES
        if self._timeline.oldest is not None:
            n_lanes = max(n_lanes, len(self._timeline.ends_N))
        self._resize(n_lanes)
        self._timeline.place(numbers[real], lengths[real], rows)

    def advance(self) -> None:
        """Send the next call to the device, and take the results of one before it."""
        n_left = 0
        if self._timeline.oldest is not None:
            self._resize(smaller_shape(self._timeline.ends_N))
            self._read(self._timeline.take())
            n_left = _CALLS_IN_FLIGHT - 1
        while len(self._in_flight) > n_left:
            finished, fill = self._in_flight.popleft()
            fill(self._results)
            self._finished.update(finished.tolist())

    def results(self) -> Iterator[np.ndarray]:
        """The results that are there, up to the first that is not."""
        while self._n_given in self._finished:
            self._finished.remove(self._n_given)
            self._n_given += 1
            yield self._results.pop(self._n_given - 1)

    def close(self) -> None:
        """Let go of the words."""
        self._table.release(self)

    def _read(self, stretch: Stretch) -> None:
        words = self._table.words
        outputs: tuple[Outputs, Outputs]
        outputs, self._state = read_lanes(
            self._params,
            words,
            self._start,
            self._state,
            stretch.forward_TN,
            stretch.backward_TN,
            stretch.fresh_TN,
            stretch.n_steps,
            self._config,
            self._precision,
        )
        fill = self._collector.reduce(words, stretch, outputs)
        finished = stretch.parts.numbers[stretch.parts.finished]
        self._in_flight.append((finished, fill))

    def _resize(self, n_lanes: int) -> None:
        if n_lanes != len(self._timeline.ends_N):
            kept_N = self._timeline.resize(n_lanes)
            self._state = take_lanes(self._state, kept_N)
            self._collector.take_lanes(kept_N)
