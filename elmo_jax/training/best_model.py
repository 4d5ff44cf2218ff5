"""The model of a run as it was at its best validation, and what models record of their training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..checkpoint import read_metadata, save
from ..checkpoint.vocabulary import Vocabulary
from ..errors import ElmoError, count_problem, number_problem
from ..model.config import ElmoConfig

CALL_FIELDS = ("tokens", "total_tokens", "seconds", "tokens_per_second")
"""Fields of a summary that belong to one call of train(), not to the run."""


def metadata_of(summary: dict[str, Any]) -> dict[str, Any]:
    """What a model records of the training that made it.

    Without the fields of one call: a resumed run writes the same bytes as an unbroken one.
    """
    left_out = (*CALL_FIELDS, "tokenized_with")
    training = {name: value for name, value in summary.items() if name not in left_out}
    metadata: dict[str, Any] = {"training": {**training, "tokens": summary["total_tokens"]}}
    if "tokenized_with" in summary:
        metadata["tokenizer"] = summary["tokenized_with"]
    return metadata


def write_if_best(
    folder: Path,
    config: ElmoConfig,
    params: dict[str, Any],
    vocabulary: Vocabulary,
    summary: dict[str, Any],
) -> None:
    """Write a model that was validated, unless one that was as good on that text is there."""
    best = best_validation(folder, summary["valid_text"])
    if best is None or summary["valid_perplexity"] < best["valid_perplexity"]:
        metadata = metadata_of(summary)
        save(folder, config, params, vocabulary=vocabulary, metadata=metadata, overwrite=True)


def best_validation(folder: Path, valid_text: str) -> dict[str, Any] | None:
    """What the model in the folder records; None if none is there that was validated on the text.

    The model speaks for itself, so that no other file can disagree with it.
    """
    try:
        training = read_metadata(folder).get("training")
    except ElmoError:  # damaged, which is as good as none
        return None
    if not isinstance(training, dict) or training.get("valid_text") != valid_text:
        return None
    bad_perplexity = number_problem(training.get("valid_perplexity"), "", positive=True)
    return None if bad_perplexity or count_problem(training.get("step"), "", 1) else training
