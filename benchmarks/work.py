"""How much arithmetic the vectors of a text need at least: what a per cent of the limit is of.

Only matrix products count, 2 operations for a multiplication with its addition; everything else
(gates, clips, maxima) is less than 1% at the published sizes. With character dimension E, filters
(k, n_k), F filters in all, W numbers of a word's own vector (0 but for ELMoForManyLangs), C
characters, P projection, H cell, a distinct word needs

* convolutions: 2·E·k·n_k at each position of a filter of width k that can decide the maximum. With
  s characters, both word markers included, these are min(s + 1, C - k + 1): the windows that
  overlap the word, and one that sees only padding, where there is room for it;
* each highway layer: two products, 2·2·F²;
* the projection: 2·(W + F)·P, unless F = P and it is left out;
* the input product of the first LSTM layer, in both directions: 2·(2·P·4H).

A token needs, in each of both directions,

* every LSTM layer: 2·P·4H for the state, and 2·H·P for its projection, unless H = P;
* every layer above the first: 2·P·4H more, for its input.

Sentence boundaries count nothing, because they are constants of the model, and padding counts
nothing. For one sentence alone, reading the weights takes the time instead (``weight_bytes``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from elmo_jax import ElmoConfig
from elmo_jax.model.spelling import spell


@dataclasses.dataclass(frozen=True)
class Work:
    """Floating-point operations for a text."""

    words: int  # the token layer, once for each distinct word
    input_products: int  # the first LSTM layer's input, once for each distinct word
    steps: int  # the LSTM layers' other products, for each token
    n_tokens: int
    n_words: int  # distinct ones

    @property
    def total(self) -> int:
        return self.words + self.input_products + self.steps

    def json(self) -> dict[str, float]:
        """Counts, and the work in GFLOP, ready for JSON."""
        return {
            "tokens": self.n_tokens,
            "distinct_words": self.n_words,
            "gflop_words": round(self.words / 1e9, 3),
            "gflop_input_products": round(self.input_products / 1e9, 3),
            "gflop_steps": round(self.steps / 1e9, 3),
            "gflop": round(self.total / 1e9, 3),
        }


def needed_work(config: ElmoConfig, sentences: Iterable[Sequence[str]]) -> Work:
    """The work for all layers' vectors of a text."""
    tokens = [word for sentence in sentences for word in sentence]
    words = sorted(set(tokens))
    n_characters_U = spell(words, config).lengths_U - config.word_columns
    return Work(
        words=sum(word_work(config, n) for n in n_characters_U.tolist()),
        input_products=len(words) * input_work(config),
        steps=len(tokens) * step_work(config, config.n_layers),
        n_tokens=len(tokens),
        n_words=len(words),
    )


def word_work(config: ElmoConfig, n_characters: int) -> int:
    """The token layer for one word of ``n_characters``, both markers included."""
    size, width = config.n_filters, config.max_characters_per_token
    projected = config.word_dim + size if config.has_token_projection else 0
    work = sum(
        2 * config.char_embedding_dim * k * number * min(n_characters + 1, width - k + 1)
        for k, number in config.filters
    )
    return work + config.n_highway * 2 * 2 * size**2 + 2 * projected * config.projection_dim


def input_work(config: ElmoConfig) -> int:
    """The first LSTM layer's input product for one word, both directions."""
    return 2 * 2 * config.projection_dim * 4 * config.cell_dim


def step_work(config: ElmoConfig, n_lstm_layers: int) -> int:
    """``n_lstm_layers`` LSTM layers for one token, both directions, without ``input_work``."""
    gates = 2 * config.projection_dim * 4 * config.cell_dim
    project = 2 * config.cell_dim * config.projection_dim if config.has_lstm_projection else 0
    return 2 * (n_lstm_layers * (gates + project) + (n_lstm_layers - 1) * gates)


def weight_bytes(config: ElmoConfig, n_tokens: int) -> int:
    """Bytes of float32 weights that one sentence alone reads: a state's kernels for every token."""
    width, size = config.projection_dim, config.n_filters
    token_layer = sum(config.char_embedding_dim * k * number for k, number in config.filters)
    token_layer += config.n_highway * 2 * size**2
    token_layer += (config.word_dim + size) * width if config.has_token_projection else 0
    # A product with one vector does two operations a weight.
    input_kernel = input_work(config) // 2
    others = step_work(config, config.n_layers) // 2 - (config.n_layers - 1) * input_kernel
    return 4 * (token_layer + config.n_layers * input_kernel + n_tokens * others)
