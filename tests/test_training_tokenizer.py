"""What a training run records of the tokenizer of its text."""

import shutil

import fake_training
import pytest
from commands import failing, running, summary
from fake_training import SETTINGS, WORDS, cheap_steps

from elmo_jax import Elmo, ElmoError, load, save
from elmo_jax.checkpoint import open_source
from elmo_jax.training import TrainingSettings, train


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A text; a model "start", which has recorded no tokenizer, and two that have."""
    folder = tmp_path_factory.mktemp("inputs")
    fake_training.make_inputs(folder)
    config, params = load(folder / "start")
    for name, tokenizer in (("russian", "spacy:ru"), ("words", "words")):
        metadata = {"tokenizer": tokenizer}
        save(folder / name, config, params, vocabulary=WORDS, metadata=metadata)
    return folder


@pytest.fixture
def folder(inputs, tmp_path):
    return shutil.copytree(inputs, tmp_path / "folder")


def trained(folder, output="run", start="start", tokenizer="whitespace", **choices):
    """What the model of a run has recorded."""
    settings = TrainingSettings(**SETTINGS | {"n_steps": 2, "tokenizer": tokenizer})
    files, start_from = folder / "text.txt", folder / start
    with cheap_steps():
        train(folder / output, files, start_from=start_from, settings=settings, **choices)
    return open_source(folder / output / "model").recorded_tokenizer


@pytest.mark.parametrize(
    ("choices", "recorded"),
    [
        ({}, None),
        ({"tokenized_with": "words"}, "words"),
        ({"tokenizer": "treebank"}, "treebank"),
        ({"tokenizer": "spaces", "tokenized_with": "tabs"}, "tabs"),
        ({"start": "russian"}, "spacy:ru"),
        ({"start": "russian", "tokenized_with": "words"}, "words"),
        ({"start": "russian", "tokenizer": "words"}, "words"),
    ],
    ids=str,
)
def test_a_model_records_what_made_the_words_of_its_text(folder, choices, recorded):
    assert trained(folder, **choices) == recorded


def test_a_trained_model_splits_raw_text_as_it_was_trained(folder):
    trained(folder, tokenized_with="characters")
    elmo = Elmo(folder / "run" / "model")
    assert elmo.embed_sentences(["abc"], tokenizer="auto").tobytes() == (
        elmo.embed_sentences([["a", "b", "c"]]).tobytes()
    )


def test_auto_is_the_tokenizer_of_the_model_to_fine_tune(folder):
    assert trained(folder, start="words", tokenizer="auto") == "words"
    with pytest.raises(ElmoError, match="'auto' is the one that the model to fine-tune has"):
        trained(folder, output="other", tokenizer="auto")


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        ({"tokenizer": "words", "tokenized_with": "treebank"}, "leave out tokenized_with"),
        ({"tokenized_with": "auto"}, "Cannot record the tokenizer 'auto'"),
        ({"tokenized_with": 3}, "Cannot record the tokenizer 3"),
    ],
    ids=str,
)
def test_what_cannot_be_recorded_is_refused_at_once(folder, choices, problem):
    with pytest.raises(ElmoError, match=problem):
        trained(folder, **choices)
    assert not (folder / "run").exists()


def test_a_finished_run_does_not_change_what_it_recorded(folder):
    assert trained(folder, tokenized_with="words") == "words"
    assert trained(folder) == trained(folder, tokenized_with="words") == "words"
    with pytest.raises(ElmoError, match="has recorded the tokenizer words, not treebank"):
        trained(folder, tokenized_with="treebank")


def test_the_command_records_it_too(folder, capsys):
    flags = ["--batch-size", "2", "--n-steps", "2", "--n-negative-samples", "0", "--quiet"]
    start = ["--start-from", folder / "russian", "--option", "lstm.cell_clip=2"]
    with cheap_steps():
        running(capsys, "train", folder / "text.txt", "-o", folder / "run", *start, *flags)
        words = ["--tokenized-with", "words"]
        running(capsys, "train", folder / "text.txt", "-o", folder / "2", *start, *flags, *words)
        message = failing(
            capsys, "train", folder / "text.txt", "-o", folder / "3", "--preset", "tiny", *flags,
            "--tokenizer", "auto",
        )  # fmt: skip
    assert open_source(folder / "run" / "model").recorded_tokenizer == "spacy:ru"
    assert open_source(folder / "2" / "model").recorded_tokenizer == "words"
    assert "name the tokenizer, one of 'whitespace'" in message


def test_evaluate_reads_raw_text_with_the_tokenizer_of_the_model(tmp_path, capsys):
    (tmp_path / "raw.txt").write_text("The bank's closed.\n")
    (tmp_path / "tokenized.txt").write_text("The bank 's closed .\n")
    raw = running(capsys, "evaluate", tmp_path / "raw.txt", "--tokenizer", "auto")
    assert raw == running(capsys, "evaluate", tmp_path / "tokenized.txt")


# What `evaluate` takes from a model


def evaluated(folder, training):
    """The command that evaluates a model that says this of its training."""
    config, params = load(folder / "start")
    metadata = {"training": training}
    save(folder / "own", config, params, vocabulary=WORDS, metadata=metadata)
    return "evaluate", folder / "text.txt", "--model", folder / "own"


@pytest.mark.parametrize(
    "name", ["spacy:/a/path", "spacy:../x", "auto", "unheard", 7, None, ["words"]]
)
def test_a_model_cannot_choose_what_evaluate_loads(folder, capsys, name, monkeypatch):
    load_any = "elmo_jax.text.tokenizers.optional_module"
    monkeypatch.setattr(load_any, lambda *_: pytest.fail("a model has loaded something"))
    command = evaluated(folder, {"tokenizer": name})
    message = failing(capsys, *command)
    assert "which is not loaded because a model says so" in message and "--tokenizer" in message
    assert summary(capsys, *command, "--tokenizer", "whitespace")["tokens"]


def test_evaluate_splits_lines_as_in_training(folder, capsys):
    lines = summary(capsys, *evaluated(folder, {"tokenizer": "tabs"}))
    shutil.rmtree(folder / "own")
    assert lines["tokens"] < summary(capsys, *evaluated(folder, {}))["tokens"]


@pytest.mark.parametrize("training", [None, "words", [], {"reset_state": "no"}])
def test_evaluate_goes_without_what_no_run_records(folder, capsys, training):
    unlike_runs = summary(capsys, *evaluated(folder, training))
    shutil.rmtree(folder / "own")
    assert unlike_runs == summary(capsys, *evaluated(folder, {}))
