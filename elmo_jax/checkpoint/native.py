"""The native format: a folder with config.json and model.safetensors.

The tensors are the parameters in the layout in which they are used, named by their paths joined
with dots, so that opening a model is reading a file. float16 and bfloat16 tensors are widened to
float32.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ..errors import ElmoError
from ..files import to_json
from ..model.config import ElmoConfig
from ..model.parameters import check_flat_params, flatten, unflatten
from .formats import FILES

CONFIG_FILE, WEIGHT_FILE = FILES["native"]
_VERSION = 1


def is_native(folder: Path) -> bool:
    """Whether ``folder`` holds the files of the native format."""
    return all((folder / name).is_file() for name in FILES["native"])


def read_native(folder: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    """Read a native folder; the parameters are float32 NumPy arrays."""
    config, weights = _read_config(folder), folder / WEIGHT_FILE
    try:
        tensors = dict(sorted(load_file(weights).items()))
    except (SafetensorError, OSError, TypeError, KeyError) as error:
        raise ElmoError(
            f"Cannot read {weights}: {error}. The file is damaged or incomplete; copy it again."
        ) from None
    # Safe to split, because no parameter's own name has a dot.
    flat = {tuple(name.split(".")): value for name, value in tensors.items()}
    check_flat_params(config, flat, str(weights))
    bad = [f"{name} ({value.dtype})" for name, value in tensors.items() if not _is_float(value)]
    if bad:
        raise ElmoError(f"{weights}: expected floating-point tensors, got {', '.join(bad)}.")
    bad = [name for name, value in tensors.items() if not np.isfinite(value).all()]
    if bad:
        raise ElmoError(f"{weights} has NaN or infinite values in {', '.join(bad)}.")
    params = {path: value.astype(np.float32, copy=False) for path, value in flat.items()}
    return config, unflatten(params)


def read_metadata(folder: Path) -> dict[str, Any]:
    """The remarks about a model, such as its origin; a model that is not native has none."""
    return dict(_read_json(folder / CONFIG_FILE).get("metadata", {})) if is_native(folder) else {}


def read_vocabulary_record(folder: Path) -> dict[str, Any] | None:
    """The size and hash of the softmax's vocabulary, if the model is native and has them."""
    path = folder / CONFIG_FILE
    record = _read_json(path).get("vocabulary") if is_native(folder) else None
    if record is not None and not (isinstance(record, dict) and {"size", "sha256"} <= set(record)):
        raise ElmoError(f"{path}: expected 'vocabulary' with size and sha256, got {record!r:.80}.")
    return record


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
        "config": dataclasses.asdict(config),
        "metadata": metadata,
        "vocabulary": vocabulary,
    }
    (folder / CONFIG_FILE).write_text(to_json(content, indent=2) + "\n", encoding="utf-8")
    arrays = {".".join(path): np.ascontiguousarray(leaf) for path, leaf in flatten(params).items()}
    if dtype is not None:
        arrays = {name: _converted(name, array, dtype) for name, array in arrays.items()}
    save_file(arrays, folder / WEIGHT_FILE)
    # safetensors ignores the umask: only the owner could read the file.
    shutil.copymode(folder / CONFIG_FILE, folder / WEIGHT_FILE)


def _converted(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    # A larger number would become infinite without an error.
    highest, limit = float(np.abs(array).max(initial=0)), float(np.finfo(dtype).max)
    if highest > limit:
        raise ElmoError(f"{name} has numbers up to {highest:.3g}; {dtype} ends at {limit:.3g}.")
    return array.astype(dtype)


def _read_config(folder: Path) -> ElmoConfig:
    path = folder / CONFIG_FILE
    content = _read_json(path)
    if content.get("format") != "elmo-jax" or content.get("version") != _VERSION:
        raise ElmoError(
            f"{path}: expected format 'elmo-jax' version {_VERSION}, got "
            f"{content.get('format')!r} version {content.get('version')!r}."
        )
    fields = content.get("config")
    if not isinstance(fields, dict):
        raise ElmoError(f"{path}: expected an object 'config', got {type(fields).__name__}.")
    names = {field.name for field in dataclasses.fields(ElmoConfig)}
    problems = [f"{name} is missing" for name in sorted(names - fields.keys())]
    problems += [f"{name} is unexpected" for name in sorted(fields.keys() - names)]
    if problems:
        raise ElmoError(f"{path}: its 'config' does not describe an ELMo: {'; '.join(problems)}.")
    try:
        return ElmoConfig(**fields)
    except ElmoError as error:
        raise ElmoError(f"{path}: {error}") from None


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"  # its NumPy kind is V


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ElmoError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ElmoError(f"{path}: expected a JSON object, got {type(content).__name__}.")
    return content
