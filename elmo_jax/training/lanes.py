"""Lanes: rows of text without gaps, cut into windows one after the other."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..lanes.packing import places
from .lexicon import BEGIN, END, Lexicon

_MOST_WORDS = 1 << 18
"""Words of a lexicon that are kept at most; their arrays take 28 MB, twice that while they grow."""


class Taken(NamedTuple):
    """One window of every row, in reading order.

    Attributes:
        inputs: int32 [N, T], what is read, as numbers of the lexicon.
        targets: int32 [N, T], the word that follows each of them in reading order.
        n_real: int64 [N], of each row, how many of its T words are real; the others are padding.
    """

    inputs: np.ndarray
    targets: np.ndarray
    n_real: np.ndarray


Pending = Sequence[Sequence[str | None]]
"""What each row of a direction has before it: words, and None where a sentence begins."""


class Lanes:
    """The rows of one direction.

    As in bilm-tf, a sentence of n words makes n + 1 steps: forward it reads
    ``<S> w1 … wn`` and predicts ``w1 … wn </S>``; backward it reads ``</S> wn … w1`` and
    predicts ``wn … w1 <S>``. A row takes the next sentence of the stream when it runs out.

    Args:
        sentences: the stream that all rows take from. Where it ends, rows are padded.
        n_rows: N.
        lexicon: numbers the words.
        backward: reverse each sentence.
        pending: of an earlier object, to go on from there.
    """

    def __init__(
        self,
        sentences: Iterator[Sequence[str]],
        n_rows: int,
        lexicon: Lexicon,
        backward: bool = False,
        pending: Pending | None = None,
    ) -> None:
        self._sentences, self._lexicon, self._backward = sentences, lexicon, backward
        self._first, self._last = (END, BEGIN) if backward else (BEGIN, END)
        self._ends_N = np.zeros(n_rows, np.int64)
        # What no window has had yet. Beyond a row's end it holds the mark of a sentence's begin,
        # so that every last word is followed by one.
        self._rows_NW = np.full((n_rows, 1), self._first, np.int32)
        if pending is not None:
            self._restore(pending)

    @property
    def pending(self) -> Pending:
        """What each row will read before it takes a sentence, ready for JSON."""
        rows = zip(self._rows_NW, self._ends_N.tolist(), strict=True)
        return [self._words(row[:end]) for row, end in rows]

    @property
    def numbers(self) -> np.ndarray:
        """The numbers of the words that are pending, with repetitions."""
        return self._rows_NW.ravel()

    def renumber(self, new: np.ndarray) -> None:
        """The lexicon has given its words other numbers, see ``Lexicon.keep``."""
        self._rows_NW = new[self._rows_NW]

    def take(self, n_steps: int) -> Taken | None:
        """The next window of every row; None at the end of the stream."""
        self._refill(n_steps)
        if not self._ends_N.any():
            return None
        self._widen(n_steps + 1)
        inputs, following = self._rows_NW[:, :n_steps], self._rows_NW[:, 1 : n_steps + 1]
        targets = np.where(following == self._first, self._last, following)
        taken = Taken(inputs.copy(), targets, np.minimum(self._ends_N, n_steps))
        self._rows_NW = self._rows_NW[:, n_steps:]
        self._ends_N = np.maximum(self._ends_N - n_steps, 0)
        return taken

    def _refill(self, n_steps: int) -> None:
        """Give sentences to the row that has least, until each has enough for a window.

        So a row takes the next sentence when its last one ends, wherever windows are cut.
        """
        n_rows = len(self._ends_N)
        # A row's end and the row as one number, which compares faster than two.
        heap = (self._ends_N * n_rows + np.arange(n_rows)).tolist()
        heapq.heapify(heap)
        sentences: list[Sequence[str]] = []
        begun: list[int] = []
        while heap[0] < n_steps * n_rows and (words := next(self._sentences, None)) is not None:
            sentences.append(words)
            begun.append(heapq.heapreplace(heap, heap[0] + (len(words) + 1) * n_rows))
        ends, rows = np.divmod(np.array(heap, np.int64), n_rows)
        self._ends_N[rows] = ends
        self._widen(int(ends.max()))
        if sentences:
            starts_S, rows_S = np.divmod(np.array(begun, np.int64), n_rows)
            self._lay_down(sentences, rows_S, starts_S)

    def _lay_down(
        self, sentences: list[Sequence[str]], rows_S: np.ndarray, starts_S: np.ndarray
    ) -> None:
        lengths_S = np.fromiter(map(len, sentences), np.int64, len(sentences))
        words = list(itertools.chain.from_iterable(sentences))
        first_S = rows_S * self._rows_NW.shape[1] + starts_S + 1  # behind its marker
        if self._backward:
            where = places(first_S + lengths_S - 1, lengths_S, -1)
        else:
            where = places(first_S, lengths_S, 1)
        np.put(self._rows_NW, where, self._lexicon.numbers(words))

    def _widen(self, width: int) -> None:
        """Let the array reach at least as far as ``width``, in a memory of its own."""
        missing = ((0, 0), (0, max(0, width - self._rows_NW.shape[1])))
        rows_NW = np.pad(self._rows_NW, missing, constant_values=self._first)
        self._rows_NW = np.ascontiguousarray(rows_NW)

    def _words(self, numbers: np.ndarray) -> list[str | None]:
        begins = (numbers == self._first).tolist()
        words = self._lexicon.words(numbers)
        return [None if begin else word for begin, word in zip(begins, words, strict=True)]

    def _restore(self, pending: Pending) -> None:
        self._ends_N = np.array(list(map(len, pending)), np.int64)
        self._widen(int(self._ends_N.max()))
        for row, words in enumerate(pending):
            read = [place for place, word in enumerate(words) if word is not None]
            numbers = self._lexicon.numbers([word for word in words if word is not None])
            self._rows_NW[row, read] = numbers


class LanePair:
    """The forward and the backward lanes of a text.

    Args:
        sentences: the streams of the two directions.
        n_rows: N, of each.
        lexicon: of both. Its numbers hold from one ``take`` to the next.
        pending: of an earlier pair, to go on from there.
    """

    def __init__(
        self,
        sentences: tuple[Iterator[Sequence[str]], Iterator[Sequence[str]]],
        n_rows: int,
        lexicon: Lexicon,
        pending: Sequence[Pending] | None = None,
    ) -> None:
        self._lexicon = lexicon
        self._lanes = [
            Lanes(stream, n_rows, lexicon, bool(number), pending[number] if pending else None)
            for number, stream in enumerate(sentences)
        ]

    @property
    def pending(self) -> list[Pending]:
        """Of both directions, see ``Lanes.pending``."""
        return [lanes.pending for lanes in self._lanes]

    def take(self, n_steps: int) -> tuple[Taken, Taken] | None:
        """The next window of both directions; None at the end of a stream."""
        if len(self._lexicon) > _MOST_WORDS:
            new = self._lexicon.keep(np.concatenate([lanes.numbers for lanes in self._lanes]))
            for lanes in self._lanes:
                lanes.renumber(new)
        forward, backward = (lanes.take(n_steps) for lanes in self._lanes)
        return None if forward is None or backward is None else (forward, backward)
