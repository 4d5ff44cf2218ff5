"""model.safetensors: the parameters in the layout in which they are used.

The tensors are named by their paths in the tree, joined with dots, so that opening a model is
reading a file. float16 and bfloat16 tensors are widened to float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ..errors import ElmoError, first_few
from ..model.config import ElmoConfig
from ..model.parameters import Path, check_flat_params, flatten, unflatten
from .digests import in_threads, tensor_digest

_MOST_HEADER = 10**7
"""Bytes of the names and shapes. A model of a hundred layers has 100 kB."""

_FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}

_COPY_AGAIN = "The file is damaged or incomplete; copy it again."


def read_tensors(
    path: FilePath, source: str, config: ElmoConfig, digests: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The parameters of ``config`` from a file that errors call ``source``.

    ``digests`` has that of each tensor; None compares nothing.

    Raises:
        ElmoError: if the file is damaged, does not fit ``config``, has other digests, or has
            numbers that are not finite in float32.
    """
    try:
        _check_header(path)
        with safe_open(path, framework="np") as file:
            parts = {name: file.get_slice(name) for name in sorted(file.keys())}
            _check_parts(config, parts, source)  # before memory is claimed
            tensors = {name: file.get_tensor(name) for name in parts}
    except (SafetensorError, OSError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise ElmoError(f"Cannot read {source}: {error}. {_COPY_AGAIN}") from None
    if digests is not None:
        _check_digests(tensors, source, digests)
    arrays = in_threads(_as_float32, tensors.values())
    bad = [name for name, array in zip(tensors, arrays, strict=True) if array is None]
    if bad:
        raise ElmoError(f"{source} has NaN or infinite values in {', '.join(bad)}.")
    return unflatten(dict(zip(map(_path, tensors), arrays, strict=True)))


def _check_header(path: FilePath) -> None:
    """Raise OSError for a header that no model has, before memory is claimed for it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _MOST_HEADER:
            raise OSError(f"its header claims {length:,} bytes, expected at most {_MOST_HEADER:,}")


def _check_parts(config: ElmoConfig, parts: Mapping[str, Any], source: str) -> None:
    """Raise ElmoError unless these are tensors that ``config`` has, of floating-point numbers."""
    types = {name: part.get_dtype() for name, part in parts.items()}
    if bad := [f"{name} ({type})" for name, type in types.items() if type not in _FLOATS]:
        raise ElmoError(f"{source}: expected floating-point tensors, got {first_few(bad)}.")
    shapes = {_path(name): _Floats(tuple(part.get_shape())) for name, part in parts.items()}
    check_flat_params(config, shapes, source)


class _Floats(NamedTuple):
    """Stands for an array of floats that is not read yet."""

    shape: tuple[int, ...]
    dtype: np.dtype = np.dtype(np.float32)


def _path(name: str) -> Path:
    return tuple(name.split("."))  # no parameter's own name has a dot


def _check_digests(
    tensors: Mapping[str, np.ndarray], source: str, digests: Mapping[str, Any]
) -> None:
    actual = dict(zip(tensors, in_threads(tensor_digest, tensors.values()), strict=True))
    bad = sorted(name for name in {*actual, *digests} if actual.get(name) != digests.get(name))
    if bad:
        raise ElmoError(
            f"{source} is not what was saved with this model: config.json has other digests of "
            f"{first_few(bad)}. The file is damaged, or belongs to another model: copy the whole "
            "folder again. If you changed it yourself, open it with verify=False and save it."
        )


def _as_float32(array: np.ndarray) -> np.ndarray | None:
    """The numbers in float32; None if one of them is not finite there."""
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite
        numbers = array.astype(np.float32, copy=False)
    return numbers if np.isfinite(numbers).all() else None


def write_tensors(path: FilePath, params: dict[str, Any], dtype: str | None) -> dict[str, str]:
    """Write the parameters, converted to ``dtype`` if it is not None; the tensors' digests."""
    arrays = {".".join(path): np.asarray(leaf, order="C") for path, leaf in flatten(params).items()}
    if dtype is not None:
        arrays = {name: _converted(name, array, dtype) for name, array in arrays.items()}
    try:
        save_file(arrays, path)
    except SafetensorError as error:  # a full disk, for example
        raise OSError(str(error)) from None
    return dict(zip(arrays, in_threads(tensor_digest, arrays.values()), strict=True))


def _converted(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    # A larger number would become infinite without an error.
    highest, limit = float(np.abs(array).max(initial=0)), float(np.finfo(dtype).max)
    if highest > limit:
        raise ElmoError(f"{name} has numbers up to {highest:.3g}; {dtype} ends at {limit:.3g}.")
    return array.astype(dtype)
