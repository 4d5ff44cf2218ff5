"""The words of a model's softmax: finding them, and checking that they are its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ElmoError, counted
from ..model.parameters import Params, softmax_problem
from . import native, published
from .containers.archives import archive_kind
from .containers.model_files import ModelFiles, open_files
from .formats import MODEL_FILES, VOCABULARY_NAMES
from .native import CONFIG_FILE
from .opened import Opened
from .published import HDF5_SUFFIXES, words_among
from .vocabulary import Vocabulary


def vocabulary_record(vocabulary: Vocabulary) -> dict[str, Any]:
    """What a native config.json says about the vocabulary, to recognize it later."""
    return {"size": len(vocabulary), "sha256": vocabulary.sha256}


def softmax_size(params: Params) -> int:
    """V, how many words the model's softmax has; ElmoError if it has none, or half of one."""
    softmax = params.get("softmax")
    if not softmax:
        raise ElmoError(
            "This model has no softmax (softmax/W and softmax/b): the published models come "
            "without it. Train or fine-tune the model first; that gives it one."
        )
    kernel, bias = (
        np.shape(softmax[name]) if name in softmax else None for name in ("kernel", "bias")
    )
    if problem := softmax_problem(kernel, bias):
        raise ElmoError(f"This model cannot be used: {problem}.")
    return int(np.shape(softmax["bias"])[0])


def check_record(params: Params, record: Mapping[str, Any] | None, source: object) -> None:
    """Raise ElmoError for a softmax with another number of words than its ``record`` says."""
    if record is None or "softmax" not in params:
        return
    n_words = softmax_size(params)
    if record["size"] != n_words:
        raise ElmoError(
            f"{source}: the softmax has {counted(n_words, 'word')}, but the record of its "
            f"vocabulary has {record['size']:,}. Its files belong to different models."
        )


def check_vocabulary(
    params: Params, vocabulary: Vocabulary, record: Mapping[str, Any] | None = None
) -> None:
    """Raise ElmoError unless these are the words of the model's softmax.

    ``record`` is what a native model says of its words; without it, only their number is checked.
    """
    n_words = softmax_size(params)
    if not isinstance(vocabulary, Vocabulary):
        kind = type(vocabulary).__name__
        raise ElmoError(f"Expected the vocabulary as a Vocabulary, got {kind}.")
    name = vocabulary.source
    if n_words != len(vocabulary):
        raise ElmoError(
            f"{name} has {counted(len(vocabulary), 'word')}, but the model's softmax "
            f"has {n_words}. Expected the vocab.txt that was written beside the model."
        )
    # Words in another order have the same number, but the softmax would be wrong for all of them.
    if record is not None and record["sha256"] != vocabulary.sha256:
        raise ElmoError(
            f"{name} is not the one of this model: its {CONFIG_FILE} has another hash of the "
            "words that its softmax was trained with. Expected the vocab.txt that was written "
            "beside the model."
        )


def open_vocabulary(source: Path, opened: Opened, options: Path | None = None) -> Vocabulary | None:
    """The words of a model's softmax: those in ``opened``, or vocab.txt(.gz) beside its files.

    If the files are links, the words may also lie beside the files that they lead to; in an
    archive, at its top. ``source`` is the folder or archive of the model, or its weight file, which
    belongs to the ``options`` file. None for a model without a softmax, or without such a file;
    ElmoError for one with other words.
    """
    if "softmax" not in opened.params:
        return None
    if opened.vocabulary is not None:
        return opened.vocabulary
    if source.is_file() and archive_kind(source):
        vocabulary = _words_in_archive(source)
    else:
        paths = (folder / name for folder in _folders(source, options) for name in VOCABULARY_NAMES)
        path = next(filter(Path.is_file, paths), None)
        vocabulary = None if path is None else Vocabulary.read(path)
    if vocabulary is not None:
        check_vocabulary(opened.params, vocabulary, opened.words_record)
    return vocabulary


def _folders(source: Path, options: Path | None) -> list[Path]:
    """Where the words of a model may lie, the likeliest folder first."""
    files = [source] if options is None else [source, options]
    folders = [path.parent for path in files]
    if source.is_dir():
        folders = [source]
        files = sorted(path for path in source.iterdir() if _is_of_a_model(path.name))
    return [*folders, *(path.resolve().parent for path in files)]


def _is_of_a_model(name: str) -> bool:
    return name in MODEL_FILES or name.endswith(HDF5_SUFFIXES)


def _words_in_archive(path: Path) -> Vocabulary | None:
    with open_files(path) as files:
        roots = files.roots()
        for root in (*filter(_holds_a_model, roots), roots[0]):
            if vocabulary := words_among(root):
                return vocabulary
    return None


def _holds_a_model(files: ModelFiles) -> bool:
    return native.recognizes(files) or published.recognizes(files)
