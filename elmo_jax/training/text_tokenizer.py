"""The tokenizer of a training text: what splits its lines, and what the model records of it.

Most training text is tokenized before, and its lines are split at whitespace. What raw text is to
be split with, when the model is used, is another thing, which the user or an older model may know.
"""

from __future__ import annotations

import dataclasses

from ..errors import ElmoError
from ..text.tokenizers import AUTO, FOR_TOKENIZED_TEXT, NAMES, check_plain_name, is_plain_name
from .settings import TrainingSettings


def with_model_tokenizer(settings: TrainingSettings, own: str | None) -> TrainingSettings:
    """The settings with what "auto" stands for: the ``own`` tokenizer of the model to fine-tune."""
    if settings.tokenizer != AUTO:
        return settings
    if own is None:
        raise ElmoError(
            "The tokenizer 'auto' is the one that the model to fine-tune has recorded, and there "
            f"is none: name the tokenizer, one of {', '.join(map(repr, NAMES))}."
        )
    return dataclasses.replace(settings, tokenizer=own)


def recorded_tokenizer(tokenized_with: str | None, splits: str, own: str | None) -> str | None:
    """The tokenizer that the model records, if one is known.

    Args:
        tokenized_with: what the user says of text that was tokenized before.
        splits: the name of what splits the lines of the text.
        own: what the model to fine-tune has recorded.

    Raises:
        ElmoError: if ``tokenized_with`` cannot be recorded, or not beside ``splits``.
    """
    if tokenized_with is not None:
        check_plain_name(tokenized_with)
    if splits in FOR_TOKENIZED_TEXT:
        return tokenized_with or own
    if tokenized_with not in (None, splits):
        raise ElmoError(
            f"The tokenizer {splits!r} makes the words of this text, so it was not tokenized with "
            f"{tokenized_with!r} before: leave out tokenized_with."
        )
    return splits if is_plain_name(splits) else None


def refuse_another_tokenizer(tokenized_with: str | None, recorded: str | None) -> None:
    """Raise ElmoError if a finished run is asked to record another tokenizer than it has."""
    if tokenized_with not in (None, recorded):
        raise ElmoError(
            f"The run has finished, and its model has recorded the tokenizer {recorded}, not "
            f"{tokenized_with}. For a copy that records another: "
            f"`elmo-jax convert MODEL -o OUT --format native --tokenized-with {tokenized_with}`."
        )
