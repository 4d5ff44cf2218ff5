"""The HDF5 file of the published format: one float32 dataset for each parameter."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from ..errors import ElmoError, counted
from ..model.config import ElmoConfig
from ..model.parameters import Dataset, datasets, flatten, unflatten

_HDF5_ERRORS = (OSError, RuntimeError, KeyError, TypeError, ValueError)
"""What h5py raises for a file with wrong bytes, depending on where they are."""

_DAMAGED = "the file is damaged; copy or download it again"
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_CELL = "RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell"


def read_weights(
    weights: Path | IO[bytes], config: ElmoConfig, name: str, options_name: str
) -> dict[str, Any]:
    """The parameters of ``config`` from a path or an open file, as float32 NumPy arrays.

    One error has every problem of the file ``name``, and the likely cause.
    """
    with _open_hdf5(weights, name) as file:
        try:
            in_file = _list_datasets(file)
        except _HDF5_ERRORS as error:
            raise _unreadable(name, _DAMAGED, error) from None
        shapes = {name: dataset.shape or () for name, dataset in in_file.items()}
        problems, flat, damaged = [], {}, False
        for dataset in datasets(config):
            try:
                array, problem = _read_dataset(in_file.pop(dataset.name, None), dataset)
            except _HDF5_ERRORS as error:
                array, problem, damaged = None, f"{dataset.name}: unreadable ({error})", True
            if problem:
                problems.append(problem)
            elif array is not None:
                flat.update(dataset.to_params(array))
        # What is left is not a parameter of this config: often a layer that the options lack.
        problems += [f"{name}: unexpected, shape {shapes[name]}" for name in in_file]
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise ElmoError(
            f"{name} does not fit {options_name} ({counted(len(problems), 'problem')}):{listed}\n"
            f"Likely cause: {_likely_cause(config, shapes, damaged)}"
        )
    return unflatten(flat)


def write_weights(path: Path, config: ElmoConfig, params: dict[str, Any]) -> None:
    """Write parameters as the HDF5 file that bilm-tf, AllenNLP and simple_elmo read."""
    flat = flatten(params)
    with h5py.File(path, "w") as file:
        for dataset in datasets(config):
            if all(part in flat for part in dataset.paths):  # else it is an optional one
                array = dataset.from_params(flat)
                file.create_dataset(dataset.name, data=array.astype(np.float32, copy=False))


def holds_an_elmo(path: Path) -> bool:
    """Whether an HDF5 file has the character table of an ELMo."""
    try:
        with h5py.File(path, "r") as file:
            return "char_embed" in file
    except _HDF5_ERRORS:
        return False


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
    datasets: dict[str, h5py.Dataset] = {}

    def visit(name: str | bytes, item: Any) -> None:
        if isinstance(item, h5py.Dataset):  # a name that is not UTF-8 comes as bytes
            datasets[name if isinstance(name, str) else repr(name)] = item

    file.visititems(visit)
    return datasets


def _read_dataset(
    dataset: h5py.Dataset | None, expected: Dataset
) -> tuple[np.ndarray | None, str | None]:
    """The content as float32, or what is wrong with it."""
    name, shape = expected.name, expected.shape
    if dataset is None:
        return None, None if expected.optional else f"{name}: missing, expected shape {shape}"
    if dataset.shape is None or not expected.fits(dataset.shape):
        return None, f"{name}: shape {dataset.shape}, expected {shape}"
    if dataset.dtype.kind != "f":
        return None, f"{name}: dtype {dataset.dtype}, expected float32"
    with np.errstate(over="ignore"):  # float64 beyond float32 is reported as infinite
        array = dataset[()].astype(np.float32, copy=False)
    n_bad = array.size - int(np.isfinite(array).sum())
    if n_bad:
        return None, f"{name}: {n_bad} of {array.size} values are NaN or infinite"
    return array, None


# Why a file does not fit: a guess from the shapes of its datasets


def _likely_cause(config: ElmoConfig, shapes: Mapping[str, tuple[int, ...]], damaged: bool) -> str:
    if damaged:
        return "the file is damaged; copy or download it again."
    if not any(name.startswith(("CNN", "RNN_0", "char_embed")) for name in shapes):
        return "this is not an ELMo weight file; none of its datasets has an ELMo's name."
    differences = [
        f"{field} {value} (the options say {getattr(config, field)})"
        for field, value in _fields_from_shapes(shapes).items()
        if getattr(config, field) != value
    ]
    if differences:
        return (
            "options and weights belong to different models; the weights were made with "
            f"{', '.join(differences)}."
        )
    return "the file was edited or written by another tool, or its training went wrong."


def _fields_from_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The config fields that the shapes of a weight file give away."""
    fields: dict[str, Any] = {}
    filters: list[tuple[int, int]] = []
    while len(shape := shapes.get(f"CNN/W_cnn_{len(filters)}", ())) == 4:
        filters.append((shape[1], shape[3]))
    if filters:
        fields["filters"] = tuple(filters)
    if len(embedding := shapes.get("char_embed", ())) == 2:
        fields["char_embedding_dim"] = embedding[1]
    fields["n_highway"] = len(fnmatch.filter(shapes, "CNN_high_*/W_carry"))
    fields["n_layers"] = len(fnmatch.filter(shapes, "RNN_0/*LSTMCell/W_0"))
    if len(bias := shapes.get(f"{_CELL}/B", ())) == 1:
        fields["cell_dim"] = bias[0] // 4  # one bias for each of the four gates
    if len(kernel := shapes.get(f"{_CELL}/W_0", ())) == 2:
        fields["projection_dim"] = kernel[0] // 2  # rows for the input, then for the hidden state
    return fields
