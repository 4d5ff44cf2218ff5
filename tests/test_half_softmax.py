"""A softmax with only one of its parts, or with parts that do not fit, is refused when opened."""

import h5py
import numpy as np
import pytest
from checkpoint_files import message_of
from random_models import random_model, write_model
from tensor_bundles import variables_of, write_bundle

from elmo_jax import ElmoConfig, ElmoError, load, save
from elmo_jax.model.parameters import check_params

P = 6
SOFTMAXES = {
    "no bias": ((9, P), None),
    "no matrix": (None, (9,)),
    "another number of rows": ((9, P), (8,)),
    "another width": ((9, P + 1), (9,)),
    "turned": ((P, 9), (9,)),
    "no words": ((0, P), (0,)),
    "a bias in two dimensions": ((9, P), (9, 1)),
    "a number as a bias": ((9, P), ()),
}


def hdf5(folder, options, weights, softmax):
    write_model(folder, options, weights)
    with h5py.File(folder / "weights.hdf5", "r+") as file:
        for name, shape in softmax.items():
            file[name] = np.zeros(shape, np.float32)


def checkpoint(folder, options, weights, softmax):
    write_model(folder, options, {})
    (folder / "weights.hdf5").unlink()
    heads = {f"lm/{name}": np.zeros(shape, np.float32) for name, shape in softmax.items()}
    write_bundle(folder / "model.ckpt-1", {**variables_of(weights), **heads})


def module(folder, options, weights, softmax):
    heads = {f"bilm/{name}": np.zeros(shape, np.float32) for name, shape in softmax.items()}
    write_bundle(folder / "variables" / "variables", {**variables_of(weights, "bilm"), **heads})


WRITERS = [hdf5, checkpoint, module]


def softmax_of(kernel, bias):
    parts = {"softmax/W": kernel, "softmax/b": bias}
    return {name: shape for name, shape in parts.items() if shape is not None}


@pytest.mark.parametrize("words", [None, 9], ids=["no vocabulary", "vocabulary"])
@pytest.mark.parametrize("shapes", SOFTMAXES.values(), ids=SOFTMAXES)
@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_half_a_softmax_is_refused(tmp_path, write, shapes, words):
    write(tmp_path / "model", *random_model(0), softmax_of(*shapes))
    if words:
        lines = ["<S>", "</S>", "<UNK>", *"abcdef"]
        (tmp_path / "model" / "vocab.txt").write_text("\n".join(lines) + "\n")
    assert "softmax" in message_of(load, tmp_path / "model")


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_whole_softmax_is_read(tmp_path, write):
    write(tmp_path / "model", *random_model(0), softmax_of((9, P), (9,)))
    _, params = load(tmp_path / "model")
    assert params["softmax"]["kernel"].shape == (9, P)
    assert params["softmax"]["bias"].shape == (9,)


@pytest.mark.parametrize("kept", ["kernel", "bias"])
def test_half_a_softmax_in_parameters_is_refused(make_model, tmp_path, kept):
    config, params = load(make_model()[0])
    shape = (9, P) if kept == "kernel" else (9,)
    params = {**params, "softmax": {kept: np.zeros(shape, np.float32)}}
    assert "the softmax has its" in message_of(check_params, config, params)
    with pytest.raises(ElmoError, match="the softmax has its"):
        save(tmp_path / "saved", config, params)
    assert isinstance(config, ElmoConfig)
