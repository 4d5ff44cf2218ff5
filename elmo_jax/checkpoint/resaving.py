"""Saving a model that was opened, with all that is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ElmoError, ElmoWarning, warn
from .formats import VOCABULARY_FILE
from .opened import Opened
from .saving import write_model
from .softmax_words import check_vocabulary, open_vocabulary
from .sources import model_folder, resolve_files
from .vocabulary import Vocabulary


def save_opened(
    path: Path,
    opened: Opened,
    files: Mapping[str, Any],
    format: str = "native",
    *,
    dtype: str | None = None,
    overwrite: bool = False,
) -> None:
    """Save a model with its metadata, and with the words of its softmax if they can be found.

    ``files`` are the arguments of ``load`` with which it was opened; none if it was made in memory.

    Raises:
        ElmoError: as ``save`` does, or for words that are not those of the softmax.

    Warns:
        ElmoWarning: for a softmax without words.
    """
    has_softmax = "softmax" in opened.params
    place = _place(files) if has_softmax else None
    words = words_of(opened, files) if has_softmax else None
    write_model(
        path,
        opened.config,
        opened.params,
        format,
        words=words,
        words_record=opened.words_record if has_softmax else None,
        dtype=dtype,
        metadata=opened.metadata,
        overwrite=overwrite,
    )
    if has_softmax and words is None:
        nowhere = "" if place is None else f": there is no {VOCABULARY_FILE} beside {place}"
        warn(
            f"{path} has a softmax, but not its words{nowhere}. Put the {VOCABULARY_FILE} it was "
            f"trained with into {path} to evaluate or train the model.",
            ElmoWarning,
        )


def _place(files: Mapping[str, Any]) -> Path | None:
    """The folder, the archive or the weight file of the model, if it is still there."""
    if not files:
        return None
    source, _, weight_file = _named_files(files)
    if weight_file is not None:
        return Path(weight_file)
    try:
        return model_folder(source)
    except ElmoError:  # it was there when the model was opened
        return None


def words_of(opened: Opened, files: Mapping[str, Any]) -> Vocabulary | None:
    """The words of a model that was opened with these arguments of ``load``; None if unknown.

    They are those of its softmax. A model without a softmax has those that ``files`` name.

    Raises:
        ElmoError: for words that are not those of the softmax, or cannot be read.
    """
    place = _place(files)
    if place is None:
        return opened.vocabulary
    vocabulary_file = files.get("vocabulary_file")
    if vocabulary_file and not files.get("token_table"):  # else it is the table's
        words = Vocabulary.read(Path(vocabulary_file))
        if "softmax" in opened.params:
            check_vocabulary(opened.params, words, opened.words_record)
        return words
    _, options_file, _ = _named_files(files)
    return open_vocabulary(place, opened, Path(options_file) if options_file else None)


def _named_files(files: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    names = ("source", "options_file", "weight_file")
    return resolve_files(*(files.get(name) for name in names))
