"""Language models, a biLM and its softmax each: opened, started anew, and run over a window."""

from __future__ import annotations

import functools
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..checkpoint import (
    VOCABULARY_FILE,
    Options,
    check_vocabulary,
    model_folder,
    open_source,
    open_vocabulary,
    softmax_size,
)
from ..checkpoint.vocabulary import Vocabulary, Words
from ..errors import ElmoError
from ..model.bilm import BiLM, BiLMState, init_params, zero_state
from ..model.config import ElmoConfig
from ..model.lstm import LSTMState
from ..model.parameters import DIRECTIONS, Params, check_params, model_digest
from .argument_types import check_config, path_problem, refuse
from .windows import Window

StartFrom = (
    str
    | os.PathLike[str]
    | tuple[ElmoConfig, dict[str, Any]]
    | tuple[ElmoConfig, dict[str, Any], Vocabulary]
)


def load_language_model(
    source: str | os.PathLike[str],
    vocabulary: Words | None = None,
    *,
    options: Options | None = None,
) -> tuple[ElmoConfig, dict[str, Any], Vocabulary]:
    """Open a model with its softmax and the words of the softmax.

    Args:
        source: anything that ``elmo_jax.load`` opens.
        vocabulary: a Vocabulary, a list of words, or a file with them; None for the vocab.txt
            beside the model.
        options: see ``elmo_jax.load``.

    Returns:
        The config, the parameters and the vocabulary, as ``evaluate``, ``score`` and
        ``substitutes`` take them, and ``train`` as ``start_from``.

    Raises:
        ElmoError: for a model without a softmax, or for words that do not fit it: their number, or
            the hash that a native folder has recorded, is different.

    Example:
        >>> model = load_language_model("mini")
        >>> score(*model, [["It", "works", "."]])
    """
    refuse([None if source is None else path_problem(source, "source")])
    folder = model_folder(source)
    # A model that reads whole words may have none of its own.
    words_file = vocabulary if isinstance(vocabulary, str | os.PathLike) else None
    choices: dict[str, Any] = {"vocabulary_file": words_file, "options": options}
    opened = open_source(folder, **choices, with_softmax=True)
    config, params = opened.config, opened.params
    softmax_size(params)  # a missing softmax is reported before a missing vocabulary
    if vocabulary is None:
        words = open_vocabulary(folder, opened)
        if words is None:
            raise ElmoError(
                f"There is no vocabulary at {folder / VOCABULARY_FILE}. Expected the vocab.txt "
                "with which the model's softmax was trained; if it is elsewhere, name it with "
                "vocabulary=."
            )
    else:
        words = Vocabulary.of(vocabulary)
        check_vocabulary(params, words, opened.words_record)
    return config, params, words


_MADE_FROM_LAYERS = ("word_embedding", "scalar_mixes", "output_projection", "alignment")
"""Parts of a model that are left out when it is trained, because training makes them wrong."""


class StartingModel(NamedTuple):
    """What a run starts from: an architecture, or a model to fine-tune."""

    config: ElmoConfig
    params: dict[str, Any] | None = None  # None for a new model
    vocabulary: Vocabulary | None = None  # the words of the softmax in params, if it has one
    tokenizer: str | None = None  # that of its training text, if it is recorded

    @property
    def digest(self) -> str | None:
        """A hash of the model to fine-tune; None for a new model."""
        return None if self.params is None else model_digest(self.config, self.params)

    def initial_params(self, vocabulary: Vocabulary, seed: int) -> dict[str, Any]:
        """Parameters with a softmax over ``vocabulary``, to train.

        Words of the model's own softmax, if it has one, keep their rows; others start anew.
        """
        if self.params is None:
            return init_language_model(self.config, len(vocabulary), seed)
        bilm = {name: part for name, part in self.params.items() if name not in _MADE_FROM_LAYERS}
        if self.vocabulary is not None and self.vocabulary.words == vocabulary.words:
            return bilm
        softmax = init_softmax(self.config, len(vocabulary), jax.random.key(seed))
        if self.vocabulary is None:
            return {**bilm, "softmax": softmax}
        is_known = np.array([word in self.vocabulary for word in vocabulary.words])
        old_rows = self.vocabulary.ids([w for w in vocabulary.words if w in self.vocabulary])
        rows = {name: np.array(array) for name, array in softmax.items()}
        for name, old_array in self.params["softmax"].items():
            rows[name][is_known] = old_array[old_rows]
        return {**bilm, "softmax": rows}


