"""`save_pretrained`: what an Elmo was opened with comes back from the folder it was saved to."""

import copy
import json
import pickle
import shutil

import jax
import numpy as np
import pytest
from checkpoint_files import assert_same_params, files_of, message_of

import elmo_jax
from elmo_jax import ElmoConfig
from elmo_jax.checkpoint import read_metadata
from elmo_jax.model.bilm import init_params

SENTENCES = [["The", "bank", "."], [], ["naïve"]]


@pytest.fixture(scope="module")
def tiny():
    config = ElmoConfig.preset("tiny")
    return config, jax.tree.map(np.asarray, init_params(config, seed=0))


def with_extras(config, params):
    """The model with all that a task may add to it, and a softmax."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    return {
        **params,
        "scalar_mixes": {"0": {"weights": normal(3), "gamma": normal()}},
        "output_projection": {"kernel": normal(5, config.output_dim), "bias": normal(5)},
        "alignment": {"layer_1": normal(config.output_dim, config.output_dim)},
        "softmax": {"kernel": normal(7, config.projection_dim), "bias": normal(7)},
    }


def assert_same(elmo, other, **choices):
    """The same bits from fresh word tables, and the same words from text."""
    elmo.forget_words()
    other.forget_words()
    for mine, theirs in zip(
        elmo.embed(SENTENCES, **choices), other.embed(SENTENCES, **choices), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs)
    assert elmo.tokenizer == other.tokenizer and elmo.config == other.config


def config_of(folder):
    return json.loads((folder / "config.json").read_text("utf-8"))


def saved_again(elmo, folder):
    elmo.save_pretrained(folder)
    return elmo_jax.Elmo.from_pretrained(folder)


def test_mini_keeps_its_words_and_all_that_it_says_of_itself(tmp_path):
    elmo = elmo_jax.Elmo()
    again = saved_again(elmo, tmp_path / "mini")
    assert_same_params(again.params, elmo.params)
    assert again.tokenizer == elmo.tokenizer == "treebank"
    package = elmo_jax.pretrained.fetch("mini")
    assert read_metadata(tmp_path / "mini") == read_metadata(package) != {}
    words = (package / "vocab.txt").read_bytes()
    assert (tmp_path / "mini" / "vocab.txt").read_bytes() == words
    assert config_of(package)["vocabulary"] == config_of(tmp_path / "mini")["vocabulary"]


@pytest.mark.filterwarnings("ignore:.*not its words:elmo_jax.ElmoWarning")
@pytest.mark.parametrize("layers", ["all", "mix"])
def test_what_a_task_has_trained_is_kept(tiny, tmp_path, layers):
    params = with_extras(*tiny)
    elmo = elmo_jax.Elmo.from_params(tiny[0], params)
    again = saved_again(elmo, tmp_path / "tiny")
    assert_same_params(again.params, params)
    assert_same(again, elmo, layers=layers)


def test_an_alignment_that_was_given_is_kept(make_model, tmp_path):
    folder, _ = make_model(0)
    matrix = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
    elmo = elmo_jax.Elmo(folder, alignment={1: matrix})
    assert_same(saved_again(elmo, tmp_path / "aligned"), elmo)


@pytest.mark.parametrize("tokenizer", ["treebank", "characters", "spacy:de"])
def test_the_tokenizer_is_kept(tiny, tmp_path, tokenizer):
    elmo = elmo_jax.Elmo.from_params(*tiny, tokenizer=tokenizer)
    again = saved_again(elmo, tmp_path / "tiny")
    assert_same(again, elmo)
    assert again.tokenizer == tokenizer
    assert_same(saved_again(again, tmp_path / "again"), elmo)


def test_remarks_stay_beside_the_tokenizer(tiny, tmp_path):
    metadata = {"tokenizer": "words", "language": "Klingon"}
    elmo_jax.save(tmp_path / "tiny", *tiny, metadata=metadata)
    saved_again(elmo_jax.Elmo(tmp_path / "tiny"), tmp_path / "again")
    assert read_metadata(tmp_path / "again") == metadata


@pytest.mark.filterwarnings("error")
def test_the_folder_that_it_was_opened_from_may_be_replaced(tiny, tmp_path):
    config, params = tiny[0], with_extras(*tiny)
    folder, words = tmp_path / "tiny", ["<S>", "</S>", "<UNK>", *"abcd"]
    elmo_jax.save(folder, config, params, vocabulary=words, metadata={"tokenizer": "words"})
    (folder / "notes.txt").write_text("mine")
    before, config_before = files_of(folder), config_of(folder)
    elmo = elmo_jax.Elmo(folder)
    pickled = pickle.dumps(elmo)
    assert "exists already" in message_of(elmo.save_pretrained, folder)
    elmo.save_pretrained(folder, overwrite=True)
    assert files_of(folder).keys() == before.keys() and config_of(folder) == config_before
    assert_same(pickle.loads(pickled), elmo)
    assert_same(elmo_jax.Elmo(folder), elmo)


def test_a_model_in_the_published_format_is_not_written_over(make_model):
    folder, _ = make_model(0)
    before = files_of(folder)
    message = message_of(elmo_jax.Elmo(folder).save_pretrained, folder, overwrite=True)
    assert "holds a model in the other format" in message
    assert files_of(folder) == before


@pytest.mark.filterwarnings("error")
def test_words_that_lie_elsewhere_are_found_as_when_it_was_opened(tiny, tmp_path, monkeypatch):
    config, params = tiny[0], with_extras(*tiny)
    folder, words = tmp_path / "tiny", ["<S>", "</S>", "<UNK>", *"abcd"]
    elmo_jax.save(folder, config, params, vocabulary=words)
    (folder / "vocab.txt").rename(tmp_path / "words.txt")
    monkeypatch.chdir(tmp_path)
    elmo = elmo_jax.Elmo("tiny", vocabulary_file="words.txt")
    monkeypatch.chdir("/")
    elmo.save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / "vocab.txt").read_text().split() == words


def test_a_softmax_without_its_words_is_warned_of_and_still_knows_them(tiny, tmp_path):
    config, params = tiny[0], with_extras(*tiny)
    folder, words = tmp_path / "tiny", ["<S>", "</S>", "<UNK>", *"abcd"]
    elmo_jax.save(folder, config, params, vocabulary=words)
    elmo = elmo_jax.Elmo(folder)
    shutil.rmtree(folder)
    with pytest.warns(elmo_jax.ElmoWarning, match="has a softmax, but not its words"):
        elmo.save_pretrained(tmp_path / "again")
    assert config_of(tmp_path / "again")["vocabulary"]["size"] == 7
    assert_same(elmo_jax.Elmo(tmp_path / "again"), elmo)


def test_a_foreign_model_says_where_it_comes_from(foreign, tmp_path):
    elmo = elmo_jax.Elmo(foreign / "tfhub" / "module-a" / "module.tar.gz")
    assert_same(saved_again(elmo, tmp_path / "again"), elmo)
    metadata = read_metadata(tmp_path / "again")
    assert metadata["origin"] and metadata["assumed"]


@pytest.mark.parametrize("path", [None, 3, b"x", "a\0b"])
def test_a_path_that_no_folder_can_have_is_refused(tiny, path):
    message_of(elmo_jax.Elmo.from_params(*tiny).save_pretrained, path)


# Pickles and copies


def test_pickles_and_copies_keep_what_an_elmo_says_of_itself(tiny, tmp_path):
    elmo_jax.save(tmp_path / "tiny", *tiny, metadata={"tokenizer": "characters"})
    opened = elmo_jax.Elmo(tmp_path / "tiny", precision="bfloat16")
    made = elmo_jax.Elmo.from_params(*tiny, tokenizer="words")
    for elmo in (opened, made):
        for again in (pickle.loads(pickle.dumps(elmo)), copy.deepcopy(elmo)):
            assert repr(again) == repr(elmo)
            assert (again.dim, again.tokenizer) == (elmo.dim, elmo.tokenizer)
            saved_again(again, tmp_path / "saved")
            assert elmo_jax.Elmo(tmp_path / "saved").tokenizer == elmo.tokenizer
            shutil.rmtree(tmp_path / "saved")


def test_an_elmo_that_cannot_be_used_says_so_and_can_be_shown(tiny, tmp_path):
    elmo_jax.save(tmp_path / "tiny", *tiny)
    pickled = pickle.dumps(elmo_jax.Elmo(tmp_path / "tiny"))
    shutil.rmtree(tmp_path / "tiny")
    unusable = pickle.loads(pickled)
    assert repr(unusable).startswith("<Elmo that cannot be used: There is no model")
    for use in (lambda: unusable.dim, lambda: unusable.encode("a"), unusable.save_pretrained):
        with pytest.raises((elmo_jax.ElmoError, TypeError)):
            use()
