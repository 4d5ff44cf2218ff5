"""WordRows: which row of the word table each word has, and which words make room for others."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np

from ..lanes.distinct_words import WordNumbers

PADDING_ROW = 0
"""The row that no word has. It is zero."""


class Reservation:
    """The rows of a table that one stream still needs.

    It ends when it is released, or when the stream is gone. Neither takes a lock, so a stream may
    end wherever the garbage collector or an interrupt ends it.
    """

    def __init__(self) -> None:
        self.rows = np.zeros(0, np.int64)

    def release(self) -> None:
        """Need nothing any more."""
        self.rows = self.rows[:0]


class WordRows:
    """The rows of a table, and the words that have them.

    When the table has ``n_most`` rows and all are in use, the words that were not asked for the
    longest time make room, except those that a stream has reserved. If every row is reserved, the
    table grows beyond ``n_most``.

    An interrupt in the middle of ``assign`` leaves rows without words: the table is of no use then.
    """

    def __init__(self, n_rows: int, n_most: int) -> None:
        self._n_most = n_most
        self._row_of = WordNumbers(next_number=n_rows)
        self._word_of: list[str | None] = [None] * n_rows
        self._last_used = np.full(n_rows, -1)  # the call that last asked for a row; -1: it is free
        self._n_calls = 0
        # Weak, so that a stream that is dropped before its end keeps no rows.
        self._reservations: list[weakref.ref[Reservation]] = []

    def __len__(self) -> int:
        return len(self._last_used)

    @property
    def reservations(self) -> list[Reservation]:
        """Those of the streams that are not gone."""
        return [r for reference in self._reservations if (r := reference()) is not None]

    @property
    def is_oversize(self) -> bool:
        """Whether it had to grow beyond ``n_most``, and no stream needs that any more."""
        return len(self) > self._n_most and not any(r.rows.size for r in self.reservations)

    def n_that_fit(self, sentences: Sequence[Sequence[str]], needed_rows: np.ndarray) -> int:
        """How many sentences, from the first on, fit a table of ``n_most`` rows.

        ``needed_rows``, with repetitions, are those that the same stream still needs.
        """
        n_words = sum(map(len, sentences)) + len(needed_rows)
        if n_words < self._n_most:  # they fit even if all are distinct
            return len(sentences)
        distinct = {self._word_of[r] for r in np.unique(needed_rows).tolist() if r != PADDING_ROW}
        for n_before, sentence in enumerate(sentences):
            distinct.update(sentence)
            if len(distinct) >= self._n_most:  # one row is for padding
                return n_before
        return len(sentences)

    def assign(
        self, words: Sequence[str], reservation: Reservation, needed_rows: np.ndarray
    ) -> tuple[np.ndarray, list[str], np.ndarray]:
        """Give every word a row. All words of one call have rows at the same time.

        The stream reserves these rows, and of its earlier ones ``needed_rows``, with repetitions.

        Returns:
            int32, the row of each word; the words that had none before, each once; and int64, the
            rows that these got.
        """
        # Until they have rows, new words have numbers beyond the table.
        first_new = self._row_of.next_number = len(self)
        rows = self._row_of.look_up(words)
        new_words = self._row_of.take_new_words()
        is_new = rows >= first_new
        self._last_used[rows[~is_new]] = self._n_calls
        reservation.rows = needed_rows
        self._reservations = [weakref.ref(r) for r in {*self.reservations, reservation}]
        new_rows = self._make_room(len(new_words))
        for word, row in zip(new_words, new_rows.tolist(), strict=True):
            former = self._word_of[row]
            if former is not None:
                del self._row_of[former]
            self._row_of[word], self._word_of[row] = row, word
        self._last_used[new_rows] = self._n_calls
        self._n_calls += 1
        rows[is_new] = new_rows[rows[is_new] - first_new]
        is_reserved = np.zeros(len(self), bool)
        is_reserved[needed_rows] = is_reserved[rows] = True
        reservation.rows = np.flatnonzero(is_reserved)
        return rows, new_words, new_rows

    def _make_room(self, n_needed: int) -> np.ndarray:
        """Rows for new words: free ones first, then those unused for the longest time."""
        while True:
            is_open = self._last_used < self._n_calls
            is_open[PADDING_ROW] = False
            for reservation in self.reservations:
                is_open[reservation.rows] = False
            rows = np.flatnonzero(is_open)
            # A table that may still grow does so before any word has to go.
            may_grow = len(self) < self._n_most
            if len(rows[self._last_used[rows] < 0] if may_grow else rows) >= n_needed:
                return rows[np.argsort(self._last_used[rows], kind="stable")[:n_needed]]
            self._grow(len(self) + n_needed - len(rows))

    def _grow(self, n_rows: int) -> None:
        """Grow to ``n_most`` rows; where even more are needed, by eighths of that."""
        # Each size of the table is compiled anew, so it does not grow row by row.
        step = max(1, self._n_most // 8)
        more = max(self._n_most, -(-n_rows // step) * step) - len(self)
        self._last_used = np.pad(self._last_used, (0, more), constant_values=-1)
        self._word_of += [None] * more
