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
from ..cut_words import are_cut
from ..model import GATES, BiLM, ProjectedLSTMCell, gate_dtype
from ..parameters import DIRECTIONS, Params
from .plan import Plan
from .word_rows import WordRows

_USUAL_WORD = 16
"""Ids that most words need, both markers included. Longer ones are encoded at full width."""

_REBUILT = 4096
"""Words that are encoded together when a table is rebuilt."""


class Words(NamedTuple):
    """The arrays of the table, one row a word.

    Attributes:
        vectors: float32 [rows, P], token vectors.
        gates: [2, rows, G], the input's part of the gates of the first layer of each direction,
            in ``gate_dtype``. Without columns in a table that was made without them.
    """

    vectors: jax.Array
    gates: jax.Array


class WordTable:
    """The arrays of ``WordRows``, filled as words are asked for.

    Args:
        config: the architecture.
        params: the parameter tree.
        precision: of the products.
        plan: the sizes to work with.
        with_gates: whether the first layers will run.
        place: moves arrays to where they stay.

    Attributes:
        words: the arrays; the row PADDING_ROW is zero.
        is_cut: bool [rows], whether the word of a row is not spelled whole.
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
        self._short = min(_USUAL_WORD + config.max_filter_width, config.max_characters_per_token)
        self._n_gates = len(GATES) * config.cell_dim if with_gates else 0
        self._batches, self._place = plan.word_batches, place
        few, many = plan.word_rows
        affordable = plan.word_bytes // sum(x.nbytes for x in self._zeros(1))
        self._rows = WordRows(few, min(many, 1 << max(0, affordable.bit_length() - 1)))
        self.words = self._blank()
        self.is_cut = np.zeros(len(self._rows), bool)

    def rows(
        self, words: Sequence[str], holder: object = None, kept: np.ndarray | None = None
    ) -> np.ndarray:
        """The row of each word, int32; words that are new are computed first.

        Args:
            words: see ``WordRows.find``, as the others.
            holder: who needs the rows.
            kept: rows that the holder got before and needs on.
        """
        found = self._rows.find(words, holder, kept)
        try:
            more = len(self._rows) - self.words.vectors.shape[0]
            if more:
                self.words = jax.tree.map(
                    lambda x: jnp.pad(x, (*[(0, 0)] * (x.ndim - 2), (0, more), (0, 0))), self.words
                )
            self.is_cut = np.pad(self.is_cut, (0, len(self._rows) - len(self.is_cut)))
            self.is_cut[found.rows_U] = are_cut(found.new, self._config.max_characters_per_token)
            self._compute(found.new, found.rows_U)
        except BaseException:
            self._rows.forget(found.new)  # an interrupt, too, must leave no row without its vector
            raise
        return found.rows

    def release(self, holder: object) -> None:
        """The holder needs no row any more."""
        self._rows.release(holder)

    def rebuild(self) -> None:
        """Compute all words anew, in the rows that they have: the arrays may be lost."""
        del self.words  # there may be no room for both
        self.words = self._blank()
        words, rows_U = self._rows.words()
        for first in range(0, len(words), _REBUILT):
            some = slice(first, first + _REBUILT)
            self._compute(words[some], rows_U[some])

    def _blank(self) -> Words:
        return self._place(self._zeros(len(self._rows)))

    def _zeros(self, n_rows: int) -> Words:
        return Words(
            jnp.zeros((n_rows, self._config.projection_dim), jnp.float32),
            jnp.zeros((len(DIRECTIONS), n_rows, self._n_gates), gate_dtype(self._precision)),
        )

    def _compute(self, words: list[str], rows_U: np.ndarray) -> None:
        ids_UC = encode_words(words, self._config.max_characters_per_token)
        # Padding beyond one window of it changes nothing, so short words are cut short.
        is_short = spelled_lengths(ids_UC) + self._config.max_filter_width <= self._short
        for part, width in (
            (np.flatnonzero(is_short), self._short),
            (np.flatnonzero(~is_short), ids_UC.shape[1]),
        ):
            while len(part):
                size = self._batches[len(part) > 3 * self._batches[0]]
                self._compute_batch(ids_UC[part[:size], :width], rows_U[part[:size]], size)
                part = part[size:]

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
