"""Engine: a stream of sentences to a stream of results, in order and in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, MutableSequence, Sequence

import jax
import numpy as np

from ..config import ElmoConfig
from ..cut_words import CutWords
from ..model import BiLMState, round_kernels
from ..parameters import Params
from .collectors import Request
from .lanes import start_state
from .memory import is_out_of_memory, no_fewer_lanes, warn_of_fewer_lanes
from .placement import Placement
from .plan import Plan, plan_for
from .reading import Sentence, Source, windows
from .run import Run
from .word_table import WordTable

_LONG = 64
"""Tokens of the sentences that one in a hundred real ones is longer than."""


class Engine:
    """Runs one model over sentences. Threads may share it; they take turns.

    Args:
        config: the architecture.
        params: the parameter tree, on a device.
        precision: of the products.
        devices: among which lanes are divided; None for all local ones.
        plan: of one device; None for that of its platform.

    Attributes:
        plan: of all devices together. It changes when a device runs out of memory.
    """

    def __init__(
        self,
        config: ElmoConfig,
        params: Params,
        precision: str,
        *,
        devices: Sequence[jax.Device] | None = None,
        plan: Plan | None = None,
    ) -> None:
        self._config, self._precision = config, precision
        self._placement = Placement(devices)
        self._params = self._placement.copy(round_kernels(params, precision))
        self.plan = (plan or plan_for(self._placement.platform)).over(self._placement.n_devices)
        self._tables: dict[bool, WordTable] = {}
        self._starts: dict[int, BiLMState] = {}
        # Reentrant: a stream that nobody reads on may be closed by the garbage collector at any
        # time, also while its thread holds the lock for another.
        self._lock = threading.RLock()

    def run(
        self, sentences: Iterable[Sentence], request: Request, cut: CutWords | None = None
    ) -> Iterator[np.ndarray]:
        """Results in the order of the sentences.

        Args:
            sentences: lists of words, checked already. They are read a window at a time, when
                the lanes need them: up to two windows beyond those that the lanes hold. What
                the iterable raises is raised after the results of all before.
            request: what is wanted of each.
            cut: counts the words that are cut, as sentences are read.

        Yields:
            An array of its own for each sentence: [T, D] or [L, T, D], pooled [D] or [L, D].
        """
        source = Source(sentences)
        ahead = windows(source, self.plan.window_tokens)
        run = self._new_run(request, cut)
        window = next(ahead, None)
        try:
            while window is not None or run.has_work:
                if self._go_on(run, window):
                    window = next(ahead, None)
                yield from run.results()
        finally:
            with self._lock:
                run.close()
        if source.failure is not None:
            raise source.failure

    def run_all(
        self,
        sentences: Sequence[Sentence],
        request: Request,
        results: MutableSequence | np.ndarray,
        cut: CutWords | None = None,
    ) -> None:
        """``run`` for sentences that are all there: the long ones are read first.

        They would be the last to end, with most lanes idle, if they came late in the text.

        Args:
            sentences: lists of words, checked already.
            request: what is wanted of each.
            results: as long as ``sentences``; each result is put into its place.
            cut: counts the words that are cut.
        """
        lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
        order = np.argsort(lengths <= _LONG, kind="stable").tolist()
        ordered = (sentences[i] for i in order)
        for i, result in zip(order, self.run(ordered, request, cut), strict=True):
            results[i] = result

    def forget_words(self) -> None:
        """The next run starts with an empty word table; those under way keep theirs."""
        with self._lock:
            self._tables.clear()

    def _new_run(self, request: Request, cut: CutWords | None) -> Run:
        n_layers = request.selection.n_computed - 1
        with self._lock:
            table, start = self._table(n_layers > 0), self._start(n_layers)
        arguments = (self._config, self._params, self._precision, table, start, request)
        cut = cut or CutWords(self._config.max_characters_per_token)
        return Run(*arguments, self._placement, self.plan, cut)

    def _go_on(self, run: Run, window: tuple[list[Sentence], bool] | None) -> bool:
        """One step of a run, with fewer lanes if the device has no room.

        The lock is not held while the user's iterable or the user is at work.

        Returns:
            Whether it took ``window``.
        """
        with self._lock:
            placed = window is not None and run.wants_more
            try:
                if placed and window is not None:
                    run.place(*window)
                else:
                    run.advance()
                return placed
            except BaseException as error:
                if not is_out_of_memory(error):
                    self._tables.clear()  # an interrupted call may have taken its arrays
                    raise
                reason = str(error)
            # Out here the error has let go of the arrays that its traceback held.
            self._make_do(run, reason)
            return placed

    def _make_do(self, run: Run, reason: str) -> None:
        """Run again what a device had no room for, with half the lanes, until there is room."""
        while True:
            before = run.n_lanes
            plan = self.plan.halved(before)
            if plan is None:
                self._tables.clear()  # a failed call may have taken its arrays
                raise no_fewer_lanes(before, reason)
            self.plan = plan
            warn_of_fewer_lanes(before, plan)
            try:
                run.start_again(plan)
                return
            except jax.errors.JaxRuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error)

    def _table(self, with_gates: bool) -> WordTable:
        """The table of token vectors alone is for who asks for no other layer."""
        if with_gates not in self._tables:
            arguments = (self._config, self._params, self._precision, self.plan, with_gates)
            self._tables[with_gates] = WordTable(*arguments, place=self._placement.copy)
        return self._tables[with_gates]

    def _start(self, n_layers: int) -> BiLMState:
        if n_layers not in self._starts:
            arguments = (self._params, self._config, n_layers, self._precision)
            self._starts[n_layers] = start_state(*arguments)
        return self._starts[n_layers]
