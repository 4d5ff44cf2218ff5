"""WordTable: what depends on a word's spelling alone, on the device, computed once per word.

``WordRows`` says which row each word has; ``WordTable`` has the arrays.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..lanes.distinct_words import Spelling, WordNumbers, spell, split_by_width
from ..model.bilm import BiLM
from ..model.config import ElmoConfig
from ..model.lstm import GATES, ProjectedLSTMCell
from ..model.parameters import DIRECTIONS, Params
from ..model.precision import gate_dtype
from .memory import NoRoomForWords, is_out_of_memory
from .plan import Plan

PADDING_ROW = 0
"""The row that no word has. It is zero."""

_SHORT_WORD = 14
"""Bytes of the longest short word: 99 in 100 distinct words of running English are short. A single
sentence seldom has a long word then, which would take a call of its own at full width."""


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
    """Which row of a table each word has.

    When the table is full, words make room that were not asked for the longest time, except those
    that a stream has reserved. If every row is reserved, the table grows beyond ``n_most``.

    An interrupt in the middle of ``assign`` leaves rows without words: the table is of no use then.

    Args:
        n_rows: of a new table.
        n_most: rows that it grows to before any word has to go.
    """

    def __init__(self, n_rows: int, n_most: int) -> None:
        self._n_most = n_most
        self._row_of = WordNumbers(next_number=n_rows)
        self._word_of: list[str | None] = [None] * n_rows
        self._last_used = np.full(n_rows, -1)  # the call that last asked for a row; -1: it is free
        self._n_calls = 0
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

        Args:
            sentences: lists of words.
            needed_rows: int, rows that the same stream still needs, with repetitions.
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
        self,
        words: Sequence[str],
        reservation: Reservation | None = None,
        needed_rows: np.ndarray | None = None,
    ) -> tuple[np.ndarray, list[str], np.ndarray]:
        """Give every word a row. All words of one call have rows at the same time.

        Args:
            words: any number, with repetitions.
            reservation: of the stream that needs the rows after the next call too; or None.
            needed_rows: int, rows of the reservation that the stream still needs, with
                repetitions. It gives up all others.

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
        if needed_rows is None:
            needed_rows = np.zeros(0, np.int64)
        if reservation is not None:
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
        if reservation is not None:
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
        """Grow to ``n_most`` rows; where even more are needed, by eighths of that.

        Each size of the table is compiled anew, so it does not grow row by row.
        """
        step = max(1, self._n_most // 8)
        more = max(self._n_most, -(-n_rows // step) * step) - len(self)
        self._last_used = np.pad(self._last_used, (0, more), constant_values=-1)
        self._word_of += [None] * more


class Words(NamedTuple):
    """The arrays of the table, one row per word.

    Attributes:
        vectors: float32 [rows, P], token vectors.
        gates: [2, rows, G], what the token vector adds to the gates of the first layer of each
            direction, in ``gate_dtype``. G is 0 in a table made without gates.
    """

    vectors: jax.Array
    gates: jax.Array


class WordTable:
    """The arrays of ``WordRows``, filled as words are asked for.

    Args:
        with_gates: whether the first layers will run.
        place: moves arrays to the devices where they stay.

    Attributes:
        words: the arrays; the row PADDING_ROW is zero.
        is_cut: bool [rows], whether the word of a row is longer than the model reads.
        with_gates: whether the arrays have gates.
        is_broken: whether an error or an interrupt may have left words without their vectors, or
            taken the arrays. A stream that uses the table must then turn to another one.
    """

    def __init__(
        self,
        config: ElmoConfig,
        params: Params,
        precision: str,
        plan: Plan,
        with_gates: bool = True,
        place: Callable[[Words], Words] = lambda words: words,
    ) -> None:
        self._config, self._params, self._precision = config, params, precision
        self._n_gates = len(GATES) * config.cell_dim if with_gates else 0
        self._plan, self._place = plan, place
        gate_bytes = jnp.dtype(gate_dtype(precision)).itemsize
        self._row_bytes = 4 * config.projection_dim + len(DIRECTIONS) * self._n_gates * gate_bytes
        self._rows = WordRows(*plan.rows_of_words(self._row_bytes))
        self.words = self._zeros(0)  # until the first words come
        self.is_cut = np.zeros(0, bool)
        self.with_gates, self.is_broken = with_gates, False

    def serves(self, plan: Plan) -> bool:
        """Whether a new run by this plan may use the table."""
        mine, new = (
            (plan.word_rows, plan.word_batches, plan.word_bytes) for plan in (self._plan, plan)
        )
        return mine == new and not (self.is_broken or self._rows.is_oversize)

    def discard(self) -> None:
        """Mark the table as broken, and give its memory back."""
        self.is_broken = True
        self.words = self._zeros(0)

    def n_that_fit(self, sentences: Sequence[Sequence[str]], needed_rows: np.ndarray) -> int:
        """See ``WordRows.n_that_fit``."""
        return self._rows.n_that_fit(sentences, needed_rows)

    def rows(
        self,
        words: Sequence[str],
        reservation: Reservation | None = None,
        needed_rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """The row of each word, int32; new words are computed first. See ``WordRows.assign``.

        Raises:
            NoRoomForWords: if a device has no memory for the arrays, or to fill them.
        """
        # An interrupt may come between any two instructions, so this is true before the first
        # change and false after the last, and no handler has to run in between.
        self.is_broken = True
        rows, new_words, new_rows = self._rows.assign(words, reservation, needed_rows)
        spelling = spell(new_words, self._config)
        self.is_cut = np.pad(self.is_cut, (0, len(self._rows) - len(self.is_cut)))
        self.is_cut[new_rows] = spelling.is_cut_U
        try:
            self._grow()
            self._compute(spelling, new_rows)
        except jax.errors.JaxRuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise NoRoomForWords(str(error), len(self._rows), self._row_bytes) from error
        self.is_broken = False
        return rows

    def _grow(self) -> None:
        """Give the arrays as many rows as ``WordRows`` has."""
        n_before = self.words.vectors.shape[0]
        more = len(self._rows) - n_before
        if not n_before:
            self.words = self._place(self._zeros(more))
        elif more:
            self.words = jax.tree.map(
                lambda x: jnp.pad(x, (*[(0, 0)] * (x.ndim - 2), (0, more), (0, 0))), self.words
            )

    def _zeros(self, n_rows: int) -> Words:
        return Words(
            jnp.zeros((n_rows, self._config.projection_dim), jnp.float32),
            jnp.zeros((len(DIRECTIONS), n_rows, self._n_gates), gate_dtype(self._precision)),
        )

    def _compute(self, spelling: Spelling, rows_U: np.ndarray) -> None:
        small, large = self._plan.word_batches
        for words, width in split_by_width(spelling.lengths_U, _SHORT_WORD, self._config):
            while len(words):
                size = large if len(words) > 3 * small else small
                batch, words = words[:size], words[size:]
                self._compute_batch(spelling.ids_UC[batch, :width], rows_U[batch], size)

    def _compute_batch(self, ids_UC: np.ndarray, rows_U: np.ndarray, size: int) -> None:
        missing = size - len(rows_U)
        self.words = _write_words(
            self._params,
            self.words,
            np.pad(ids_UC, ((0, missing), (0, 0)), mode="edge"),
            # A row beyond the table is dropped.
            np.pad(rows_U, (0, missing), constant_values=len(self._rows)).astype(np.int32),
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
    vectors = words.vectors.at[rows_U].set(vectors_UP, mode="drop")
    if not words.gates.shape[-1]:
        return Words(vectors, words.gates)
    cell = ProjectedLSTMCell(config, precision, kernel_first=False)
    layers = [{"params": params[name]["layers_0"]} for name in DIRECTIONS]
    gates: list[Any] = [cell.apply(layer, vectors_UP, method="input_gates") for layer in layers]
    return Words(vectors, words.gates.at[:, rows_U].set(jnp.stack(gates), mode="drop"))
