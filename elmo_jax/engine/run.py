"""StreamRun: one pass over a stream of sentences, and all that it carries from call to call."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..lanes.devices import Devices
from ..model.bilm import BiLMState
from ..model.config import ElmoConfig
from ..model.parameters import Params
from ..text.cut_words import CutWords
from .mapped_outputs import outputs_for
from .outputs import PendingSentences, PendingTokens, Request, Results
from .plan import Plan
from .step import read_lanes
from .timeline import Chunk, Timeline
from .word_rows import Reservation
from .word_table import WordTable

Sentence = Sequence[str]

_CALLS_IN_FLIGHT = 2
"""The device computes a call while the host takes the results of the one before."""


class ReadAhead:
    """Iterates the user's sentences in windows of about ``window_tokens`` tokens.

    Yields each window, and whether it is the last. The last one may be twice as long: the more
    sentences are packed at a time, the more evenly the lanes end. So the window after the one that
    is yielded is always in memory, and a sentence after it.
    """

    def __init__(self, sentences: Iterable[Sentence], window_tokens: int) -> None:
        self._sentences, self._window_tokens = sentences, window_tokens
        # What the iterable raised, which ends the windows. The caller raises it after all results
        # before it, so that none is lost.
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[tuple[list[Sentence], bool]]:
        window: list[Sentence] = []
        following: list[Sentence] = []
        n_tokens = n_following = 0
        for sentence in self._until_failure():
            # An empty sentence counts too, so that any number of them stays bounded.
            size = max(1, len(sentence))
            if not following and (n_tokens + size <= self._window_tokens or not window):
                window.append(sentence)
                n_tokens += size
            elif n_following + size <= self._window_tokens or not following:
                following.append(sentence)
                n_following += size
            else:
                yield window, False
                window, n_tokens = following, n_following
                following, n_following = [sentence], size
        if window:
            yield window + following, True

    def _until_failure(self) -> Iterator[Sentence]:
        try:
            yield from self._sentences
        except Exception as error:
            self.failure = error


class StreamRun:
    """Packs sentences into lanes, reads the lanes call by call, and gives results in order.

    Other runs share the word table: only ``place``, ``advance`` and ``restart`` touch it.
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
        self._pending: dict[int, Sentence] = {}  # by number, until the result is there
        self._waiting: collections.deque[int] = collections.deque()  # those not yet in a lane
        self._n_placed = self._n_yielded = 0
        self._had_last_window = False
        self._clear()

    def _clear(self) -> None:
        """Start with no lanes, and nothing on its way to or from the device."""
        self._reservation = Reservation()
        self._outputs: Any = outputs_for(self._request, self._config, self._devices)
        self._timeline = Timeline(self.plan.chunk_steps)
        self._state = jax.tree.map(lambda x: jnp.zeros((0, *x.shape), x.dtype), self._start)
        self._in_flight: collections.deque[tuple[np.ndarray, PendingTokens | PendingSentences]]
        self._in_flight = collections.deque()

    @property
    def n_lanes(self) -> int:
        """Lanes that are in use; before there are any, the most that there may be."""
        return len(self._timeline.ends_N) or self.plan.max_lanes

    @property
    def wants_more(self) -> bool:
        """Whether a window should be placed now."""
        return not self._waiting and self._is_short_of_work

    @property
    def _is_short_of_work(self) -> bool:
        """Whether a lane is about to end, and none has far to go."""
        ends_N, plan = self._timeline.ends_N, self.plan
        if not len(ends_N):
            return True
        return bool(ends_N.min() < plan.chunk_steps and ends_N.max() <= plan.longest_lead)

    @property
    def has_work(self) -> bool:
        """Whether the result of a sentence that was placed is still to come."""
        return self._n_yielded < self._n_placed

    def place(self, window: list[Sentence], is_last: bool) -> None:
        """Take sentences, and put them into the lanes as far as there is room for their words."""
        lengths = np.fromiter(map(len, window), np.int64, len(window))
        numbers = self._n_placed + np.arange(len(window))
        self._n_placed += len(window)
        self._had_last_window = is_last
        for number in numbers[lengths == 0].tolist():
            self._results[number] = self._outputs.empty
            self._finished.add(number)
        new = {n: words for n, words in zip(numbers.tolist(), window, strict=True) if len(words)}
        self._pending |= new
        self._waiting.extend(new)
        self._place_waiting()

    def restart(self, table: WordTable, plan: Plan) -> None:
        """Run all pending sentences again; whatever was on the device may be lost."""
        self.table, self.plan = table, plan
        self._clear()
        self._waiting = collections.deque(self._pending)
        self._place_waiting()

    def advance(self) -> None:
        """Send the next call to the device, and take the results of an earlier one."""
        if self._waiting and self._is_short_of_work:
            self._place_waiting()
        n_left = 0
        if self._timeline.first_unfinished is not None:
            self._resize(self.plan.smaller_shape(self._timeline.ends_N))
            self._send(self._timeline.take())
            n_left = _CALLS_IN_FLIGHT - 1
        while len(self._in_flight) > n_left:
            finished, pending = self._in_flight.popleft()
            pending.put_into(self._results)
            self._finished.update(finished.tolist())
            for number in finished.tolist():
                del self._pending[number]

    def results(self) -> Iterator[np.ndarray]:
        """The results that are there, up to the first that is not."""
        while self._n_yielded in self._finished:
            self._finished.remove(self._n_yielded)
            self._n_yielded += 1
            yield self._outputs.finish(self._results.pop(self._n_yielded - 1))

    def close(self) -> None:
        """Need no words any more."""
        self._reservation.release()

    def _place_waiting(self) -> None:
        """Put as many waiting sentences into the lanes as the word table has room for."""
        needed_rows = self._timeline.rows
        is_idle = self._timeline.first_unfinished is None
        waiting = [self._pending[number] for number in self._waiting]
        # A single sentence runs whatever it takes, or a long one would wait for ever.
        n_least = int(is_idle and len(waiting) > 0)
        n_sentences = max(self.table.n_that_fit(waiting, needed_rows), n_least)
        if not n_sentences:
            return
        sentences = waiting[:n_sentences]
        numbers = np.array([self._waiting.popleft() for _ in sentences], np.int64)
        lengths = np.fromiter(map(len, sentences), np.int64, n_sentences)
        words = list(itertools.chain.from_iterable(sentences))
        rows = self.table.rows(words, self._reservation, needed_rows)
        is_little = self._had_last_window or self._waiting
        n_lanes = self.plan.choose_lanes(lengths) if is_little else self.plan.max_lanes
        self._resize(n_lanes if is_idle else max(n_lanes, len(self._timeline.ends_N)))
        self._timeline.place(numbers, lengths, rows)
        # Sentences that run again were counted before.
        n_before = int(lengths[numbers < self._n_counted].sum())
        self._count_cut(words[n_before:], rows[n_before:])
        self._n_counted = max(self._n_counted, int(numbers[-1]) + 1)

    def _count_cut(self, words: list[str], rows: np.ndarray) -> None:
        where_cut = np.flatnonzero(self.table.is_cut[rows])
        example = words[where_cut[0]] if len(where_cut) else ""
        self._cut.add(len(words), len(where_cut), example)

    def _send(self, chunk: Chunk) -> None:
        """Send a chunk to the device, and start the reduction of its outputs."""
        words = self.table.words
        rows_and_flags: tuple[Any, Any, Any] = self._devices.divide(chunk[:3], axis=1)
        static = self._config, self._precision, self.plan.layout(self.n_lanes)
        outputs, self._state = read_lanes(
            self._params, words, self._start, self._state, *rows_and_flags, chunk.n_steps, *static
        )
        pending = self._outputs.send(words, Chunk(*rows_and_flags, chunk.parts), outputs)
        finished = chunk.parts.numbers[chunk.parts.finished]
        self._in_flight.append((finished, pending))

    def _resize(self, n_lanes: int) -> None:
        """Change the number of lanes, with all that is kept for each lane."""
        if n_lanes != len(self._timeline.ends_N):
            former_N = self._timeline.resize(n_lanes)
            self._state = self._devices.take_lanes(self._state, former_N)
            self._outputs.take_lanes(former_N)
