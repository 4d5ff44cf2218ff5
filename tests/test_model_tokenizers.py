"""Models know the tokenizer that splits raw text as their training text was split."""

import json

import pytest
from commands import failing, running
from random_models import random_lexicon_model, write_lexicon_model

from elmo_jax import Elmo, load, pretrained, save
from elmo_jax.checkpoint import open_source
from elmo_jax.pretrained.registry import MODELS, tokenizer_of
from elmo_jax.text.tokenizers import is_plain_name


@pytest.mark.parametrize(
    ("name", "tokenizer"),
    [
        ("original", "treebank"),
        ("original_5p5b", "treebank"),
        ("small_checkpoint", "treebank"),
        ("pubmed", "treebank"),
        ("nlpl:225", "treebank"),
        ("portuguese_brwac", "words"),
        ("russian_wiki", "words"),
        ("nlpl:142", "words"),
        ("manylangs:english", "words"),
        ("nlpl:210", "words"),
        ("seqvec", "characters"),
        ("nlpl:9999", None),  # nobody knows what it is
        ("mini", None),  # its own files say it
    ],
)
def test_published_models_have_the_tokenizer_of_their_training_text(name, tokenizer):
    assert tokenizer_of(name) == tokenizer


def test_every_single_published_model_has_a_tokenizer_that_exists():
    assert all(is_plain_name(model.tokenizer) for model in MODELS.values())


@pytest.fixture
def portuguese(make_model, tmp_path, monkeypatch):
    """A random model in place of a published one whose size and hash nobody knows."""
    make_model(name="portuguese_wikipedia")
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path))
    return "portuguese_wikipedia"


def test_a_model_opened_by_name_has_its_tokenizer(portuguese):
    assert Elmo(portuguese).tokenizer == "words"


def test_the_tokenizer_of_a_name_is_kept_when_the_model_is_converted(portuguese, tmp_path, capsys):
    running(capsys, "convert", portuguese, "-o", tmp_path / "native")
    opened = open_source(tmp_path / "native")
    assert (opened.tokenizer, opened.recorded_tokenizer) == ("words", "words")


def test_the_same_files_without_the_name_say_nothing(portuguese):
    opened = open_source(pretrained.fetch(portuguese))
    assert (opened.tokenizer, opened.recorded_tokenizer) == ("treebank", None)


def test_a_path_wins_over_a_name(portuguese, make_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where a folder of this name is
    assert open_source(portuguese).recorded_tokenizer is None


def test_a_folder_of_elmo_for_many_langs_has_words(tmp_path):
    write_lexicon_model(tmp_path / "model", *random_lexicon_model(0))
    assert Elmo(tmp_path / "model").tokenizer == "words"


@pytest.mark.parametrize("name", ["treebank", "spacy:de", "tabs"])
def test_info_shows_what_convert_recorded(make_model, tmp_path, capsys, name):
    folder, _ = make_model()
    assert "treebank (assumed: the files do not say)" in running(capsys, "info", folder)
    running(capsys, "convert", folder, "-o", tmp_path / "native", "--tokenized-with", name)
    lines = running(capsys, "info", tmp_path / "native").splitlines()
    assert [line.split() for line in lines if "tokenizer" in line] == [["tokenizer", name]]
    summary = json.loads(running(capsys, "info", tmp_path / "native", "--json"))
    assert (summary["tokenizer"], summary["tokenizer_assumed"]) == (name, False)


@pytest.mark.parametrize("name", ["auto", "bert", "spacy:/a/path", ""])
def test_only_a_tokenizer_that_can_be_named_is_recorded(tmp_path, capsys, name):
    model = ["mini", "--format", "native"]
    message = failing(capsys, "convert", *model, "-o", tmp_path / "out", "--tokenized-with", name)
    assert "Cannot record the tokenizer" in message
    assert not (tmp_path / "out").exists()


def test_the_published_format_has_no_place_for_it(tmp_path, capsys):
    message = failing(
        capsys, "convert", "mini", "-o", tmp_path / "out", "--tokenized-with", "words"
    )
    assert "write --format native" in message


def test_saved_metadata_name_the_tokenizer(make_model, tmp_path):
    folder, _ = make_model()
    save(tmp_path / "native", *load(folder), metadata={"tokenizer": "characters"})
    assert Elmo(tmp_path / "native").tokenizer == "characters"
