"""Engine: a stream of sentences to a stream of results, in order and in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..config import ElmoConfig
from ..model import BiLMState
from ..parameters import Params
from .collectors import Request
from .lanes import start_state
from .plan import WINDOW_TOKENS
from .run import Run
from .word_table import WordTable

Sentence = Sequence[str]

_LONG = 64
"""Tokens of the sentences that one in a hundred real ones is longer than."""

_NOTHING = np.zeros(0)


class Engine:
    """Runs one model over sentences. Threads may share it; they take turns."""

    def __init__(self, config: ElmoConfig, params: Params, precision: str) -> None:
        self._config, self._params, self._precision = config, params, precision
        self._tables: dict[bool, WordTable] = {}
        self._starts: dict[int, BiLMState] = {}
        # Reentrant: a stream that nobody reads on may be closed by the garbage collector at any
        # time, also while its thread holds the lock for another.
        self._lock = threading.RLock()

    def run(self, sentences: Iterable[Sentence], request: Request) -> Iterator[np.ndarray]:
        """Results in the order of the sentences.

        Args:
            sentences: lists of words, checked already. They are read a window at a time, when
                the lanes need them.
            request: what is wanted of each.

        Yields:
            An array of its own for each sentence: [T, D] or [L, T, D], pooled [D] or [L, D].
        """
        n_layers = request.selection.n_computed - 1
        with self._lock:
            table, start = self._table(n_layers > 0), self._start(n_layers)
        run = Run(self._config, self._params, self._precision, table, start, request)
        windows = _windows(sentences)
        window = next(windows, None)
        try:
            while window is not None or run.has_work:
                with self._lock:
                    if placed := window is not None and run.wants_more:
                        run.place(*window)
                    else:
                        run.advance()
                if placed:
                    window = next(windows, None)
                yield from run.results()
        finally:
            with self._lock:
                run.close()

    def run_all(self, sentences: Sequence[Sentence], request: Request) -> list[np.ndarray]:
        """``run`` for sentences that are all there: the long ones are read first.

        They would be the last to end, with most lanes idle, if they came late in the text.
        """
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]) <= _LONG)
        results: list[np.ndarray] = [_NOTHING] * len(sentences)
        ordered = (sentences[i] for i in order)
        for i, result in zip(order, self.run(ordered, request), strict=True):
            results[i] = result
        return results

    def forget_words(self) -> None:
        """The next run starts with an empty word table; those under way keep theirs."""
        with self._lock:
            self._tables.clear()

    def _table(self, with_gates: bool) -> WordTable:
        """The table of token vectors alone is for who asks for no other layer."""
        if with_gates not in self._tables:
            arguments = (self._config, self._params, self._precision, with_gates)
            self._tables[with_gates] = WordTable(*arguments)
        return self._tables[with_gates]

    def _start(self, n_layers: int) -> BiLMState:
        if n_layers not in self._starts:
            arguments = (self._params, self._config, n_layers, self._precision)
            self._starts[n_layers] = start_state(*arguments)
        return self._starts[n_layers]


def _windows(sentences: Iterable[Sentence]) -> Iterator[tuple[list[Sentence], bool]]:
    """Runs of sentences of about WINDOW_TOKENS tokens, and whether they are the last.

    The last run may be twice as long: the more sentences, the more evenly the lanes end.
    """
    window: list[Sentence] = []
    following: list[Sentence] = []
    n_tokens = n_following = 0
    for sentence in sentences:
        # An empty sentence counts too, so that any number of them stays bounded.
        size = max(1, len(sentence))
        if not following and (n_tokens + size <= WINDOW_TOKENS or not window):
            window.append(sentence)
            n_tokens += size
        elif n_following + size <= WINDOW_TOKENS or not following:
            following.append(sentence)
            n_following += size
        else:
            yield window, False
            window, n_tokens = following, n_following
            following, n_following = [sentence], size
    if window:
        yield window + following, True
