"""The native format: config.json and model.safetensors, in a folder or an archive.

A model with an alphabet also has alphabet.json, whose hash is in config.json.
The tensors are the parameters in the layout in which they are used, named by their paths joined
with dots, so that opening a model is reading a file. float16 and bfloat16 tensors are widened to
float32.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ..errors import ElmoError
from ..json_text import to_json
from ..model.alphabet import Alphabet
from ..model.config import ElmoConfig
from ..model.parameters import check_flat_params, flatten, unflatten
from .containers.archives import archive_kind
from .containers.model_files import ModelFiles, open_files
from .formats import ALPHABET_FILE, FILES
from .opened import Opened, config_from
from .vocabulary import Words

FORMAT = "native"
EXPECTED = "config.json and model.safetensors"

CONFIG_FILE, WEIGHT_FILE = FILES["native"]
_VERSION = 1
_MOST_JSON = 10**9
"""Bytes of a JSON file. An alphabet may have millions of words."""

_LATER_FIELDS = frozenset({"token_layer", "word_dim", "forced_projections"})
"""Fields that older files lack; their defaults say what those models are."""


def recognises(files: ModelFiles) -> bool:
    """Whether the files of the native format are there."""
    return {CONFIG_FILE, WEIGHT_FILE} <= set(files.names)


def read(files: ModelFiles, options: Mapping[str, Any], vocabulary: Words | None = None) -> Opened:
    """A model from its files; its metadata are the remarks. ``vocabulary`` is not needed."""
    content = files.read_json(CONFIG_FILE, _MOST_JSON)
    config = _config_of(files, content, options)
    weights, source = files.path(WEIGHT_FILE), files.label(WEIGHT_FILE)
    try:
        tensors = dict(sorted(load_file(weights).items()))
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        raise ElmoError(
            f"Cannot read {source}: {error}. The file is damaged or incomplete; copy it again."
        ) from None
    # Safe to split, because no parameter's own name has a dot.
    flat = {tuple(name.split(".")): value for name, value in tensors.items()}
    check_flat_params(config, flat, source)
    bad = [f"{name} ({value.dtype})" for name, value in tensors.items() if not _is_float(value)]
    if bad:
        raise ElmoError(f"{source}: expected floating-point tensors, got {', '.join(bad)}.")
    bad = [name for name, value in tensors.items() if not np.isfinite(value).all()]
    if bad:
        raise ElmoError(f"{source} has NaN or infinite values in {', '.join(bad)}.")
    params = {path: value.astype(np.float32, copy=False) for path, value in flat.items()}
    return Opened(config, unflatten(params), "native", remarks=content.get("metadata", {}))


def read_metadata(source: Path) -> dict[str, Any]:
    """The remarks about a model, such as its origin; a model that is not native has none."""
    return dict((_content_in(source) or {}).get("metadata", {}))


def read_vocabulary_record(source: Path) -> dict[str, Any] | None:
    """The size and hash of the softmax's vocabulary, if the model is native and has them."""
    record = (_content_in(source) or {}).get("vocabulary")
    if record is not None and not (isinstance(record, dict) and {"size", "sha256"} <= set(record)):
        path = source / CONFIG_FILE
        raise ElmoError(f"{path}: expected 'vocabulary' with size and sha256, got {record!r:.80}.")
    return record


def _content_in(source: Path) -> dict[str, Any] | None:
    """What config.json says, if it lies beside native weights in a folder or an archive."""
    if not source.is_dir() and not (source.is_file() and archive_kind(source)):
        return None
    with open_files(source) as files:
        native = next(filter(recognises, files.roots()), None)
        return None if native is None else native.read_json(CONFIG_FILE, _MOST_JSON)


