"""Opening a model with the words of its softmax, to use it as a language model or to tune it."""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np

from ..checkpoint import (
    VOCABULARY_FILE,
    check_vocabulary,
    model_folder,
    open_model,
    open_vocabulary,
    softmax_size,
)
from ..checkpoint.vocabulary import Vocabulary, Words
from ..errors import ElmoError
from ..model.config import ElmoConfig
from ..model.parameters import check_params
from .language_model import init_softmax

Source = (
    str
    | os.PathLike[str]
    | tuple[ElmoConfig, dict[str, Any]]
    | tuple[ElmoConfig, dict[str, Any], Vocabulary]
)


def load_language_model(
    source: str | os.PathLike[str],
    vocabulary: Words | None = None,
) -> tuple[ElmoConfig, dict[str, Any], Vocabulary]:
    """Open a model with its softmax and the words of that.

    Args:
        source: all that ``elmo_jax.load`` opens.
        vocabulary: a Vocabulary, its words, or a file of them; None for the vocab.txt beside the
            model.

    Returns:
        What ``evaluate``, ``score`` and ``substitutes`` take, and ``train`` as ``start_from``.

    Raises:
        ElmoError: for a model without a softmax, or words that are not those of its softmax:
            of another number, or of another hash than a native folder knows.

    Example:
        >>> model = load_language_model("mini")
        >>> score(*model, [["It", "works", "."]])
    """
    folder = model_folder(source)
    config, params = open_model(folder)
    softmax_size(params)  # so that a model without one is told first
    if vocabulary is None:
        words = open_vocabulary(folder, params)
        if words is None:
            raise ElmoError(
                f"There is no vocabulary at {folder / VOCABULARY_FILE}. Expected the vocab.txt "
                "with which the model's softmax was trained; vocabulary=, in a command "
                "--vocabulary, names it elsewhere."
            )
    else:
        words = Vocabulary.of(vocabulary)
        is_file = isinstance(vocabulary, str | os.PathLike)
        check_vocabulary(params, words, folder, str(vocabulary) if is_file else "the vocabulary")
    return config, params, words


def open_start(source: Source) -> tuple[ElmoConfig, dict[str, Any], Vocabulary | None]:
    """A model to fine-tune, and the vocabulary of its softmax where that is known.

    Args:
        source: all that ``elmo_jax.load`` opens, (config, params) or (config, params, vocabulary).

    Raises:
        ElmoError: if there is no such model, or it has a softmax and its vocabulary is not known,
            or not that of this softmax.
    """
    if isinstance(source, tuple):
        if len(source) not in (2, 3):
            raise ElmoError(
                "Expected start_from as (config, params) or (config, params, vocabulary), got "
                f"{len(source)} items."
            )
        config, params, known = (*source, None)[:3]
        check_params(config, params)
        if known is not None:
            check_vocabulary(params, known)
    else:
        folder = model_folder(source)
        config, params = open_model(folder)
        known = open_vocabulary(folder, params)
    if "softmax" in params and known is None:
        raise ElmoError(
            f"The model to start from has a softmax over {softmax_size(params)} words, and nothing "
            f"says which. Put its {VOCABULARY_FILE} into its folder; in Python, start_from is "
            "(config, params, vocabulary), or params without softmax to begin a new one."
        )
    return config, dict(params), known


def fit_softmax(
    config: ElmoConfig,
    params: dict[str, Any],
    known: Vocabulary | None,
    vocabulary: Vocabulary,
    seed: int,
) -> dict[str, Any]:
    """The parameters with a softmax over ``vocabulary``.

    Words that the model's own softmax knows keep their rows; the others, or all of them in a
    model without a softmax, start anew. A table of word vectors is left out: training the
    biLM would make it wrong.

    Args:
        config: the architecture.
        params: of the model.
        known: the vocabulary of its softmax, if it has one.
        vocabulary: the one to train with.
        seed: for new rows.
    """
    n_words = len(vocabulary)
    parts = {name: part for name, part in params.items() if name != "word_embedding"}
    old = params.get("softmax")
    if old is not None and known is not None and known.words == vocabulary.words:
        return parts
    new: dict[str, Any] = dict(init_softmax(config, n_words, jax.random.key(seed)))
    if old is not None and known is not None:
        kernel, bias = np.array(new["kernel"]), np.array(new["bias"])
        there = np.array([word in known for word in vocabulary.words])
        rows = known.ids([word for word in vocabulary.words if word in known])
        kernel[there], bias[there] = old["kernel"][rows], old["bias"][rows]
        new = {"kernel": kernel, "bias": bias}
    return {**parts, "softmax": new}
