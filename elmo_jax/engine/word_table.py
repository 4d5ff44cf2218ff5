"""WordTable: what depends on a word's spelling alone, on the device, computed once a word."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..characters import encode_words, spelled_lengths
from ..config import ElmoConfig
from ..model import GATES, BiLM, ProjectedLSTMCell
from ..parameters import DIRECTIONS, Params

_BATCHES = (16, 128)
"""Words that are computed at once: the two compiled sizes."""

_USUAL_WORD = 16
"""Ids that most words need, both markers included. Longer ones are encoded at full width."""

_FEW_ROWS = 512
"""Rows of a new table: enough for some sentences, and little memory."""

_MANY_BYTES = 1 << 30
_MANY_ROWS = 1 << 15
"""What a table grows to when it is full, at most, as a power of two: 4,096 words of the largest
published model."""

_REBUILT = 4096
"""Words that are encoded together when a table is rebuilt."""

PADDING_ROW = 0
"""The row that no word has; it is zero."""


class Words(NamedTuple):
    """The arrays of the table, one row a word.

    Attributes:
        vectors: float32 [rows, P], token vectors.
        forward: float32 [rows, G], the input's part of the gates of the first forward layer.
        backward: float32 [rows, G], the same of the first backward layer. Both have no columns
            in a table that was made without them.
    """

    vectors: jax.Array
    forward: jax.Array
    backward: jax.Array


class _Rows(dict[str, int]):
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


class WordTable:
    """A bounded table, filled as words are asked for; ``place`` moves arrays to where they stay.

    When it is full, the words that were not asked for the longest time make room, but for those
    that somebody still holds. A table all of whose rows are held grows.

    Attributes:
        words: the arrays.
    """

    def __init__(
        self,
        config: ElmoConfig,
        params: Params,
        precision: str,
        with_gates: bool = True,
        n_rows: int = _FEW_ROWS,
        place: Callable[[Words], Words] = lambda words: words,
    ) -> None:
        self._config, self._params, self._precision = config, params, precision
        self._short = min(_USUAL_WORD + config.max_filter_width, config.max_characters_per_token)
        n_gates = len(GATES) * config.cell_dim if with_gates else 0
        self._place = place
        self._widths = Words(config.projection_dim, n_gates, n_gates)  # type: ignore[arg-type]
        self.words = self._blank(n_rows)
        affordable = _MANY_BYTES // (4 * sum(map(int, self._widths)))
        self._many = min(_MANY_ROWS, 1 << max(0, affordable.bit_length() - 1))
        self._row_of = _Rows()
        self._word_of: list[str | None] = [None] * n_rows
        self._used = np.full(n_rows, -1)  # when each row was asked for; -1: it is free
        self._now = 0
        self._held: dict[object, np.ndarray] = {}

    def rows(
        self, words: Sequence[str], holder: object = None, kept: np.ndarray | None = None
    ) -> np.ndarray:
        """The row of each word, int32; words that are new are computed first.

        All words of one call are in the table together.

        Args:
            words: in any number, with repetitions.
            holder: who still needs these rows after the next call, until ``release``.
            kept: int, rows that the holder got before and needs on, with repetitions; it gives
                up all others.
        """
        rows = np.fromiter(map(self._row_of.__getitem__, words), np.int32, len(words))
        new = self._row_of.take_unknown()
        self._used[rows[rows >= 0]] = self._now
        self._held[holder] = np.zeros(0, np.int32) if kept is None else kept
        rows_U = self._make_room(len(new))
        for word, row in zip(new, rows_U.tolist(), strict=True):
            former = self._word_of[row]
            if former is not None:
                del self._row_of[former]
            self._row_of[word], self._word_of[row] = row, word
        self._used[rows_U] = self._now
        self._compute(new, rows_U)
        self._now += 1
        is_new = rows < 0
        rows[is_new] = rows_U[~rows[is_new]]
        is_held = np.zeros(len(self._used), bool)
        is_held[self._held[holder]] = is_held[rows] = True
        self._held[holder] = np.flatnonzero(is_held)
        return rows

    def rebuild(self) -> None:
        """Compute all words anew, in the rows that they have: the arrays may be lost."""
        del self.words  # there may be no room for both
        self.words = self._blank(len(self._used))
        words, rows_U = list(self._row_of), np.fromiter(self._row_of.values(), np.int64)
        for first in range(0, len(words), _REBUILT):
            some = slice(first, first + _REBUILT)
            self._compute(words[some], rows_U[some])

    def _blank(self, n_rows: int) -> Words:
        return self._place(
            jax.tree.map(lambda width: jnp.zeros((n_rows, width), jnp.float32), self._widths)
        )

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
            is_full_size = len(self._used) >= self._many
            if len(rows if is_full_size else rows[self._used[rows] < 0]) >= n_needed:
                return rows[np.argsort(self._used[rows], kind="stable")[:n_needed]]
            self._grow()

    def _grow(self) -> None:
        n_before = len(self._used)
        more = max(self._many, 2 * n_before) - n_before
        self.words = jax.tree.map(lambda x: jnp.pad(x, ((0, more), (0, 0))), self.words)
        self._used = np.pad(self._used, (0, more), constant_values=-1)
        self._word_of += [None] * more

    def _compute(self, words: list[str], rows_U: np.ndarray) -> None:
        ids_UC = encode_words(words, self._config.max_characters_per_token)
        # Padding beyond one window of it changes nothing, so short words are cut short.
        is_short = spelled_lengths(ids_UC) + self._config.max_filter_width <= self._short
        for part, width in (
            (np.flatnonzero(is_short), self._short),
            (np.flatnonzero(~is_short), ids_UC.shape[1]),
        ):
            while len(part):
                size = _BATCHES[len(part) > 3 * _BATCHES[0]]
                self._compute_batch(ids_UC[part[:size], :width], rows_U[part[:size]], size)
                part = part[size:]

    def _compute_batch(self, ids_UC: np.ndarray, rows_U: np.ndarray, size: int) -> None:
        missing = size - len(rows_U)
        self.words = _write_words(
            self._params,
            self.words,
            np.pad(ids_UC, ((0, missing), (0, 0)), mode="edge"),
            # A row beyond the table is dropped.
            np.pad(rows_U, (0, missing), constant_values=len(self._used)).astype(np.int32),
            self._config,
            self._precision,
        )


@functools.partial(jax.jit, static_argnames=("config", "precision"), donate_argnames=("words",))
def _write_words(
    params: Params,
    words: Words,
    ids_UC: jax.Array,
    rows_U: jax.Array,
    config: ElmoConfig,
    precision: str,
) -> Words:
    vectors_UP: Any = BiLM(config, precision).apply(
        {"params": params}, ids_UC, method="encode_words"
    )
    cell = ProjectedLSTMCell(config, precision, kernel_first=False)
    gates = []
    for name in DIRECTIONS:
        new: Any = vectors_UP[:, :0]
        if getattr(words, name).shape[1]:
            layer = {"params": params[name]["layers_0"]}
            new = cell.apply(layer, vectors_UP, method="input_gates")
        gates.append(new)
    return jax.tree.map(
        lambda x, y: x.at[rows_U].set(y, mode="drop"), words, Words(vectors_UP, *gates)
    )
