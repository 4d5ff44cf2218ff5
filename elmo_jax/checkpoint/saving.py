"""Save a model in either format."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ElmoError, ElmoWarning, did_you_mean, shortened, warn
from ..folders import atomic_folder, standing_folder
from ..json_text import to_json
from ..model.config import DTYPES, ElmoConfig, dtype_name
from ..model.parameters import Params, check_finite_params, check_params
from ..model.spelling import alphabet_of
from .formats import FILES, FORMATS, MODEL_FILES, VOCABULARY_FILE
from .hdf5_weights import write_weights
from .native import write_native
from .softmax_words import check_vocabulary, vocabulary_record
from .vocabulary import Vocabulary, Words


def save(
    path: str | os.PathLike[str],
    config: ElmoConfig,
    params: Params,
    format: str = "native",
    *,
    vocabulary: Words | None = None,
    dtype: Any = None,
    metadata: dict[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Save a model to a folder, which appears only when it is complete.

    Args:
        path: the folder.
        config: the architecture.
        params: the parameter tree, float32 arrays.
        format: "native" (config.json, model.safetensors); or "hdf5" (options.json, weights.hdf5),
            which bilm-tf, AllenNLP and simple_elmo read.
        vocabulary: the words of the softmax in its order, or a file with them; saved as vocab.txt.
            A native model refuses to be evaluated or trained with other words.
        dtype: "float32"; for "native" also "float16", which takes half the space and keeps 11
            significant bits.
        metadata: JSON-ready notes for a native config.json, such as where the model comes from.
            "tokenizer" names the one that made the words of the training text
            (``tokenizer_named``); ``tokenizer="auto"`` stands for it when the model is opened.
        overwrite: replace the model in an existing folder; other files stay.

    Raises:
        ElmoError: for an unknown format or dtype, numbers that are not finite or too large for
            float16, parameters that do not fit ``config``, a vocabulary that does not fit the
            softmax, metadata that JSON cannot hold, a folder that already has files, or a disk
            that cannot take the model.

    Example:
        >>> elmo_jax.save("my-elmo", config, params, format="hdf5")
    """
    words = None
    if vocabulary is not None:
        check_params(config, params)
        words = Vocabulary.of(vocabulary)
        check_vocabulary(params, words)
    write_model(
        Path(path),
        config,
        params,
        format,
        words=words,
        words_record=None,
        dtype=dtype,
        metadata=metadata or {},
        overwrite=overwrite,
    )


def write_model(
    path: Path,
    config: ElmoConfig,
    params: Params,
    format: str,
    *,
    words: Vocabulary | None,
    words_record: Mapping[str, Any] | None,
    dtype: Any,
    metadata: dict[str, Any],
    overwrite: bool,
) -> None:
    """Save a model with words that are already checked.

    Without its words, a native model may still have ``words_record``, which says what they were.
    """
    dtype = None if dtype is None else dtype_name(dtype)
    _check_format(format, dtype)
    check_params(config, params)
    check_finite_params(params)
    _refuse_other_format(path, format)
    # MODEL_FILES of the old model go; other files in the folder stay.
    with atomic_folder(path, overwrite=overwrite, replaced=MODEL_FILES) as folder:
        if words is None and format == "hdf5" and config.token_layer == "table":
            words = Vocabulary(alphabet_of(config).words)  # which names the rows of the table
        if words is not None:
            words.write(folder / VOCABULARY_FILE)
        if format == "native":
            record = words_record if words is None else vocabulary_record(words)
            write_native(folder, config, dict(params), metadata, dtype, record)
        else:
            _warn_of_losses(params)
            options = to_json(config.to_options(), indent=2) + "\n"
            options_file, weight_file = (folder / name for name in FILES[format])
            options_file.write_text(options, encoding="utf-8")
            write_weights(weight_file, config, dict(params))


def _check_format(format: str, dtype: str | None) -> None:
    if format not in FORMATS:
        raise ElmoError(
            f"Unknown format {shortened(format)}: expected one of {', '.join(FORMATS)}."
            f"{did_you_mean(format, FORMATS)}"
        )
    possible = DTYPES if format == "native" else DTYPES[:1]
    if dtype is not None and dtype not in possible:
        expected = " or ".join(possible)
        halves = format != "native" and dtype in DTYPES
        hint = f" format='native' can hold {dtype}." if halves else ""
        raise ElmoError(
            f"Cannot write {dtype!r} numbers in the format {format!r}: expected {expected}.{hint}"
        )


def _warn_of_losses(params: Params) -> None:
    extras = ("scalar_mixes", "output_projection", "alignment")
    if lost := [name.replace("_", " ") for name in extras if name in params]:
        warn(
            f"An HDF5 file has no place for the model's {', '.join(lost)}, which are left out. The "
            "native format keeps them.",
            ElmoWarning,
        )


def _refuse_other_format(folder: Path, format: str) -> None:
    # Which of two models in one folder opens would depend on the reader.
    for name in FILES["hdf5" if format == "native" else "native"]:
        if (standing_folder(folder) / name).exists():
            raise ElmoError(
                f"{folder} holds a model in the other format ({name}). Choose another folder."
            )
