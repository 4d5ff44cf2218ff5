"""The published format: options.json beside one HDF5 file of float32 datasets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from ..errors import ElmoError, counted
from ..model.config import ElmoConfig
from ..model.parameters import Dataset, datasets, flatten, unflatten
from ..model.parameters import Path as ParamPath
from .diagnosis import likely_cause

DAMAGE = (OSError, RuntimeError, KeyError, TypeError, ValueError)
"""What h5py raises for a file with wrong bytes, depending on where they are."""

_DAMAGED = "the file is damaged; copy or download it again"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read_options(text: bytes, source: str) -> ElmoConfig:
    """An ElmoConfig from the content of an options.json.

    Raises:
        ElmoError: naming ``source``, if it is no JSON or describes no ELMo.
    """
    try:
        options = json.loads(text)
    except ValueError as error:
        raise ElmoError(
            f"{source} is not JSON ({error}); it starts with {text[:40]!r}. "
            "Expected the options.json that came with the weights."
        ) from None
    return ElmoConfig.from_options(options, source)


def read_published(
    options: bytes, weights: Path | IO[bytes], options_name: str, weights_name: str
) -> tuple[ElmoConfig, dict[str, Any]]:
    """Read a model in the published format.

    Args:
        options: content of options.json.
        weights: path of the HDF5 file, or the open file.
        options_name: what to call the options in errors.
        weights_name: what to call the weights in errors.

    Returns:
        The config, and the parameters as float32 NumPy arrays.

    Raises:
        ElmoError: one error with every problem of the weight file.
    """
    config = read_options(options, options_name)
    with _open_hdf5(weights, weights_name) as file:
        try:
            found = _list_datasets(file)
        except DAMAGE as error:
            raise _unreadable(weights_name, _DAMAGED, error) from None
        shapes = {name: dataset.shape or () for name, dataset in found.items()}
        problems, flat, damaged = [], {}, False
        for dataset in datasets(config):
            try:
                array, problem = _read_dataset(found.pop(dataset.name, None), dataset)
            except DAMAGE as error:
                array, problem, damaged = None, f"{dataset.name}: unreadable ({error})", True
            if problem:
                problems.append(problem)
            elif array is not None:
                flat.update(dataset.to_params(array))
        problems += [f"{name}: unexpected, shape {shapes[name]}" for name in found]
        if problems:
            listed = "".join(f"\n  {problem}" for problem in problems)
            raise ElmoError(
                f"{weights_name} does not fit {options_name} "
                f"({counted(len(problems), 'problem')}):{listed}\n"
                f"Likely cause: {likely_cause(config, shapes, damaged)}"
            )
    return config, unflatten(flat)


def write_weights(path: Path, config: ElmoConfig, params: dict[str, Any]) -> None:
    """Write parameters as the HDF5 file that bilm-tf, AllenNLP and simple_elmo read."""
    flat: dict[ParamPath, Any] = flatten(params)
    with h5py.File(path, "w") as file:
        for dataset in datasets(config):
            if all(part in flat for part in dataset.paths):
                array = dataset.from_params(flat)
                file.create_dataset(dataset.name, data=array.astype(np.float32, copy=False))


def _open_hdf5(weights: Path | IO[bytes], name: str) -> h5py.File:
    if isinstance(weights, Path) and not weights.is_file():
        raise ElmoError(f"Weight file {name} does not exist.")
    try:
        return h5py.File(weights, "r")
    except OSError as error:
        reason = str(error)
    beginning = _first_bytes(weights)
    if "truncated" in reason:
        cause = "the file is truncated; copy or download it again"
    elif beginning.startswith(_SIGNATURE):
        cause = _DAMAGED
    elif not beginning:
        cause = "the file is empty; copy or download it again"
    else:
        cause = f"it is not an HDF5 file: it starts with {beginning!r}"
    raise _unreadable(name, cause, reason)


def _unreadable(name: str, cause: str, reason: object) -> ElmoError:
    return ElmoError(f"Cannot read the weight file {name}: {cause}. [HDF5: {reason}]")


def _first_bytes(weights: Path | IO[bytes]) -> bytes:
    if isinstance(weights, Path):
        with weights.open("rb") as file:
            return file.read(24)
    weights.seek(0)
    return weights.read(24)


def _list_datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found: dict[str, h5py.Dataset] = {}

    def visit(name: str | bytes, item: Any) -> None:
        if isinstance(item, h5py.Dataset):  # h5py gives a name that is no UTF-8 as bytes
            found[name if isinstance(name, str) else repr(name)] = item

    file.visititems(visit)
    return found


def _read_dataset(
    found: h5py.Dataset | None, expected: Dataset
) -> tuple[np.ndarray | None, str | None]:
    """The content as float32, or what is wrong with it."""
    name, shape = expected.name, expected.shape
    if found is None:
        return None, None if expected.optional else f"{name}: missing, expected shape {shape}"
    if found.shape is None or expected.shape_problem(found.shape):
        return None, f"{name}: shape {found.shape}, expected {shape}"
    if found.dtype.kind != "f":
        return None, f"{name}: dtype {found.dtype}, expected float32"
    with np.errstate(over="ignore"):  # float64 beyond float32 is reported as infinite
        array = found[()].astype(np.float32, copy=False)
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        return None, f"{name}: {bad} of {array.size} values are NaN or infinite"
    return array, None
