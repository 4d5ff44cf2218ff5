"""How much arithmetic the vectors of a text need at least: the measure for "per cent of the limit".

Counted are matrix products, 2 operations for a multiplication with its addition. Left out is the
elementwise rest (gates, clips, maxima: less than 1% of it at the published sizes). For a model with
character dimension E, filters (k, n_k), F filters in all, P projection, H cell:

A distinct word, whose spelling with both word markers takes s of C characters:

* convolutions: 2·E·k·n_k for each position of each width k that can decide the maximum: the windows
  that overlap the spelling, and one that sees padding only where there is room for it:
  min(s + 1, C - k + 1) positions;
* a highway layer: two products, 2·2·F²;
* the projection: 2·F·P, unless F = P;
* the input product of the first LSTM layer, in both directions: 2·(2·P·4H).

A token, in each of both directions:

* every LSTM layer: 2·P·4H for the state, and 2·H·P for its projection, unless H = P;
* every layer above the first: 2·P·4H more, for its input.

Nothing is counted for sentence boundaries, which are constants of the model, nor for padding; no
LSTM layer above the highest that is asked for. The state's product is counted for every token, also
for a sentence's first, where it is a constant that an implementation could keep.

For one sentence alone the arithmetic is little, and the weights are what takes the time: those of a
layer's state and projection are read for every token, the others at least once a sentence.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from elmo_jax import ElmoConfig
from elmo_jax.model.characters import encode_words, spelled_lengths

_DIRECTIONS = 2


@dataclasses.dataclass(frozen=True)
class Work:
    """Floating-point operations, by what they are for.

    Attributes:
        words: the token layer, once a distinct word.
        input_products: of the first LSTM layer, once a distinct word.
        steps: the LSTM layers' other products, every token.
        n_tokens: tokens that they give vectors of.
        n_words: distinct words among them.
    """

    words: int
    input_products: int
    steps: int
    n_tokens: int
    n_words: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.words + self.input_products + self.steps

    def json(self) -> dict[str, float]:
        """In GFLOP, ready for JSON."""
        return {
            "tokens": self.n_tokens,
            "distinct_words": self.n_words,
            "gflop_words": round(self.words / 1e9, 3),
            "gflop_input_products": round(self.input_products / 1e9, 3),
            "gflop_steps": round(self.steps / 1e9, 3),
            "gflop": round(self.total / 1e9, 3),
        }


def needed_work(
    config: ElmoConfig, sentences: Iterable[Sequence[str]], n_output_layers: int | None = None
) -> Work:
    """The work that all vectors of a text need.

    Args:
        config: the architecture.
        sentences: the text.
        n_output_layers: layers asked for, from the token layer up; all if None.
    """
    n_lstm = (config.n_output_layers if n_output_layers is None else n_output_layers) - 1
    words: dict[str, None] = {}
    n_tokens = 0
    for sentence in sentences:
        words.update(dict.fromkeys(sentence))
        n_tokens += len(sentence)
    width = config.max_characters_per_token
    spelled = spelled_lengths(encode_words(list(words), width)).tolist()
    return Work(
        words=sum(word_work(config, n_characters) for n_characters in spelled),
        input_products=len(words) * input_work(config) if n_lstm else 0,
        steps=n_tokens * step_work(config, n_lstm),
        n_tokens=n_tokens,
        n_words=len(words),
    )


def word_work(config: ElmoConfig, n_characters: int) -> int:
    """The token layer for one word, spelled with ``n_characters``, both markers included."""
    size, width = config.n_filters, config.max_characters_per_token
    work = sum(
        2 * config.char_embedding_dim * k * number * min(n_characters + 1, width - k + 1)
        for k, number in config.filters
    )
    work += config.n_highway * 2 * 2 * size**2
    return work + (2 * size * config.projection_dim if config.has_token_projection else 0)


def input_work(config: ElmoConfig) -> int:
    """The first LSTM layer's input product for one word, in both directions."""
    return _DIRECTIONS * 2 * config.projection_dim * 4 * config.cell_dim


def step_work(config: ElmoConfig, n_lstm_layers: int) -> int:
    """``n_lstm_layers`` LSTM layers for one token, without the first one's input product."""
    if not n_lstm_layers:
        return 0
    gates = 2 * config.projection_dim * 4 * config.cell_dim
    project = 2 * config.cell_dim * config.projection_dim if config.has_lstm_projection else 0
    return _DIRECTIONS * (n_lstm_layers * (gates + project) + (n_lstm_layers - 1) * gates)


def weight_bytes(config: ElmoConfig, n_tokens: int) -> int:
    """Float32 weights that one sentence alone has to read, all layers, if no word is known."""
    width, size = config.projection_dim, config.n_filters
    token_layer = sum(config.char_embedding_dim * k * number for k, number in config.filters)
    token_layer += config.n_highway * 2 * size**2
    token_layer += size * width if config.has_token_projection else 0
    # A product with one vector does two operations a weight.
    input_kernel = input_work(config) // 2
    others = step_work(config, config.n_layers) // 2 - (config.n_layers - 1) * input_kernel
    return 4 * (token_layer + config.n_layers * input_kernel + n_tokens * others)
