"""Saving a model, in either format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from ..files import atomic_folder, standing_folder, to_json
from ..model.config import ElmoConfig
from ..model.parameters import Params, check_params
from .native import CONFIG_FILE, WEIGHT_FILE, write_native
from .published import write_weights
from .vocabulary import Vocabulary, Words
from .words import VOCABULARY_FILE, VOCABULARY_NAMES, check_vocabulary, vocabulary_record

FILES = {"native": (CONFIG_FILE, WEIGHT_FILE), "hdf5": ("options.json", "weights.hdf5")}
"""The formats, and the files that each of them has."""

FORMATS = tuple(FILES)

WEIGHT_NAMES = ("weights.hdf5", "model.hdf5")
"""What the weight file of a published folder may be called; the first of these that is there."""

# A vocabulary, or weights under another name, of a model that is gone would belong to no other.
REPLACED = (*FILES["native"], *FILES["hdf5"], *WEIGHT_NAMES, *VOCABULARY_NAMES)
"""Files of a folder that a new model in it replaces, or removes."""

DTYPES = ("float32", "float16")
"""What a native file may store; opened, a model is float32."""


def save(
    path: str | os.PathLike[str],
    config: ElmoConfig,
    params: Params,
    format: str = "native",
    *,
    vocabulary: Words | None = None,
    dtype: str | None = None,
    metadata: dict[str, Any] | None = None,
    words_record: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Save a model as a folder, which appears only when it is complete.

    Args:
        path: the folder.
        config: the architecture.
        params: the parameter tree, float32.
        format: "native" (config.json, model.safetensors), or "hdf5" (options.json,
            weights.hdf5), which bilm-tf, AllenNLP and simple_elmo read.
        vocabulary: the words of the softmax in its order, or a file of them; saved as vocab.txt.
            A native model keeps its hash, and is not evaluated or trained on with other words.
        dtype: of the numbers in a native file: "float16" takes half the room and rounds each to
            11 bits; None writes them as they are.
        metadata: JSON-ready remarks to keep in a native config.json, such as the origin.
        words_record: what a native config.json is to say of the softmax's words where they are not
            at hand, as ``read_vocabulary_record`` gives it.
        overwrite: replace the model in an existing folder, vocab.txt included. Other files in it
            stay.

    Raises:
        ElmoError: for an unknown format or dtype, numbers too large for float16, parameters
            that do not fit ``config``, a vocabulary that does not fit the softmax, a folder that
            has files already, or a disk that cannot take it.

    Example:
        >>> elmo_jax.save("my-elmo", config, params, format="hdf5")
    """
    if format not in FORMATS:
        raise ElmoError(f"Unknown format {format!r}: expected one of {', '.join(FORMATS)}.")
    possible = DTYPES if format == "native" else DTYPES[:1]
    if dtype is not None and dtype not in possible:
        raise ElmoError(
            f"Cannot write {dtype!r} numbers in the format {format!r}: expected "
            f"{' or '.join(possible)}."
        )
    check_params(config, params)
    words = None if vocabulary is None else Vocabulary.of(vocabulary)
    if words is not None:
        check_vocabulary(params, words)
        words_record = vocabulary_record(words)
    _refuse_other_format(Path(path), format)
    with atomic_folder(Path(path), overwrite=overwrite, replaced=REPLACED) as folder:
        if words is not None:
            words.write(folder / VOCABULARY_FILE)
        if format == "native":
            write_native(folder, config, dict(params), metadata or {}, dtype, words_record)
        else:
            options = to_json(config.to_options(), indent=2) + "\n"
            options_file, weight_file = (folder / name for name in FILES[format])
            options_file.write_text(options, encoding="utf-8")
            write_weights(weight_file, config, dict(params))


def _refuse_other_format(folder: Path, format: str) -> None:
    """Two models in one folder would be a trap: which of them opens depends on the reader."""
    for name in (name for other in FORMATS if other != format for name in FILES[other]):
        if (standing_folder(folder) / name).exists():
            raise ElmoError(
                f"{folder} holds a model in the other format ({name}). Choose another folder."
            )
