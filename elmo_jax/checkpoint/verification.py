"""What is known of a model that was opened: which files are what they were."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import pretrained
from ..errors import counted
from ..model.parameters import flatten
from .opened import Opened
from .softmax_words import open_vocabulary


def verification(path: Path, opened: Opened) -> dict[str, str]:
    """What was checked of a model, and how. Opening it has read all of it.

    Args:
        path: the folder, archive or checkpoint that was opened.
        opened: with its digests compared.

    Raises:
        ElmoError: if the words beside it are not those of its softmax, or a downloaded file is not
            what was published.
    """
    checked = dict(opened.compared)
    for name, is_known in pretrained.verify_cached(path).items():
        checked[name] = "its SHA-256, as published or downloaded" if is_known else "its size"
    if not checked:
        n_arrays = counted(len(flatten(opened.params)), "array")
        checked["weights"] = f"no digests; {n_arrays} of the right sizes, all numbers finite"
    words = open_vocabulary(path, opened)
    if words is not None:
        checked[Path(words.source).name] = _of_words(opened.words_record, len(words))
    return checked


def _of_words(record: Mapping[str, Any] | None, n_words: int) -> str:
    if record is not None:
        return "its digest"
    return f"no digest; {counted(n_words, 'word')}, as many as the softmax has"
