"""Engine: a stream of sentences to a stream of results, in order and in bounded memory."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from ..errors import ElmoError
from ..forking import check_process
from ..lanes.devices import Devices
from ..model.bilm import BiLMState
from ..model.config import ElmoConfig
from ..model.parameters import Params
from ..model.precision import round_kernels
from ..model.spelling import word_limit
from ..text.cut_words import CutWords
from .memory import Fallback, NoRoomForWords, Shortage, ShortageLog
from .outputs import Request, check_float16
from .plan import Plan, plan_for
from .run import ReadAhead, Sentence, StreamRun
from .step import start_state
from .word_table import Weigh, WordTable

Result = TypeVar("Result")

_LONG = 64
"""Tokens. About one real sentence in a hundred is longer."""


@functools.lru_cache(maxsize=8)
def _first_equal(config: ElmoConfig) -> ElmoConfig:
    """The first of all configurations that are equal to this one.

    JAX compares them in every call, by identity first. An interrupt in ``__eq__``, which is Python
    code, would come out of it as a ValueError.
    """
    return config


class Engine:
    """Runs one model over sentences. Threads may share it; they take turns.

    The plan it takes is that of one device; the attribute ``plan`` is that of all together. When a
    device runs out of memory, a run turns to a smaller plan, see ``Fallback``.
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
        self._config, self._precision = _first_equal(config), precision
        self._devices = Devices(devices)
        with self._devices.as_mesh():
            self._params = self._devices.copy(round_kernels(params, precision))
        self.plan = (plan or plan_for(self._devices.platform)).over(self._devices.count)
        self._fallback = Fallback(self.plan)
        self._weigh: Weigh | None = None
        self._tables: dict[bool, WordTable] = {}
        self._starts: dict[int, BiLMState] = {}
        # It knows its thread: a call inside a call is then an error, and does not wait for ever.
        self._lock = threading.RLock()

    def run(
        self, sentences: Iterable[Sentence], request: Request, cut: CutWords | None = None
    ) -> Generator[np.ndarray, None, None]:
        """Yield a new array for each sentence, in order: [T, D] or [L, T, D], pooled [D] or [L, D].

        The sentences, lists of checked words, are read a window at a time when the lanes need them:
        up to two windows beyond those that the lanes hold. What the iterable raises is raised after
        the results of all sentences before it. ``cut`` counts the words that are cut.
        """
        # The lock is free while the user's iterable and the user's own code run.
        read_ahead = ReadAhead(sentences, self.plan.window_tokens)
        windows = iter(read_ahead)
        run = self._in_turn(self._new_run, request, cut)
        shortages = ShortageLog(run.plan)
        window = next(windows, None)
        try:
            while window is not None or run.has_work:
                if self._in_turn(self._step, run, window, shortages):
                    window = next(windows, None)
                for result in run.results():
                    yield result
                    check_process()  # the user may have taken the stream into a fork
        finally:
            run.close()
        self._in_turn(self._fallback.learn, shortages, run.plan)
        if read_ahead.failure is not None:
            raise read_ahead.failure

    def run_all(
        self,
        sentences: Sequence[Sentence],
        request: Request,
        cut: CutWords | None = None,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """``run`` for sentences in memory, in any order: yields each result with its index.

        Long sentences are read first: late ones would be the last to end, with most lanes idle.
        """
        lengths = np.fromiter(map(len, sentences), np.int64, len(sentences))
        order = np.argsort(lengths <= _LONG, kind="stable").tolist()
        ordered = (sentences[i] for i in order)
        for i, result in zip(order, self.run(ordered, request, cut), strict=True):
            check_float16(result, f"sentence {i}")
            yield i, result

    @property
    def weighs_words(self) -> bool:
        """Whether words have weights, as ``pooling="sif"`` needs them."""
        return self._weigh is not None

    def weigh_words(self, weigh: Weigh) -> None:
        """Give words weights, which stay; the word table is filled anew."""
        self._weigh = weigh
        self.forget_words()

    def forget_words(self) -> None:
        """Let the next run start with an empty word table. Runs that have begun keep theirs."""
        self._in_turn(self._tables.clear)

    def _in_turn(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function while no other thread calls one.

        Raises:
            ElmoError: if this thread is in such a call, which only a signal handler can cause.
        """
        check_process()
        # An inner call would take arrays away that the outer one is about to use.
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise ElmoError(
                "A signal handler has interrupted a call of this Elmo in this thread, and calls it "
                "again. Let the handler only note the signal, and embed after the call."
            )
        # Where the user has disabled jit, each operation of each step would be dispatched alone:
        # minutes for two sentences.
        compiled = jax.disable_jit(False)
        # On one line: between the end of a line and that of the `with`, an exception raised by a
        # tracer or debugger would leave the lock taken.
        with self._lock, self._devices.as_mesh(), compiled: return function(*arguments)  # noqa: E701  # fmt: skip

    def _new_run(self, request: Request, cut: CutWords | None) -> StreamRun:
        n_layers = request.selection.n_computed - 1
        plan = self._fallback.plan_for_a_run()
        table, start = self._table(n_layers > 0, plan), self._start(n_layers)
        weights_L = self._devices.copy(request.layer_weights_L)
        request = dataclasses.replace(request, layer_weights_L=weights_L)
        arguments = (self._config, self._params, self._precision, table, start, request)
        cut = cut or CutWords(word_limit(self._config))
        return StreamRun(*arguments, self._devices, plan, cut)

    def _step(
        self, run: StreamRun, window: tuple[list[Sentence], bool] | None, shortages: ShortageLog
    ) -> bool:
        """Place the window if the run wants one, else advance; retry if the device has no room.

        Returns whether it placed the window.
        """
        is_placed = False
        try:
            if run.table.is_broken:  # by another run
                self._restart(run, run.plan)
            if window is not None and run.wants_more:
                is_placed = True
                run.place(*window)
            else:
                run.advance()
            return is_placed
        except (jax.errors.JaxRuntimeError, NoRoomForWords) as error:
            run.table.is_broken = True  # a failed call may have taken its arrays
            shortage = Shortage.from_error(error, run.n_lanes)
        # Out here, the error no longer holds the arrays of its traceback.
        self._retry_with_smaller_plans(run, shortage, shortages)
        return is_placed

    def _retry_with_smaller_plans(
        self, run: StreamRun, shortage: Shortage, shortages: ShortageLog
    ) -> None:
        """Run again what a device had no room for: with fewer lanes, or fewer words."""
        former, plan = None, run.plan
        while True:
            try:
                former, plan = shortage, shortage.smaller(plan, former)
            except ElmoError:
                self._fallback.forget()  # no run has shown that a smaller plan helps
                raise
            shortages.add(shortage)
            self._tables.clear()
            try:
                self._restart(run, plan)
                return
            except (jax.errors.JaxRuntimeError, NoRoomForWords) as error:
                run.table.is_broken = True
                shortage = Shortage.from_error(error, run.n_lanes)

    def _restart(self, run: StreamRun, plan: Plan) -> None:
        """Run all pending sentences again, with a word table that is not broken."""
        run.table.discard()  # there may be no room for both
        with_gates = run.table.with_gates
        table = self._tables.get(with_gates)
        if table is None or table.is_broken:
            table = self._table(with_gates, plan)
        run.restart(table, plan)

    def _table(self, with_gates: bool, plan: Plan) -> WordTable:
        """The current word table. Requests for the token layer alone need no gates."""
        table = self._tables.get(with_gates)
        if table is None or not table.serves(plan):
            arguments = (
                self._config, self._params, self._precision, plan, with_gates, self._weigh
            )  # fmt: skip
            table = self._tables[with_gates] = WordTable(*arguments, place=self._devices.copy)
        return table

    def _start(self, n_layers: int) -> BiLMState:
        """The state in which a sentence starts, computed once."""
        if n_layers not in self._starts:
            arguments = (self._params, self._config, n_layers, self._precision)
            self._starts[n_layers] = start_state(*arguments)
        return self._starts[n_layers]
