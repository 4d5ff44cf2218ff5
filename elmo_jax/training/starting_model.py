"""Models with the words of their softmax: to use as a language model, or to start a run from."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

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
from ..model.parameters import check_params, model_digest
from .language_model import init_language_model, init_softmax

StartFrom = (
    str
    | os.PathLike[str]
    | tuple[ElmoConfig, dict[str, Any]]
    | tuple[ElmoConfig, dict[str, Any], Vocabulary]
)


def load_language_model(
    source: str | os.PathLike[str],
    vocabulary: Words | None = None,
) -> tuple[ElmoConfig, dict[str, Any], Vocabulary]:
    """Open a model with its softmax and the words of the softmax.

    Args:
        source: whatever ``elmo_jax.load`` opens.
        vocabulary: a Vocabulary, its words, or a file of them; None for the vocab.txt beside the
            model.

    Returns:
        The config, the parameters and the vocabulary, as ``evaluate``, ``score`` and
        ``substitutes`` take them, and ``train`` as ``start_from``.

    Raises:
        ElmoError: for a model without a softmax, or words that do not fit it: another number of
            words, or another hash than a native folder has recorded.

    Example:
        >>> model = load_language_model("mini")
        >>> score(*model, [["It", "works", "."]])
    """
    folder = model_folder(source)
    config, params = open_model(folder)
    softmax_size(params)  # a missing softmax is reported before a missing vocabulary
    if vocabulary is None:
        words = open_vocabulary(folder, params)
        if words is None:
            raise ElmoError(
                f"There is no vocabulary at {folder / VOCABULARY_FILE}. Expected the vocab.txt "
                "with which the model's softmax was trained; if it is elsewhere, name it with "
                "vocabulary=, in a command --vocabulary."
            )
    else:
        words = Vocabulary.of(vocabulary)
        check_vocabulary(params, words, folder)
    return config, params, words


class StartingModel(NamedTuple):
    """What a run starts from: an architecture, or a model to fine-tune."""

    config: ElmoConfig
    params: dict[str, Any] | None = None  # None for a new model
    vocabulary: Vocabulary | None = None  # the words of the softmax in params, if it has one

    @property
    def digest(self) -> str | None:
        """A hash of the model to fine-tune; None for a new model."""
        return None if self.params is None else model_digest(self.config, self.params)

    def initial_params(self, vocabulary: Vocabulary, seed: int) -> dict[str, Any]:
        """Parameters with a softmax over ``vocabulary``, to train.

        Words of the model's own softmax keep their rows. All others start anew; so do all words if
        the model has no softmax.
        """
        if self.params is None:
            return init_language_model(self.config, len(vocabulary), seed)
        # A table of word vectors is left out, because training the biLM makes it wrong.
        bilm = {name: part for name, part in self.params.items() if name != "word_embedding"}
        if self.vocabulary is not None and self.vocabulary.words == vocabulary.words:
            return bilm
        softmax: dict[str, Any] = dict(
            init_softmax(self.config, len(vocabulary), jax.random.key(seed))
        )
        if self.vocabulary is not None:
            softmax = _with_rows_of_known_words(
                softmax, vocabulary, self.params["softmax"], self.vocabulary
            )
        return {**bilm, "softmax": softmax}


def _with_rows_of_known_words(
    softmax: dict[str, Any],
    vocabulary: Vocabulary,
    old_softmax: dict[str, Any],
    old_vocabulary: Vocabulary,
) -> dict[str, Any]:
    kernel, bias = np.array(softmax["kernel"]), np.array(softmax["bias"])
    is_known = np.array([word in old_vocabulary for word in vocabulary.words])
    old_rows = old_vocabulary.ids([word for word in vocabulary.words if word in old_vocabulary])
    kernel[is_known] = old_softmax["kernel"][old_rows]
    bias[is_known] = old_softmax["bias"][old_rows]
    return {"kernel": kernel, "bias": bias}


def open_starting_model(source: StartFrom) -> StartingModel:
    """Open a model to fine-tune, with the vocabulary of its softmax if it has one.

    Raises:
        ElmoError: if there is no such model, or its softmax has no vocabulary or another one.
    """
    if isinstance(source, tuple):
        if len(source) not in (2, 3):
            raise ElmoError(
                "Expected start_from as (config, params) or (config, params, vocabulary), got "
                f"{len(source)} items."
            )
        config, params, vocabulary = (*source, None)[:3]
        check_params(config, params)
        if vocabulary is not None:
            check_vocabulary(params, vocabulary)
    else:
        folder = model_folder(source)
        config, params = open_model(folder)
        vocabulary = open_vocabulary(folder, params)
    if "softmax" in params and vocabulary is None:
        raise ElmoError(
            f"The model to start from has a softmax over {softmax_size(params)} words, and nothing "
            f"says which. Put its {VOCABULARY_FILE} into its folder; in Python, start_from is "
            "(config, params, vocabulary), or params without the softmax to begin a new one."
        )
    return StartingModel(config, dict(params), vocabulary)
