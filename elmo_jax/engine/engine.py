"""Engine: a stream of sentences to a stream of results, in order and in bounded memory."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Generator, Iterable, MutableSequence, Sequence
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
from ..text.cut_words import CutWords
from .memory import Descent, Fallback, NoRoomForWords, Shortage, shortage_of
from .outputs import Request
from .plan import Plan, plan_for
from .reading import Sentence, Source, windows
from .run import Run
from .step import start_state
from .word_table import WordTable

Result = TypeVar("Result")

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
        plan: of all devices together. A run turns to a smaller one when a device runs out of
            memory, see ``Fallback``.
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
        self._devices = Devices(devices)
        with self._devices.as_mesh():
            self._params = self._devices.copy(round_kernels(params, precision))
        self.plan = (plan or plan_for(self._devices.platform)).over(self._devices.count)
        self._fallback = Fallback(self.plan)
        self._tables: dict[bool, WordTable] = {}
        self._starts: dict[int, BiLMState] = {}
        # It knows its thread, so that a call inside a call is an error and does not wait for ever.
        self._lock = threading.RLock()

    def run(
        self, sentences: Iterable[Sentence], request: Request, cut: CutWords | None = None
    ) -> Generator[np.ndarray, None, None]:
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
        # The lock is not held while the user's iterable or the user is at work.
        ahead = windows(source, self.plan.window_tokens)
        run = self._in_turn(self._new_run, request, cut)
        descent = Descent(run.plan)
        window = next(ahead, None)
        try:
            while window is not None or run.has_work:
                if self._in_turn(self._go_on, run, window, descent):
                    window = next(ahead, None)
                for result in run.results():
                    yield result
                    check_process()  # the user may have taken the stream into a fork
        finally:
            run.close()
        self._in_turn(self._fallback.learn, descent, run.plan)
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
        self._in_turn(self._tables.clear)

    def _in_turn(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function while no other thread is in one.

        Raises:
            ElmoError: if this thread is in one itself, which only a signal handler can bring about.
        """
        check_process()
        # An inner call would take away arrays that the outer one is about to use.
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise ElmoError(
                "This Elmo is in the middle of a call in this thread, which a signal handler has "
                "interrupted. Let the handler only note the signal, and embed after the call."
            )
        # On one line: between the end of a line and that of the `with`, an exception raised by a
        # tracer or debugger would leave the lock taken.
        with self._lock, self._devices.as_mesh(): return function(*arguments)  # noqa: E701  # fmt: skip

    def _new_run(self, request: Request, cut: CutWords | None) -> Run:
        n_layers = request.selection.n_computed - 1
        plan = self._fallback.plan_for_a_run()
        table, start = self._table(n_layers > 0, plan), self._start(n_layers)
        request = dataclasses.replace(
            request, layer_weights_L=self._devices.copy(request.layer_weights_L)
        )
        arguments = (self._config, self._params, self._precision, table, start, request)
        cut = cut or CutWords(self._config.max_characters_per_token)
        return Run(*arguments, self._devices, plan, cut)

    def _go_on(
        self, run: Run, window: tuple[list[Sentence], bool] | None, descent: Descent
    ) -> bool:
        """One step of a run, by a smaller plan if the device has no room.

        Returns:
            Whether it took ``window``.
        """
        placed = False
        try:
            if run.table.is_broken:  # by another run
                self._start_again(run, run.plan)
            placed = window is not None and run.wants_more
            if placed and window is not None:
                run.place(*window)
            else:
                run.advance()
            return placed
        except (jax.errors.JaxRuntimeError, NoRoomForWords) as error:
            run.table.is_broken = True  # a failed call may have taken its arrays
            shortage = shortage_of(error, run.n_lanes)
        # Out here the error has let go of the arrays that its traceback held.
        self._make_do(run, shortage, descent)
        return placed

    def _make_do(self, run: Run, shortage: Shortage, descent: Descent) -> None:
        """Run again what a device had no room for, by smaller and smaller plans."""
        former, plan = None, run.plan
        while True:
            try:
                former, plan = shortage, shortage.smaller(plan, former)
            except ElmoError:
                self._fallback.forget()  # no run has shown that a smaller plan helps
                raise
            descent.add(shortage)
            self._tables.clear()
            try:
                self._start_again(run, plan)
                return
            except (jax.errors.JaxRuntimeError, NoRoomForWords) as error:
                run.table.is_broken = True
                shortage = shortage_of(error, run.n_lanes)

    def _start_again(self, run: Run, plan: Plan) -> None:
        """Run what is pending with a table that is whole."""
        run.table.discard()  # there may be no room for both
        with_gates = run.table.with_gates
        table = self._tables.get(with_gates)
        if table is None or table.is_broken:
            table = self._table(with_gates, plan)
        run.start_again(table, plan)

    def _table(self, with_gates: bool, plan: Plan) -> WordTable:
        """The table of token vectors alone is for who asks for no other layer."""
        table = self._tables.get(with_gates)
        if table is None or not table.serves(plan):
            arguments = (self._config, self._params, self._precision, plan, with_gates)
            table = self._tables[with_gates] = WordTable(*arguments, place=self._devices.copy)
        return table

    def _start(self, n_layers: int) -> BiLMState:
        if n_layers not in self._starts:
            arguments = (self._params, self._config, n_layers, self._precision)
            self._starts[n_layers] = start_state(*arguments)
        return self._starts[n_layers]
