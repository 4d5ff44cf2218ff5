"""The HDF5 file of the published format: one float32 dataset for each parameter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..model.config import ElmoConfig
from ..model.parameters import datasets, flatten, token_layer_datasets
from .hdf5_arrays import HDF5_ERRORS, arrays_in, has_group, open_hdf5
from .stored_arrays import StoredArray, read_params

_LSTMS = "RNN_0"


def read_weights(weights: Path, config: ElmoConfig, name: str, options_name: str) -> dict[str, Any]:
    """The parameters of ``config`` as float32 NumPy arrays.

    If the file has the LSTMs and nothing of the token layer, as some that are used with a table of
    token vectors, the token layer is left out.

    One error has every problem of the file, which errors call ``name``, and the likely cause.
    """
    with open_hdf5(weights, name) as file:
        arrays = arrays_in(file, name)
        has_lstms = any(array.startswith(f"{_LSTMS}/") for array in arrays)
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
            return has_group(file, _LSTMS)
    except HDF5_ERRORS:
        return False


def _of_one_layer(arrays: dict[str, StoredArray]) -> dict[str, StoredArray]:
    """What bilm-tf's dump calls the only layer of a direction, under the name of a first layer."""
    only, first = "/RNN/LSTMCell/", "/RNN/MultiRNNCell/Cell0/LSTMCell/"
    return {name.replace(only, first): array for name, array in arrays.items()}
