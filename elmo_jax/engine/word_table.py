"""WordTable: token vectors on the device, each distinct word spelled out once."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from ..characters import encode_words, spelled_lengths
from ..config import ElmoConfig
from ..model import BiLM
from ..parameters import Params

_BATCHES = (16, 128)
"""Words that are encoded at once: the two compiled sizes."""

_USUAL_WORD = 16
"""Ids that most words need, both markers included. Longer ones are encoded at full width."""

PADDING_SLOT = 0
"""The row that no word has; its vector is zero."""


class WordTable:
    """A bounded table of token vectors, filled as words are asked for.

    When it is full it is emptied, not pruned: words in use come back at the next window, and
    no bookkeeping slows the words that are there.

    Attributes:
        vectors: float32 [rows, P] on the device.
    """

    def __init__(
        self, config: ElmoConfig, params: Params, precision: str, n_rows: int = 1 << 15
    ) -> None:
        self._config, self._params, self._precision = config, params, precision
        self._slots: dict[str, int] = {}
        self._short = min(_USUAL_WORD + config.max_filter_width, config.max_characters_per_token)
        self.vectors = jnp.zeros((n_rows, config.projection_dim), jnp.float32)

    def slots(self, words: Iterable[str]) -> np.ndarray:
        """The row of each word, int32; words that are new are encoded first.

        All words of one call are in the table together; rows of earlier calls may be gone.
        """
        words = list(words)
        new = [word for word in dict.fromkeys(words) if word not in self._slots]
        if len(new) + len(self._slots) >= len(self.vectors):
            new = self._restart(words)
        first = len(self._slots) + 1
        self._slots.update((word, first + i) for i, word in enumerate(new))
        self._encode(new, first)
        return np.fromiter(map(self._slots.__getitem__, words), np.int32, len(words))

    def _restart(self, words: list[str]) -> list[str]:
        """Empty the table, and enlarge it if one call's words need more; gives those words."""
        distinct = list(dict.fromkeys(words))
        n_rows = len(self.vectors)
        while n_rows <= len(distinct):
            n_rows *= 2
        self._slots.clear()
        self.vectors = jnp.zeros((n_rows, self._config.projection_dim), jnp.float32)
        return distinct

    def _encode(self, words: list[str], first_slot: int) -> None:
        ids_UC = encode_words(words, self._config.max_characters_per_token)
        slots_U = first_slot + np.arange(len(words))
        # Padding beyond one window of it changes nothing, so short words are cut short.
        is_short = spelled_lengths(ids_UC) + self._config.max_filter_width <= self._short
        for rows, width in (
            (np.flatnonzero(is_short), self._short),
            (np.flatnonzero(~is_short), ids_UC.shape[1]),
        ):
            while len(rows):
                size = _BATCHES[len(rows) > 3 * _BATCHES[0]]
                self._encode_batch(ids_UC[rows[:size], :width], slots_U[rows[:size]], size)
                rows = rows[size:]

    def _encode_batch(self, ids_UC: np.ndarray, slots_U: np.ndarray, size: int) -> None:
        missing = size - len(slots_U)
        self.vectors = _write_words(
            self._params,
            self.vectors,
            np.pad(ids_UC, ((0, missing), (0, 0)), mode="edge"),
            # A row beyond the table is dropped.
            np.pad(slots_U, (0, missing), constant_values=len(self.vectors)).astype(np.int32),
            self._config,
            self._precision,
        )


@functools.partial(jax.jit, static_argnames=("config", "precision"), donate_argnames=("vectors",))
def _write_words(
    params: Params,
    vectors: jax.Array,
    ids_UC: jax.Array,
    slots_U: jax.Array,
    config: ElmoConfig,
    precision: str,
) -> jax.Array:
    words_UP = BiLM(config, precision).apply({"params": params}, ids_UC, method="encode_words")
    return vectors.at[slots_U].set(words_UP, mode="drop")
