"""The HDF5 file of the published format: one float32 dataset for each parameter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import ElmoError
from ..model.config import ElmoConfig
from ..model.parameters import datasets, flatten, token_layer_datasets
from .stored_arrays import StoredArray, UnreadableArray, read_params

HDF5_ERRORS = (OSError, RuntimeError, KeyError, TypeError, ValueError)
"""What h5py raises for a file with wrong bytes, depending on where they are."""

DAMAGED = "the file is damaged; copy or download it again"
"""Why, in an error, it cannot be read."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of every HDF5 file."""

_LSTMS = "RNN_0"


def read_weights(weights: Path, config: ElmoConfig, name: str, options_name: str) -> dict[str, Any]:
    """The parameters of ``config`` as float32 NumPy arrays.

    If the file has the LSTMs and nothing of the token layer, as some that are used with a table of
    token vectors, the token layer is left out.

    One error has every problem of the file, which errors call ``name``, and the likely cause.
    """
    with open_hdf5(weights, name) as file:
        try:
            arrays = {key: _stored(key, dataset) for key, dataset in _list_datasets(file)}
            has_lstms = _LSTMS in file
        except HDF5_ERRORS as error:
            raise unreadable(name, DAMAGED, error) from None
        of_token_layer = {dataset.name for dataset in token_layer_datasets(config)}
        only_lstms = has_lstms and of_token_layer.isdisjoint(arrays)
        named = _of_one_layer(arrays)
        return read_params(config, named, name, options_name, without_token_layer=only_lstms)


def write_weights(path: Path, config: ElmoConfig, params: dict[str, Any]) -> None:
    """Write parameters as the HDF5 file that bilm-tf, AllenNLP and simple_elmo read."""
    flat = flatten(params)
    with h5py.File(path, "w") as file:
        for dataset in datasets(config):
            if all(part in flat for part in dataset.paths):  # else it is an optional one
                array = dataset.from_params(flat)
                file.create_dataset(dataset.name, data=array.astype(np.float32, copy=False))


def holds_an_elmo(path: Path) -> bool:
    """Whether an HDF5 file has the LSTMs of an ELMo."""
    try:
        with h5py.File(path, "r") as file:
            return _LSTMS in file
    except HDF5_ERRORS:
        return False


def open_hdf5(weights: Path, name: str, kind: str = "weight file") -> h5py.File:
    """Open an HDF5 file, or raise ElmoError with the likely cause. Errors call it ``kind name``."""
    if not weights.is_file():
        raise ElmoError(f"{kind.capitalize()} {name} does not exist.")
    try:
        return h5py.File(weights, "r")
    except OSError as error:
        reason = str(error)
    beginning = _first_bytes(weights)
    if "truncated" in reason:
        cause = "the file is truncated; copy or download it again"
    elif beginning.startswith(SIGNATURE):
        cause = DAMAGED
    elif not beginning:
        cause = "the file is empty; copy or download it again"
    else:
        cause = f"it is not an HDF5 file: it starts with {beginning!r}"
    raise unreadable(name, cause, reason, kind)


def unreadable(name: str, cause: str, reason: object, kind: str = "weight file") -> ElmoError:
    """The error for an HDF5 file that cannot be read."""
    return ElmoError(f"Cannot read the {kind} {name}: {cause}. [HDF5: {reason}]")


def _first_bytes(weights: Path) -> bytes:
    with weights.open("rb") as file:
        return file.read(24)


def _list_datasets(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    datasets: list[tuple[str, h5py.Dataset]] = []

    def visit(name: str | bytes, item: Any) -> None:
        if isinstance(item, h5py.Dataset):  # a name that is not UTF-8 comes as bytes
            datasets.append((name if isinstance(name, str) else repr(name), item))

    file.visititems(visit)
    return datasets


def _stored(name: str, dataset: h5py.Dataset) -> StoredArray:
    def read() -> np.ndarray:
        try:
            return dataset[()]
        except HDF5_ERRORS as error:
            raise UnreadableArray(error) from None

    return StoredArray(name, dataset.shape, dataset.dtype.name, read)


def _of_one_layer(arrays: dict[str, StoredArray]) -> dict[str, StoredArray]:
    """What bilm-tf's dump calls the only layer of a direction, under the name of a first layer."""
    only, first = "/RNN/LSTMCell/", "/RNN/MultiRNNCell/Cell0/LSTMCell/"
    return {name.replace(only, first): array for name, array in arrays.items()}
