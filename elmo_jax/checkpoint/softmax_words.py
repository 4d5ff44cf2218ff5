"""The words of a model's softmax: finding them, and checking that they are its own."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..errors import ElmoError, counted
from ..model.parameters import Params
from .formats import MODEL_FILES, VOCABULARY_NAMES
from .native import CONFIG_FILE, read_vocabulary_record
from .published import HDF5_SUFFIXES, open_zip
from .vocabulary import Vocabulary


def vocabulary_record(vocabulary: Vocabulary) -> dict[str, Any]:
    """What a native config.json says about the vocabulary, to recognise it later."""
    return {"size": len(vocabulary), "sha256": vocabulary.sha256}


def softmax_size(params: Params) -> int:
    """V, how many words the model's softmax has.

    Raises:
        ElmoError: if the model has no softmax.
    """
    if "softmax" not in params:
        raise ElmoError(
            "This model has no softmax (softmax/W and softmax/b): the published models come "
            "without it. Train or fine-tune the model first; that gives it one."
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
        source: the model's folder or file. A native folder has the hash of its words; for others
            only the number of words can be checked.
        name: what errors call the vocabulary.
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
    record = None if source is None else read_vocabulary_record(source)
    # Words in another order have the same number, but the softmax would be wrong for all of them.
    if record is not None and record["sha256"] != vocabulary.sha256:
        raise ElmoError(
            f"{_capital(name)} is not the one of this model: {source}/{CONFIG_FILE} has another "
            "hash of the words that its softmax was trained with. Expected the vocab.txt that was "
            "written beside the model."
        )


def _capital(name: str) -> str:
    return name.replace("the ", "The ", 1) if name.startswith("the ") else name


def open_vocabulary(source: Path, params: Params, options: Path | None = None) -> Vocabulary | None:
    """The words of a model's softmax, from vocab.txt or vocab.txt.gz beside its files.

    If the files are links, the words may also lie beside the files that they lead to. In a zip
    they may also lie at its top.

    Args:
        source: the folder or zip of the model, or its weight file.
        params: of the model.
        options: the options file that belongs to the weight file.

    Returns:
        None for a model without a softmax, or without such a file.

    Raises:
        ElmoError: for a file that is not a vocabulary, or not that of this softmax.
    """
    if "softmax" not in params:
        return None
    if source.is_file() and zipfile.is_zipfile(source):
        name, content = _words_in_zip(source)
    else:
        name, content = _words_in_folders(_folders_of(source, options))
    if content is None:
        return None
    vocabulary = Vocabulary.from_bytes(content, name)
    check_vocabulary(params, vocabulary, source, name)
    return vocabulary


def _folders_of(source: Path, options: Path | None) -> list[Path]:
    """Where the words of a model may lie, the likeliest folder first."""
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if _is_of_a_model(path.name))
        return [source, *(path.resolve().parent for path in files)]
    files = [source] if options is None else [source, options]
    return [*(path.parent for path in files), *(path.resolve().parent for path in files)]


def _is_of_a_model(name: str) -> bool:
    return name in MODEL_FILES or name.endswith(HDF5_SUFFIXES)


def _words_in_folders(folders: list[Path]) -> tuple[str, bytes | None]:
    for path in (folder / name for folder in folders for name in VOCABULARY_NAMES):
        if path.is_file():
            try:
                return str(path), path.read_bytes()
            except OSError as error:
                raise ElmoError(f"Cannot read the vocabulary {path}: {error}") from None
    return "", None


def _words_in_zip(path: Path) -> tuple[str, bytes | None]:
    with open_zip(path) as archive:
        names = archive.namelist()
        options = next(name for name in names if PurePosixPath(name).name == "options.json")
        beside = [str(PurePosixPath(options).with_name(name)) for name in VOCABULARY_NAMES]
        for name in (*beside, *VOCABULARY_NAMES):
            if name in names:
                return f"{path}:{name}", archive.read(name)
    return "", None
