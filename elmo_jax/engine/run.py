"""Run: one pass over a stream of sentences, and all that it carries from call to call."""

from __future__ import annotations

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ..lanes.devices import Devices
from ..model.bilm import BiLMState
from ..model.config import ElmoConfig
from ..model.parameters import Params
from ..text.cut_words import CutWords
from .outputs import (
    PendingSentences,
    PendingTokens,
    PooledOutputs,
    Request,
    Results,
    TokenOutputs,
)
from .plan import Plan
from .step import Outputs, read_lanes
from .timeline import Chunk, Timeline
from .word_table import Reservation, WordTable

_CALLS_IN_FLIGHT = 2
"""The device computes a call while the host takes the results of the one before."""


class Run:
    """Lays sentences into lanes, reads the lanes call by call, and gives results in order.

    Args:
        config: the architecture.
        params: the parameter tree.
        precision: of the products.
        table: the words; it is shared with other runs, and only touched in ``place``,
            ``advance`` and ``start_again``.
        start: the state in which a sentence starts, for the layers that are to run.
        request: what is wanted of each sentence.
        devices: that share the lanes.
        plan: the sizes to work with.
        cut: counts the words that are cut.

    Attributes:
        table: the words.
        plan: the sizes.
    """

    def __init__(
        self,
        config: ElmoConfig,
        params: Params,
        precision: str,
        table: WordTable,
        start: BiLMState,
        request: Request,
        devices: Devices,
        plan: Plan,
        cut: CutWords,
    ) -> None:
        self._config, self._params, self._precision = config, params, precision
        self.table, self._start, self._request = table, start, request
        self._devices, self.plan = devices, plan
        self._cut, self._n_counted = cut, 0
        self._results: Results = {}
        self._finished: set[int] = set()
        self._pending: dict[int, Sequence[str]] = {}  # by number, until the result is there
        self._waiting: collections.deque[int] = collections.deque()  # those not yet in a lane
        self._n_placed = self._n_given = 0
        self._came_last = False
        self._clear()

    def _clear(self) -> None:
        """Start with no lanes, and nothing on its way."""
        self._reservation = Reservation()
        self._outputs: TokenOutputs | PooledOutputs
        if self._request.pooling is None:
            self._outputs = TokenOutputs(self._request, self._config)
        else:
            self._outputs = PooledOutputs(self._request, self._config, self._devices)
        self._timeline = Timeline(self.plan.chunk_steps)
        self._state = jax.tree.map(lambda x: jnp.zeros((0, *x.shape), x.dtype), self._start)
        self._in_flight: collections.deque[tuple[np.ndarray, PendingTokens | PendingSentences]]
        self._in_flight = collections.deque()

    @property
    def n_lanes(self) -> int:
        """Lanes that are in use, or would be."""
        return len(self._timeline.ends_N) or self.plan.max_lanes

    @property
    def wants_more(self) -> bool:
        """Whether a window should be placed now."""
        return not self._waiting and self._is_short_of_work

    @property
    def _is_short_of_work(self) -> bool:
        """Whether a lane is about to end, and none is far ahead."""
        ends_N, plan = self._timeline.ends_N, self.plan
        if not len(ends_N):
            return True
        return bool(ends_N.min() < plan.chunk_steps and ends_N.max() <= plan.longest_lead)

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
        self._came_last = is_last
        for number in numbers[lengths == 0].tolist():
            self._results[number] = self._outputs.empty
            self._finished.add(number)
        new = {n: words for n, words in zip(numbers.tolist(), window, strict=True) if len(words)}
        self._pending |= new
        self._waiting.extend(new)
        self._lay_down()

    def _lay_down(self) -> None:
        """Lay down as many of the waiting sentences as the word table has room for."""
        needed_rows = self._timeline.rows
        is_idle = self._timeline.first_unfinished is None
        waiting = [self._pending[number] for number in self._waiting]
        # One sentence runs whatever it takes, or a long one would wait for ever.
        n_laid = max(self.table.n_that_fit(waiting, needed_rows), int(is_idle and len(waiting) > 0))
        if not n_laid:
            return
        sentences = waiting[:n_laid]
        numbers = np.array([self._waiting.popleft() for _ in sentences], np.int64)
        lengths = np.fromiter(map(len, sentences), np.int64, n_laid)
        words = list(itertools.chain.from_iterable(sentences))
        rows = self.table.rows(words, self._reservation, needed_rows)
        is_less = self._came_last or self._waiting
        n_lanes = self.plan.choose_lanes(lengths) if is_less else self.plan.max_lanes
        self._resize(n_lanes if is_idle else max(n_lanes, len(self._timeline.ends_N)))
        self._timeline.place(numbers, lengths, rows)
        # Sentences that are run again were counted before.
        n_before = int(lengths[numbers < self._n_counted].sum())
        where_cut = n_before + np.flatnonzero(self.table.is_cut[rows[n_before:]])
        example = words[where_cut[0]] if len(where_cut) else ""
        self._cut.add(len(words) - n_before, len(where_cut), example)
        self._n_counted = max(self._n_counted, int(numbers[-1]) + 1)

    def start_again(self, table: WordTable, plan: Plan) -> None:
        """Run what was under way again; all that was on the device may be lost."""
        self.table, self.plan = table, plan
        self._clear()
        self._waiting = collections.deque(self._pending)
        self._lay_down()

    def advance(self) -> None:
        """Send the next call to the device, and take the results of one before it."""
        if self._waiting and self._is_short_of_work:
            self._lay_down()
        n_left = 0
        if self._timeline.first_unfinished is not None:
            self._resize(self.plan.smaller_shape(self._timeline.ends_N))
            self._read(self._timeline.take())
            n_left = _CALLS_IN_FLIGHT - 1
        while len(self._in_flight) > n_left:
            finished, pending = self._in_flight.popleft()
            pending.put_into(self._results)
            self._finished.update(finished.tolist())
            for number in finished.tolist():
                del self._pending[number]

    def results(self) -> Iterator[np.ndarray]:
        """The results that are there, up to the first that is not."""
        while self._n_given in self._finished:
            self._finished.remove(self._n_given)
            self._n_given += 1
            yield self._outputs.finish(self._results.pop(self._n_given - 1))

    def close(self) -> None:
        """Let go of the words."""
        self._reservation.release()

    def _read(self, chunk: Chunk) -> None:
        words = self.table.words
        chunk = dataclasses.replace(chunk, **self._devices.divide(chunk.arrays, axis=1))
        outputs: tuple[Outputs, Outputs]
        outputs, self._state = read_lanes(
            self._params,
            words,
            self._start,
            self._state,
            chunk.forward_TN,
            chunk.backward_TN,
            chunk.fresh_TN,
            chunk.n_steps,
            self._config,
            self._precision,
            self.plan.layout(self.n_lanes),
        )
        pending = self._outputs.send(words, chunk, outputs)
        finished = chunk.parts.numbers[chunk.parts.finished]
        self._in_flight.append((finished, pending))

    def _resize(self, n_lanes: int) -> None:
        if n_lanes != len(self._timeline.ends_N):
            former_N = self._timeline.resize(n_lanes)
            self._state = self._devices.take_lanes(self._state, former_N)
            self._outputs.take_lanes(former_N)
