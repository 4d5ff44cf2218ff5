"""WordTable: what depends on a word's spelling alone, on the device, computed once per word."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..lanes.distinct_words import split_by_width
from ..model.bilm import BiLM
from ..model.config import ElmoConfig
from ..model.lstm import GATES, ProjectedLSTMCell
from ..model.parameters import DIRECTIONS, Params
from ..model.precision import gate_dtype
from ..model.spelling import Spelling, spell
from .memory import NoRoomForWords, is_out_of_memory
from .plan import Plan
from .word_rows import Reservation, WordRows

_SHORT_WORD = 14
"""Bytes or characters of the longest short word: 99 in 100 distinct words of running English are
short. A single sentence seldom has a long word then, which would take a call of its own at full
width."""

_NO_ROWS = np.zeros(0, np.int64)


class Words(NamedTuple):
    """The arrays of the table, one row per word; the row PADDING_ROW is zero.

    Attributes:
        vectors: float32 [rows, P], token vectors.
        gates: [2, rows, G], what the token vector adds to the gates of the first layer of each
            direction, in ``gate_dtype``. G is 0 in a table made without gates.
        weights: float32 [rows, 1], how much a word counts in a weighted mean; [rows, 0] in a table
            made without weights.
    """

    vectors: jax.Array
    gates: jax.Array
    weights: jax.Array


Weigh = Callable[[Sequence[str]], np.ndarray]
"""The weight of each word, float32 [U], more than 0."""


class WordTable:
    """The arrays of ``WordRows``, filled as words are asked for.

    Args:
        with_gates: whether the first layers will run.
        weigh: gives words their weights, if a weighted mean may be asked for.
        place: moves arrays to the devices where they stay.

    Attributes:
        is_cut: bool [rows], whether the word of a row is longer than the model reads.
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
        weigh: Weigh | None = None,
        place: Callable[[Words], Words] = lambda words: words,
    ) -> None:
        self._config, self._params, self._precision = config, params, precision
        self._n_gates = len(GATES) * config.cell_dim if with_gates else 0
        self._plan, self._weigh, self._place = plan, weigh, place
        gate_bytes = jnp.dtype(gate_dtype(precision)).itemsize
        self._row_bytes = 4 * config.projection_dim + len(DIRECTIONS) * self._n_gates * gate_bytes
        self._rows = WordRows(*plan.rows_of_words(self._row_bytes))
        self.words = self._zeros(0)  # until the first words come
        self.is_cut = np.zeros(0, bool)
        self.with_gates, self.is_broken = with_gates, False

    def serves(self, plan: Plan) -> bool:
        """Whether a new run by this plan may use the table."""
        mine, new = ((p.word_rows, p.word_batches, p.word_bytes) for p in (self._plan, plan))
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
        needed_rows: np.ndarray = _NO_ROWS,
    ) -> np.ndarray:
        """The row of each word, int32; new words are computed first. See ``WordRows.assign``.

        Raises:
            NoRoomForWords: if a device has no memory for the arrays, or to fill them.
        """
        # An interrupt may come between any two instructions, so this is true before the first
        # change and false after the last, and no handler has to run in between.
        self.is_broken = True
        reservation = reservation or Reservation()
        rows, new_words, new_rows = self._rows.assign(words, reservation, needed_rows)
        spelling = spell(new_words, self._config)
        self.is_cut = np.pad(self.is_cut, (0, len(self._rows) - len(self.is_cut)))
        self.is_cut[new_rows] = spelling.is_cut_U
        try:
            self._grow()
            self._compute(spelling, self._weights(new_words), new_rows.astype(np.int32))
        except jax.errors.JaxRuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise NoRoomForWords(str(error), len(self._rows), self._row_bytes) from error
        self.is_broken = False
        return rows

    def _grow(self) -> None:
        """Give the arrays as many rows as ``WordRows`` has."""
        n_before = len(self.words.vectors)
        more = len(self._rows) - n_before
        if not n_before:
            self.words = self._place(self._zeros(more))
        elif more:
            pads = (0, more), (0, 0)
            vectors, gates, weights = self.words
            self.words = Words(
                jnp.pad(vectors, pads), jnp.pad(gates, ((0, 0), *pads)), jnp.pad(weights, pads)
            )

    def _zeros(self, n_rows: int) -> Words:
        return Words(
            jnp.zeros((n_rows, self._config.projection_dim), np.float32),
            jnp.zeros((len(DIRECTIONS), n_rows, self._n_gates), gate_dtype(self._precision)),
            jnp.zeros((n_rows, 0 if self._weigh is None else 1), np.float32),
        )

    def _weights(self, words: Sequence[str]) -> np.ndarray:
        """Float32 [U, 1], or [U, 0] in a table without weights."""
        if self._weigh is None:
            return np.zeros((len(words), 0), np.float32)
        return self._weigh(words)[:, None]

    def _compute(self, spelling: Spelling, weights_U1: np.ndarray, rows_U: np.ndarray) -> None:
        """Write words into the arrays, in batches of two sizes and two widths."""
        small, large = self._plan.word_batches
        for words, width in split_by_width(spelling.lengths_U, _SHORT_WORD, self._config):
            while len(words):
                size = large if len(words) > 3 * small else small
                batch, words = words[:size], words[size:]
                missing = size - len(batch)
                pads = (0, missing), (0, 0)
                ids_UC = np.pad(spelling.ids_UC[batch, :width], pads, mode="edge")
                weights = np.pad(weights_U1[batch], pads)
                # A row beyond the table is dropped.
                rows = np.pad(rows_U[batch], (0, missing), constant_values=len(self._rows))
                arguments = self.words, ids_UC, weights, rows, self._config, self._precision
                self.words = _write_words(self._params, *arguments)


@functools.partial(jax.jit, static_argnames=("config", "precision"), donate_argnames=("words",))
def _write_words(
    params: Params,
    words: Words,
    ids_UC: jax.Array,
    weights_U1: jax.Array,
    rows_U: jax.Array,
    config: ElmoConfig,
    precision: str,
) -> Words:
    model = BiLM(config, precision)
    vectors_UP: Any = model.apply({"params": params}, ids_UC, method="encode_words")
    vectors = words.vectors.at[rows_U].set(vectors_UP, mode="drop")
    weights = words.weights.at[rows_U].set(weights_U1, mode="drop")
    if not words.gates.shape[-1]:
        return Words(vectors, words.gates, weights)
    cell = ProjectedLSTMCell(config, precision, kernel_first=False)
    layers = [{"params": params[name]["layers_0"]} for name in DIRECTIONS]
    gates: list[Any] = [cell.apply(layer, vectors_UP, method="input_gates") for layer in layers]
    return Words(vectors, words.gates.at[:, rows_U].set(jnp.stack(gates), mode="drop"), weights)
