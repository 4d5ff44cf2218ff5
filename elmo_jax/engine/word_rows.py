"""WordRows: which row of a bounded table each word has, and who still needs it."""

from __future__ import annotations

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
    that somebody still holds. A table all of whose rows are held grows.

    Args:
        n_rows: of a new table.
        many: rows that it grows to, before any word has to go.
    """

    def __init__(self, n_rows: int, many: int) -> None:
        self._many = many
        self._row_of = _Numbers()
        self._word_of: list[str | None] = [None] * n_rows
        self._used = np.full(n_rows, -1)  # when each row was asked for; -1: it is free
        self._now = 0
        self._held: dict[object, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._used)

    def words(self) -> tuple[list[str], np.ndarray]:
        """All words that have a row, and their rows."""
        return list(self._row_of), np.fromiter(self._row_of.values(), np.int64)

    def find(self, words: Sequence[str], holder: object, kept: np.ndarray | None) -> Found:
        """The rows of words; new ones get one. All words of one call have a row together.

        Args:
            words: in any number, with repetitions.
            holder: who still needs these rows after the next call, until ``release``.
            kept: int, rows that the holder got before and needs on, with repetitions; it gives
                up all others.
        """
        rows = np.fromiter(map(self._row_of.__getitem__, words), np.int32, len(words))
        new = self._row_of.take_unknown()
        self._used[rows[rows >= 0]] = self._now
        self._held[holder] = np.zeros(0, np.int64) if kept is None else kept
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
        is_held = np.zeros(len(self), bool)
        is_held[self._held[holder]] = is_held[rows] = True
        self._held[holder] = np.flatnonzero(is_held)
        return Found(rows, new, rows_U)

    def forget(self, words: Sequence[str]) -> None:
        """These words have no row any more."""
        for word in words:
            row = self._row_of.pop(word)
            self._word_of[row], self._used[row] = None, -1

    def release(self, holder: object) -> None:
        """The holder needs no row any more."""
        self._held.pop(holder, None)

    def _make_room(self, n_needed: int) -> np.ndarray:
        """Rows for new words: free ones first, then those unused for the longest time."""
        while True:
            open_ = self._used < self._now
            open_[PADDING_ROW] = False
            for held in self._held.values():
                open_[held] = False
            rows = np.flatnonzero(open_)
            is_full_size = len(self) >= self._many
            if len(rows if is_full_size else rows[self._used[rows] < 0]) >= n_needed:
                return rows[np.argsort(self._used[rows], kind="stable")[:n_needed]]
            more = max(self._many, 2 * len(self)) - len(self)
            self._used = np.pad(self._used, (0, more), constant_values=-1)
            self._word_of += [None] * more