def write_native(
    folder: Path,
    config: ElmoConfig,
    params: dict[str, Any],
    metadata: dict[str, Any],
    dtype: str | None,
    vocabulary: dict[str, Any] | None,
) -> None:
    """Write the two files of the native format, with the record of the softmax's vocabulary."""
    content = {
        "format": "elmo-jax",
        "version": _VERSION,
        "config": config.to_dict(),
        "metadata": metadata,
        "vocabulary": vocabulary,
    }
    if config.alphabet is not None:
        content["alphabet"] = {"sha256": config.alphabet.sha256}
        entries = {"words": config.alphabet.words, "characters": config.alphabet.characters}
        text = to_json(entries, indent=0) + "\n"
        (folder / ALPHABET_FILE).write_text(text, encoding="utf-8")
    (folder / CONFIG_FILE).write_text(to_json(content, indent=2) + "\n", encoding="utf-8")
    arrays = {".".join(path): np.asarray(leaf, order="C") for path, leaf in flatten(params).items()}
    if dtype is not None:
        arrays = {name: _converted(name, array, dtype) for name, array in arrays.items()}
    try:
        save_file(arrays, folder / WEIGHT_FILE)
    except SafetensorError as error:  # a full disk, for instance
        raise ElmoError(f"Cannot write {folder / WEIGHT_FILE}: {error}.") from None
    # safetensors ignores the umask: only the owner could read the file.
    shutil.copymode(folder / CONFIG_FILE, folder / WEIGHT_FILE)


def _converted(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    # A larger number would become infinite without an error.
    highest, limit = float(np.abs(array).max(initial=0)), float(np.finfo(dtype).max)
    if highest > limit:
        raise ElmoError(f"{name} has numbers up to {highest:.3g}; {dtype} ends at {limit:.3g}.")
    return array.astype(dtype)


def _config_of(
    files: ModelFiles, content: Mapping[str, Any], options: Mapping[str, Any]
) -> ElmoConfig:
    source = files.label(CONFIG_FILE)
    if content.get("format") != "elmo-jax" or content.get("version") != _VERSION:
        raise ElmoError(
            f"{source}: expected format 'elmo-jax' version {_VERSION}, got "
            f"{content.get('format')!r} version {content.get('version')!r}."
        )
    fields = content.get("config")
    if not isinstance(fields, dict):
        raise ElmoError(f"{source}: expected an object 'config', got {type(fields).__name__}.")
    names = {field.name for field in dataclasses.fields(ElmoConfig)} - {"alphabet"}
    problems = [f"{name} is missing" for name in sorted(names - fields.keys() - _LATER_FIELDS)]
    problems += [f"{name} is unexpected" for name in sorted(fields.keys() - names)]
    if problems:
        raise ElmoError(f"{source}: its 'config' does not describe an ELMo: {'; '.join(problems)}.")
    alphabet = _read_alphabet(files, content["alphabet"]) if content.get("alphabet") else None
    config, _ = config_from({**fields, "alphabet": alphabet}, (), options, source)
    return config


def _read_alphabet(files: ModelFiles, record: Any) -> Alphabet:
    if ALPHABET_FILE not in files.names:
        raise ElmoError(
            f"{files.label(CONFIG_FILE)} belongs to {ALPHABET_FILE}, the words and characters of "
            "the model, which is missing. Copy it, too."
        )
    source = files.label(ALPHABET_FILE)
    content = files.read_json(ALPHABET_FILE, _MOST_JSON)
    lists: list[Any] = [content.get(name) for name in ("words", "characters")]
    if not all(isinstance(entries, list) for entries in lists):
        raise ElmoError(f"{source}: expected two lists, 'words' and 'characters'.")
    try:
        alphabet = Alphabet(*lists)
    except ElmoError as error:
        raise ElmoError(f"{source}: {error}") from None
    if not isinstance(record, dict) or record.get("sha256") != alphabet.sha256:
        raise ElmoError(
            f"{source} is not the one of this model: {files.label(CONFIG_FILE)} has another hash "
            "of it. Copy the two files of one model."
        )
    return alphabet


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"  # its NumPy kind is V