def open_starting_model(
    source: StartFrom | StartingModel, options: Options | None = None
) -> StartingModel:
    """Open a model to fine-tune, with the words of its softmax if it has one.

    ``options`` are those of ``elmo_jax.load``. Raises ElmoError if there is no such model, or its
    softmax has no vocabulary or another one.
    """
    if isinstance(source, StartingModel):
        return source
    if isinstance(source, tuple):
        if len(source) not in (2, 3):
            raise ElmoError(
                "Expected start_from as (config, params) or (config, params, vocabulary), got "
                f"{len(source)} items."
            )
        config, params, vocabulary = (*source, None)[:3]
        tokenizer = None
        check_config(config)
        check_params(config, params)
        if vocabulary is not None:
            check_vocabulary(params, vocabulary)
    else:
        refuse([path_problem(source, "start_from")])
        opened = open_source(source, options=options, with_softmax=True)
        config, params, tokenizer = opened.config, opened.params, opened.recorded_tokenizer
        vocabulary = open_vocabulary(model_folder(source), opened)
    if "softmax" in params and vocabulary is None:
        raise ElmoError(
            f"The model to start from has a softmax over {softmax_size(params)} words, and nothing "
            f"says which. Put its {VOCABULARY_FILE} into its folder; in Python, start_from is "
            "(config, params, vocabulary), or params without the softmax to begin a new one."
        )
    return StartingModel(config, dict(params), vocabulary, tokenizer)


# New parameters


def init_language_model(config: ElmoConfig, n_words: int, seed: int = 0) -> dict[str, Any]:
    """New random parameters of a biLM and its softmax over V = ``n_words``, as in bilm-tf."""
    softmax_key = jax.random.fold_in(jax.random.key(seed), 1)
    return {**init_params(config, seed), "softmax": init_softmax(config, n_words, softmax_key)}


def init_softmax(config: ElmoConfig, n_words: int, key: jax.Array) -> dict[str, jax.Array]:
    """A kernel [V, P] from N(0, 1/sqrt(P)), as in bilm-tf, and a bias [V] of zeros."""
    scale = config.projection_dim**-0.5
    kernel = scale * jax.random.normal(key, (n_words, config.projection_dim))
    return {"kernel": kernel, "bias": jnp.zeros(n_words)}


# A window of text


def initial_rows(config: ElmoConfig, n_rows: int, dtype: Any = jnp.float32) -> BiLMState:
    """The state of N rows before any text: zeros, [N, H] and [N, P] per layer."""
    return jax.tree.map(lambda leaf: jnp.zeros((n_rows, *leaf.shape), dtype), zero_state(config))


class Reading(NamedTuple):
    """How the text of a window is read."""

    dropout: float = 0.0  # share of each LSTM layer's input, and of the output, that is dropped
    reset_state: bool = False  # whether each sentence starts from zeros, not from the state before
    precision: str = "float32"  # of the matrix products


def read_window(
    params: Params,
    state: BiLMState,
    window: Window,
    *,
    config: ElmoConfig,
    reading: Reading,
    key: jax.Array | None = None,
) -> tuple[jax.Array, BiLMState]:
    """The outputs of the top layer, float32 [2, N, T, P], and the state of the rows after them.

    ``state`` is what the window before left. Only dropout needs a ``key``.
    """
    bilm = BiLM(config, reading.precision)
    words_UP: Any = bilm.apply({"params": params}, window, method=_encode)
    keys = None
    if reading.dropout:
        assert key is not None
        keys = jax.random.split(key, window.slots.shape[:2])
    fresh = window.fresh if reading.reset_state else jnp.zeros_like(window.fresh)
    outputs, states = [], []
    for number, name in enumerate(DIRECTIONS):
        read_row = functools.partial(_read_row, bilm, params, name, words_UP, reading.dropout)
        keys_N = None if keys is None else keys[number]
        rows = (window.slots[number], fresh[number], state[number], keys_N)
        output, after = jax.vmap(read_row, (0, 0, 0, None if keys is None else 0))(*rows)
        outputs.append(output)
        states.append(after)
    return jnp.stack(outputs), BiLMState(*states)


def _encode(bilm: BiLM, window: Window) -> jax.Array:
    """The vectors of the window's distinct words, short ones first."""
    parts = [bilm.encode_words(part) for part in (window.short_UC, window.long_UC)]
    return jnp.concatenate(parts)


def _read_row(
    bilm: BiLM,
    params: Params,
    direction: str,
    words_UP: jax.Array,
    dropout: float,
    slots_T: jax.Array,
    fresh_T: jax.Array,
    state: tuple[LSTMState, ...],
    key: jax.Array | None,
) -> tuple[jax.Array, tuple[LSTMState, ...]]:
    """The top layer's output of one direction over one row, and the state after it."""

    def read(bilm: BiLM) -> tuple[jax.Array, tuple[LSTMState, ...]]:
        stack = getattr(bilm, direction)
        zeros = jax.tree.map(jnp.zeros_like, state)
        outputs, after = stack(words_UP[slots_T], state, zeros, fresh_T, dropout_rate=dropout)
        return stack.drop(outputs[-1], dropout), after

    rngs = None if key is None else {"dropout": key}
    result: Any = bilm.apply({"params": params}, method=read, rngs=rngs)
    return result
