"""Looking into model files, and comparing them bit for bit."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from elmo_jax import ElmoError
from elmo_jax.checkpoint import native_config
from elmo_jax.model.parameters import flatten


def read_datasets(path):
    """{name: array as stored} of an HDF5 file."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def edit_datasets(path, changes):
    """Replace datasets of an HDF5 file; None deletes one."""
    with h5py.File(path, "r+") as file:
        for name, array in changes.items():
            if name in file:
                del file[name]
            if array is not None:
                file[name] = array


def files_of(folder):
    """{name: content} of all files in a folder, those below it too."""
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def edit_json(path, change):
    """Let `change` alter the object in a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def edit_config(folder, change):
    """Let `change` alter the config.json of a native folder, which gets its digest anew."""
    path = Path(folder) / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(native_config.to_text(content), encoding="utf-8")


def assert_same_arrays(actual, expected):
    """The same names, shapes, dtypes and bits."""
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype, name
        assert actual[name].shape == array.shape, name
        assert actual[name].tobytes() == array.tobytes(), name


def assert_same_params(actual, expected):
    """The same tree, bit for bit, in float32."""
    actual, expected = flatten(actual), flatten(expected)
    assert {leaf.dtype for leaf in actual.values()} == {np.dtype(np.float32)}
    assert_same_arrays(actual, expected)


def message_of(function, *args, **kwargs):
    """The message of the ElmoError that a call ends in."""
    with pytest.raises(ElmoError) as caught:
        function(*args, **kwargs)
    return str(caught.value)
