"""Copies and pickles of an Elmo, and of what holds one."""

import copy
import os
import pickle
import shutil

import jax
import numpy as np
import pytest

import elmo_jax
from elmo_jax.model.bilm import init_params
from elmo_jax.model.parameters import model_digest
from elmo_jax.pretrained import BUNDLED, fetch
from elmo_jax.ray import EmbedBatch

SENTENCES = [["The", "bank", "."], [], ["naïve"]]


@pytest.fixture(scope="module")
def tiny():
    config = elmo_jax.ElmoConfig.preset("tiny")
    return config, init_params(config, seed=0)


@pytest.fixture
def folder(tiny, tmp_path):
    elmo_jax.save(tmp_path / "tiny", *tiny)
    return tmp_path / "tiny"


def again(thing):
    return pickle.loads(pickle.dumps(thing))


def equal(elmo, other):
    for mine, theirs in zip(elmo.embed(SENTENCES), other.embed(SENTENCES), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_pickle_of_an_elmo_from_files_is_small_and_gives_the_same_vectors(folder):
    elmo = elmo_jax.Elmo(folder, precision="bfloat16")
    equal(again(elmo), elmo)
    assert again(elmo).precision == "bfloat16"
    assert len(pickle.dumps(elmo)) < 1000
    equal(again(again(elmo)), elmo)


def test_a_pickle_of_an_elmo_from_parameters_holds_them(tiny):
    elmo = elmo_jax.Elmo.from_params(*tiny)
    equal(again(elmo), elmo)
    equal(again(again(elmo)), elmo)


def test_a_pickle_knows_the_folder_from_any_other(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(folder.parent)
    elmo = elmo_jax.Elmo("tiny")
    pickled = pickle.dumps(elmo)
    monkeypatch.chdir(tmp_path.parent)
    equal(pickle.loads(pickled), elmo)


def test_two_files_are_named_by_a_pickle_too(make_model):
    folder, _ = make_model(0)
    files = {"options_file": folder / "options.json", "weight_file": folder / "weights.hdf5"}
    elmo = elmo_jax.Elmo(**files)
    equal(again(elmo), elmo)
    assert len(pickle.dumps(elmo)) < 1000


@pytest.mark.parametrize("name", [None, BUNDLED])
def test_a_pickle_of_a_named_model_says_nothing_of_this_machine(name):
    pickled = pickle.dumps(elmo_jax.Elmo(name))
    assert os.fsencode(fetch(BUNDLED)) not in pickled
    equal(pickle.loads(pickled), elmo_jax.Elmo())


def test_a_pickle_of_a_model_that_has_changed_is_refused(folder, tiny):
    elmo = elmo_jax.Elmo(folder)
    pickled = pickle.dumps(elmo)
    shutil.rmtree(folder)
    unusable = pickle.loads(pickled)  # an error here would leave a multiprocessing.Pool waiting
    for use in (lambda: unusable.embed(SENTENCES), lambda: unusable.config, unusable.forget_words):
        with pytest.raises(elmo_jax.ElmoError, match="no model"):
            use()
    assert not hasattr(unusable, "__len__")
    elmo_jax.save(folder, tiny[0], init_params(tiny[0], seed=1))
    with pytest.raises(elmo_jax.ElmoError, match=f"{folder} has changed since"):
        pickle.loads(pickled).embed(SENTENCES)
    elmo_jax.save(folder, *tiny, overwrite=True)  # the same content, whatever its time
    equal(pickle.loads(pickled), elmo)


def test_devices_are_kept_where_they_are_there(tiny):
    elmo = elmo_jax.Elmo.from_params(*tiny, devices=jax.devices()[:1])
    assert again(elmo)._devices == jax.devices()[:1]
    elsewhere = pickle.dumps(elmo).replace(jax.devices()[0].platform.encode(), b"xpu")
    equal(pickle.loads(elsewhere), elmo)
    assert pickle.loads(elsewhere)._devices is None


def test_a_subclass_stays_one(tiny):
    assert type(again(Mine.from_params(*tiny))) is Mine


class Mine(elmo_jax.Elmo):
    """Somebody's own."""


def test_a_copy_is_itself(tiny):
    elmo = elmo_jax.Elmo.from_params(*tiny)
    assert copy.copy(elmo) is copy.deepcopy(elmo) is copy.deepcopy({"a": [elmo]})["a"][0] is elmo


def test_a_stream_says_that_it_cannot_be_pickled(tiny):
    stream = elmo_jax.Elmo.from_params(*tiny).stream(SENTENCES)
    next(stream)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(stream)


def test_what_holds_an_elmo_is_pickled_with_it(folder):
    embed = EmbedBatch(folder)
    batch = {"text": np.array(["The bank .", "Hi"])}
    np.testing.assert_array_equal(again(embed)(batch)["vector"], embed(batch)["vector"])


def test_the_digest_of_a_model_is_that_of_its_content(tiny):
    config, params = tiny
    digest = model_digest(config, params)
    assert digest == model_digest(config, dict(reversed(params.items())))
    other = jax.tree.map(np.array, params)
    other["forward"]["layers_0"]["bias"][0] += 1
    assert digest != model_digest(config, other)
