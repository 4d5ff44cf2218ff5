"""What a run starts from: new weights, or those of a model that is there already."""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np

from ..checkpoint import VOCABULARY_FILE
from ..config import ElmoConfig
from ..errors import ElmoError
from ..loading import load, model_folder
from .language_model import init_softmax
from .vocabulary import Vocabulary

Source = str | os.PathLike[str] | tuple[ElmoConfig, dict[str, Any]]


def open_start(source: Source) -> tuple[ElmoConfig, dict[str, Any], Vocabulary | None]:
    """A model to fine-tune, and the vocabulary of its softmax where a file beside it names it.

    Args:
        source: all that ``elmo_jax.load`` opens, or (config, params).
    """
    if isinstance(source, tuple):
        return source[0], dict(source[1]), None
    config, params = load(source)
    words = model_folder(source) / VOCABULARY_FILE
    known = Vocabulary.read(words) if words.is_file() and "softmax" in params else None
    return config, params, known


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
        known: the vocabulary of its softmax.
        vocabulary: the one to train with.
        seed: for new rows.

    Raises:
        ElmoError: if the model has a softmax of another size and nothing says of which words.
    """
    n_words = len(vocabulary)
    parts = {name: part for name, part in params.items() if name != "word_embedding"}
    old = params.get("softmax")
    if old is not None and known is None:
        if np.shape(old["bias"])[0] == n_words:
            return parts
        raise ElmoError(
            f"The model to start from has a softmax over {np.shape(old['bias'])[0]} words, and no "
            f"{VOCABULARY_FILE} beside it says which; the training vocabulary has {n_words}. Put "
            f"its {VOCABULARY_FILE} into its folder."
        )
    new: dict[str, Any] = dict(init_softmax(config, n_words, jax.random.key(seed)))
    if old is not None and known is not None:
        kernel, bias = np.array(new["kernel"]), np.array(new["bias"])
        there = np.array([word in known for word in vocabulary.words])
        rows = known.ids([word for word in vocabulary.words if word in known])
        kernel[there], bias[there] = old["kernel"][rows], old["bias"][rows]
        new = {"kernel": kernel, "bias": bias}
    return {**parts, "softmax": new}
