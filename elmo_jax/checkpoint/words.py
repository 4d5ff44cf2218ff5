"""The words of a model's softmax: that they are those which it was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ElmoError, counted
from ..model.parameters import Params
from .native import CONFIG_FILE, is_native, read_vocabulary_record
from .vocabulary import Vocabulary

VOCABULARY_FILE = "vocab.txt"
"""Beside a model that has its softmax: the words of it, in the vocabulary format of bilm-tf."""

VOCABULARY_NAMES = (VOCABULARY_FILE, f"{VOCABULARY_FILE}.gz")
"""The file's name, and that which models of the NLPL repository may give it."""


def vocabulary_record(vocabulary: Vocabulary) -> dict[str, Any]:
    """What a native config.json keeps, to know the vocabulary again."""
    return {"size": len(vocabulary), "sha256": vocabulary.sha256}


def softmax_size(params: Params) -> int:
    """V, how many words the model's softmax has.

    Raises:
        ElmoError: if it has none.
    """
    if "softmax" not in params:
        raise ElmoError(
            "This model has no softmax (softmax/W and softmax/b), which the published models "
            "were given out without. Train or fine-tune it first: that gives it one."
        )
    return int(np.shape(params["softmax"]["bias"])[0])


def check_vocabulary(
    params: Params,
    vocabulary: Vocabulary,
    source: Path | None = None,
    name: str = "the vocabulary",
) -> None:
    """Raise ElmoError unless these are the words of the model's softmax.

    Args:
        params: of the model.
        vocabulary: the words.
        source: of the model. A native folder knows the hash of its words; of all others only
            their number can be checked.
        name: what to call the vocabulary in errors.
    """
    n_words = softmax_size(params)
    if not isinstance(vocabulary, Vocabulary):
        raise ElmoError(f"Expected {name} as a Vocabulary, got {type(vocabulary).__name__}.")
    if n_words != len(vocabulary):
        raise ElmoError(
            f"{_capital(name)} has {counted(len(vocabulary), 'word')}, but the model's softmax "
            f"has {n_words}. "
            "Expected the vocab.txt that was written beside the model."
        )
    record = read_vocabulary_record(source) if source is not None and is_native(source) else None
    if record is not None and record["sha256"] != vocabulary.sha256:
        raise ElmoError(
            f"{_capital(name)} is not the one of this model: {source}/{CONFIG_FILE} knows another "
            "hash of the words that its softmax was trained with. Expected the vocab.txt that was "
            "written beside the model."
        )


def _capital(name: str) -> str:
    return name.replace("the ", "The ", 1) if name.startswith("the ") else name
