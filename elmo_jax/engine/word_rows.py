"""WordRows: which row of a bounded table each word has, and who still needs it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PADDING_ROW = 0
"""The row that no word has."""


class Found(NamedTuple):
    """The rows of some words.

    Attributes:
        rows: int32, of each word.
        new: the words that had none before, each once.
        rows_U: int64, the rows that these have got.
    """

    rows: np.ndarray
    new: list[str]
    rows_U: np.ndarray


class Hold:
    """What somebody needs of a table: until it is emptied, or nobody has it any more.

    That takes no lock, so a stream may end wherever the garbage collector or an interrupt has it.
    """

    def __init__(self) -> None:
        self.rows = np.zeros(0, np.int64)

    def release(self) -> None:
        """Hold nothing."""
        self.rows = self.rows[:0]


class _Numbers(dict[str, int]):
    """The row of each word; an unknown one gets ~i, as the i-th, so that one look is enough."""

    def __init__(self) -> None:
        super().__init__()
        self._unknown: list[str] = []

    def __missing__(self, word: str) -> int:
        self[word] = number = ~len(self._unknown)
        self._unknown.append(word)
        return number

    def take_unknown(self) -> list[str]:
        """The words that were asked for and have no row; they are unknown again."""
        taken, self._unknown = self._unknown, []
        for word in taken:
            del self[word]
        return taken


class WordRows:
    """The rows of a table.

    When it is full, the words that were not asked for the longest time make room, but for those
    that somebody still holds. If every row is held, the table grows beyond ``n_most``.

    An interrupt in the middle of ``find`` leaves rows without words: the table is of no use then.

    Args:
        n_rows: of a new table.
        n_most: rows that it grows to, before any word has to go.
    """

    def __init__(self, n_rows: int, n_most: int) -> None:
        self._n_most = n_most
        self._row_of = _Numbers()
        self._word_of: list[str | None] = [None] * n_rows
        self._used = np.full(n_rows, -1)  # when each row was asked for; -1: it is free
        self._now = 0
        self._holds: list[weakref.ref[Hold]] = []

    def __len__(self) -> int:
        return len(self._used)

    @property
    def holds(self) -> list[Hold]:
        """Those that somebody still has."""
        return [hold for reference in self._holds if (hold := reference()) is not None]

    @property
    def is_oversize(self) -> bool:
        """Whether it had to grow beyond ``n_most``, and nobody needs that any more."""
        return len(self) > self._n_most and not any(hold.rows.size for hold in self.holds)

    def n_that_fit(self, sentences: Sequence[Sequence[str]], kept: np.ndarray) -> int:
        """How many sentences, from the first on, one stream may have in a table of ``n_most`` rows.

        Args:
            sentences: lists of words.
            kept: int, rows that the stream needs on, with repetitions.
        """
        if sum(map(len, sentences)) + len(kept) < self._n_most:  # even if all were distinct
            return len(sentences)
        needed = {self._word_of[row] for row in np.unique(kept).tolist() if row != PADDING_ROW}
        for n_before, sentence in enumerate(sentences):
            needed.update(sentence)
            if len(needed) >= self._n_most:  # one row is for padding
                return n_before
        return len(sentences)

    def find(self, words: Sequence[str], hold: Hold | None, kept: np.ndarray | None) -> Found:
        """The rows of words; new ones get one. All words of one call have a row together.

        Args:
            words: in any number, with repetitions.
            hold: of who still needs these rows after the next call; None for nobody.
            kept: int, rows of the hold that are needed on, with repetitions; all others are given
                up.
        """
        rows = np.fromiter(map(self._row_of.__getitem__, words), np.int32, len(words))
        new = self._row_of.take_unknown()
        self._used[rows[rows >= 0]] = self._now
        kept = np.zeros(0, np.int64) if kept is None else kept
        if hold is not None:
            hold.rows = kept
            self._holds = [weakref.ref(one) for one in {*self.holds, hold}]
        rows_U = self._make_room(len(new))
        for word, row in zip(new, rows_U.tolist(), strict=True):
            former = self._word_of[row]
            if former is not None:
                del self._row_of[former]
            self._row_of[word], self._word_of[row] = row, word
        self._used[rows_U] = self._now
        self._now += 1
        is_new = rows < 0
        rows[is_new] = rows_U[~rows[is_new]]
        if hold is not None:
            is_held = np.zeros(len(self), bool)
            is_held[kept] = is_held[rows] = True
            hold.rows = np.flatnonzero(is_held)
        return Found(rows, new, rows_U)

    def _make_room(self, n_needed: int) -> np.ndarray:
        """Rows for new words: free ones first, then those unused for the longest time."""
        while True:
            open_ = self._used < self._now
            open_[PADDING_ROW] = False
            for hold in self.holds:
                open_[hold.rows] = False
            rows = np.flatnonzero(open_)
            is_full_size = len(self) >= self._n_most
            if len(rows if is_full_size else rows[self._used[rows] < 0]) >= n_needed:
                return rows[np.argsort(self._used[rows], kind="stable")[:n_needed]]
            self._grow(len(self) + n_needed - len(rows))

    def _grow(self, n_rows: int) -> None:
        """To ``n_most`` rows; where even more are needed, by eighths of that.

        Each size of the table is compiled anew, so it does not grow row by row.
        """
        step = max(1, self._n_most // 8)
        more = max(self._n_most, -(-n_rows // step) * step) - len(self)
        self._used = np.pad(self._used, (0, more), constant_values=-1)
        self._word_of += [None] * more
