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
    """

    vectors: jax.Array
    gates: jax.Array


class WordTable:
    """The arrays of ``WordRows``, filled as words are asked for.

    Args:
        with_gates: whether the first layers will run.
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
            self._compute(spelling, new_rows.astype(np.int32))
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
            vectors = jnp.pad(self.words.vectors, pads)
            self.words = Words(vectors, jnp.pad(self.words.gates, ((0, 0), *pads)))

    def _zeros(self, n_rows: int) -> Words:
        return Words(
            jnp.zeros((n_rows, self._config.projection_dim), np.float32),
            jnp.zeros((len(DIRECTIONS), n_rows, self._n_gates), gate_dtype(self._precision)),
        )

    def _compute(self, spelling: Spelling, rows_U: np.ndarray) -> None:
        """Write words into the arrays, in batches of two sizes and two widths."""
        small, large = self._plan.word_batches
        for words, width in split_by_width(spelling.lengths_U, _SHORT_WORD, self._config):
            while len(words):
                size = large if len(words) > 3 * small else small
                batch, words = words[:size], words[size:]
                missing = size - len(batch)
                ids_UC = np.pad(spelling.ids_UC[batch, :width], ((0, missing), (0, 0)), mode="edge")
                # A row beyond the table is dropped.
                rows = np.pad(rows_U[batch], (0, missing), constant_values=len(self._rows))
                self.words = _write_words(
                    self._params, self.words, ids_UC, rows, self._config, self._precision
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
    model = BiLM(config, precision)
    vectors_UP: Any = model.apply({"params": params}, ids_UC, method="encode_words")
    vectors = words.vectors.at[rows_U].set(vectors_UP, mode="drop")
    if not words.gates.shape[-1]:
        return Words(vectors, words.gates)
    cell = ProjectedLSTMCell(config, precision, kernel_first=False)
    layers = [{"params": params[name]["layers_0"]} for name in DIRECTIONS]
    gates: list[Any] = [cell.apply(layer, vectors_UP, method="input_gates") for layer in layers]
    return Words(vectors, words.gates.at[:, rows_U].set(jnp.stack(gates), mode="drop"))
