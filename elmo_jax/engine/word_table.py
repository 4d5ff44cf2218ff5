"""WordTable: what depends on a word's spelling alone, on the device, computed once a word."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..model.bilm import BiLM
from ..model.characters import encode_words, spelled_lengths
from ..model.config import ElmoConfig
from ..model.lstm import GATES, ProjectedLSTMCell
from ..model.parameters import DIRECTIONS, Params
from ..model.precision import gate_dtype
from ..text.cut_words import are_cut
from .memory import NoRoomForWords, is_out_of_memory
from .plan import Plan
from .word_rows import Hold, WordRows

_USUAL_WORD = 16
"""Ids that most words need, both markers included. Longer ones are encoded at full width."""


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
        with_gates: whether they have gates.
        is_broken: whether an error or an interrupt may have left words without their vectors, or
            taken the arrays. Whoever uses the table has to turn to another one then.
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
        self._plan, self._place = plan, place
        gate_bytes = jnp.dtype(gate_dtype(precision)).itemsize
        self._row_bytes = 4 * config.projection_dim + len(DIRECTIONS) * self._n_gates * gate_bytes
        self._rows = WordRows(*plan.rows_of_words(self._row_bytes))
        self.words = self._zeros(0)  # until the first words come
        self.is_cut = np.zeros(0, bool)
        self.with_gates, self.is_broken = with_gates, False

    def serves(self, plan: Plan) -> bool:
        """Whether a new run by this plan may use the table."""
        as_planned = (plan.word_rows, plan.word_batches, plan.word_bytes)
        mine = (self._plan.word_rows, self._plan.word_batches, self._plan.word_bytes)
        return mine == as_planned and not (self.is_broken or self._rows.is_oversize)

    def discard(self) -> None:
        """Mark the table as broken, and give its memory back."""
        self.is_broken = True
        self.words = self._zeros(0)

    def n_that_fit(self, sentences: Sequence[Sequence[str]], kept: np.ndarray) -> int:
        """See ``WordRows.n_that_fit``."""
        return self._rows.n_that_fit(sentences, kept)

    def rows(
        self, words: Sequence[str], hold: Hold | None = None, kept: np.ndarray | None = None
    ) -> np.ndarray:
        """The row of each word, int32; words that are new are computed first.

        Args:
            words: see ``WordRows.find``, as the others.
            hold: of who needs the rows.
            kept: rows of the hold that are needed on.

        Raises:
            NoRoomForWords: if a device has no memory for the arrays, or to fill them.
        """
        # An interrupt may come between any two instructions, so this is true before the first
        # change and false after the last, and no handler has to run in between.
        self.is_broken = True
        found = self._rows.find(words, hold, kept)
        self.is_cut = np.pad(self.is_cut, (0, len(self._rows) - len(self.is_cut)))
        self.is_cut[found.rows_U] = are_cut(found.new, self._config.max_characters_per_token)
        with self._naming_shortages():
            self._grow()
            self._compute(found.new, found.rows_U)
        self.is_broken = False
        return found.rows

    @contextlib.contextmanager
    def _naming_shortages(self) -> Iterator[None]:
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise NoRoomForWords(str(error), len(self._rows), self._row_bytes) from error

    def _grow(self) -> None:
        """Let the arrays have as many rows as there are."""
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

    def _compute(self, words: list[str], rows_U: np.ndarray) -> None:
        ids_UC = encode_words(words, self._config.max_characters_per_token)
        # Padding beyond one window of it changes nothing, so short words are cut short.
        is_short = spelled_lengths(ids_UC) + self._config.max_filter_width <= self._short
        for part, width in (
            (np.flatnonzero(is_short), self._short),
            (np.flatnonzero(~is_short), ids_UC.shape[1]),
        ):
            while len(part):
                size = self._plan.word_batches[len(part) > 3 * self._plan.word_batches[0]]
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
