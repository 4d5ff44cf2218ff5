"""Numbers are finite in float32, the type in which they are used, whatever type the file has."""

import h5py
import numpy as np
import pytest
from checkpoint_files import edit_datasets, message_of
from random_models import random_lexicon_model, random_model, write_lexicon_model, write_model
from tensor_bundles import Variable, variables_of, write_bundle
from torch_files import storage, stream, tensor, zipped

from elmo_jax import load

NAME = "CNN_proj/b_proj"  # [6]
NAN_BFLOAT16, HALF_BFLOAT16 = 0x7FC0, 0x3F00

BAD = {
    "float16 NaN": np.array([0, np.nan, 0, 0, 0, 0], np.float16),
    "float16 infinite": np.array([0, -np.inf, 0, 0, 0, 0], np.float16),
    "float32 NaN": np.array([0, np.nan, 0, 0, 0, 0], np.float32),
    "float64 beyond float32": np.array([0, 1e300, 0, 0, 0, 0], np.float64),
    "float64 just beyond float32": np.array([0, 3.41e38, 0, 0, 0, 0], np.float64),
}
GOOD = {
    "float16 subnormal": np.full(6, 6e-8, np.float16),
    "float32 subnormal": np.full(6, 1e-45, np.float32),
    "float64 that is 0 in float32": np.full(6, 1e-300, np.float64),
    "float64 within float32": np.full(6, 3.4e38, np.float64),
}
INTEGERS = {
    "int32": np.arange(6, dtype=np.int32),
    "int64": np.arange(6, dtype=np.int64),
}


def hdf5(folder, array):
    write_model(folder, *random_model(0))
    edit_datasets(folder / "weights.hdf5", {NAME: array})


def checkpoint(folder, array, dtype=None):
    options, weights = random_model(0)
    write_model(folder, options, {})
    (folder / "weights.hdf5").unlink()
    variables = {**variables_of(weights), f"lm/{NAME}": Variable(array, dtype=dtype)}
    write_bundle(folder / "model.ckpt-1", variables)


def module(folder, array):
    _, weights = random_model(0)
    variables = {**variables_of(weights, "bilm"), f"bilm/{NAME}": array}
    write_bundle(folder / "variables" / "variables", variables)


KINDS = {
    "float16": "Half",
    "float32": "Float",
    "float64": "Double",
    "int32": "Int",
    "int64": "Long",
}


def manylangs(folder, array, kind=None, container=stream):
    options, tensors, words, characters = random_lexicon_model(0)
    write_lexicon_model(folder, options, tensors, words, characters)
    own = {name: value for name, value in tensors.items() if "_layer_" not in name}
    own |= {name: value for name, value in tensors.items() if "emb_layer" in name}
    value, storages = {}, {}
    for key, (name, numbers) in enumerate(own.items()):
        replaced = name == "projection.bias"
        numbers = array if replaced else np.ascontiguousarray(numbers, np.float32)
        of_kind = (kind or KINDS[numbers.dtype.name]) if replaced else "Float"
        strides = tuple(step // numbers.itemsize for step in numbers.strides)
        value[name] = tensor(storage(str(key), numbers.size, of_kind), 0, numbers.shape, strides)
        storages[str(key)] = numbers
    (folder / "token_embedder.pkl").write_bytes(container(value, storages))


WRITERS = [hdf5, checkpoint, module, manylangs]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("name", BAD)
def test_numbers_that_are_not_finite_in_float32_are_refused(tmp_path, write, name):
    write(tmp_path / "m", BAD[name])
    assert "1 of 6 values are NaN or infinite" in message_of(load, tmp_path / "m")


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("name", GOOD)
def test_small_and_large_numbers_are_read(tmp_path, write, name):
    write(tmp_path / "m", GOOD[name])
    _, params = load(tmp_path / "m")
    encoder = "lexicon_encoder" if write is manylangs else "char_encoder"
    expected = GOOD[name].astype(np.float32)
    np.testing.assert_array_equal(params[encoder]["projection"]["bias"], expected)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("name", INTEGERS)
def test_whole_numbers_are_no_weights(tmp_path, write, name):
    write(tmp_path / "m", INTEGERS[name])
    assert f"dtype {name}, expected float32" in message_of(load, tmp_path / "m")


def test_a_bfloat16_that_is_no_number_is_refused(tmp_path):
    bits = np.full(6, HALF_BFLOAT16, np.uint16)
    checkpoint(tmp_path / "good", bits, dtype=14)
    bias = load(tmp_path / "good")[1]["char_encoder"]["projection"]["bias"]
    np.testing.assert_array_equal(bias, np.full(6, 0.5, np.float32))
    bits[3] = NAN_BFLOAT16
    checkpoint(tmp_path / "bundle", bits, dtype=14)
    manylangs(tmp_path / "stream", bits, "BFloat16")
    manylangs(tmp_path / "zip", bits, "BFloat16", zipped)
    for folder in ("bundle", "stream", "zip"):
        assert "1 of 6 values are NaN or infinite" in message_of(load, tmp_path / folder)


def test_a_fill_value_that_is_no_number_is_found(tmp_path):
    write_model(tmp_path / "m", *random_model(0))
    edit_datasets(tmp_path / "m" / "weights.hdf5", {NAME: None})
    with h5py.File(tmp_path / "m" / "weights.hdf5", "r+") as file:
        file.create_dataset(NAME, (6,), np.float32, fillvalue=np.nan, chunks=(3,))
        file[NAME][:3] = 1
    assert "only 1 of its 2 chunks were ever written" in message_of(load, tmp_path / "m")
