"""The settings of a run, and the training options of bilm-tf that become settings."""

import argparse
import json

import pytest
from checkpoint_files import message_of
from commands import failing

from elmo_jax import ElmoConfig, ElmoError, UnusedOptionsWarning
from elmo_jax.cli import train as command
from elmo_jax.training import TrainingSettings

ARCHITECTURE = ElmoConfig.preset("tiny").to_options()
# As bin/train_elmo.py of bilm-tf has them, with other numbers.
OPTIONS = {
    **ARCHITECTURE,
    "bidirectional": True,
    "dropout": 0.25,
    "all_clip_norm_val": 5.0,
    "n_epochs": 3,
    "n_train_tokens": 768648884,
    "batch_size": 64,
    "n_tokens_vocab": 793471,
    "unroll_steps": 11,
    "n_negative_samples_batch": 100,
    "learning_rate": 0.125,
}


def test_options_of_bilm_tf_are_settings():
    assert TrainingSettings.from_options(OPTIONS) == TrainingSettings(
        recipe="original",
        dropout=0.25,
        clip_norm=5.0,
        epochs=3,
        batch_size=64,
        unroll_steps=11,
        n_negative_samples=100,
        learning_rate=0.125,
    )


def test_an_options_json_for_inference_changes_nothing():
    assert TrainingSettings.from_options(ARCHITECTURE) == TrainingSettings()
    assert TrainingSettings.from_options({**ARCHITECTURE, "dropout": None}) == TrainingSettings()


def test_choices_override_options():
    settings = TrainingSettings.from_options(OPTIONS, epochs=7, learning_rate=0.5, dropout=0.0)
    assert (settings.epochs, settings.learning_rate, settings.dropout) == (7, 0.5, 0)
    assert settings.batch_size == 64


def test_the_rate_of_adagrad_is_ignored_by_another_recipe():
    with pytest.warns(UnusedOptionsWarning, match="all_clip_norm_val, learning_rate") as warned:
        settings = TrainingSettings.from_options(OPTIONS, recipe="modern")
    assert (settings.rate, settings.clip, settings.epochs) == (4e-3, 1, 3)
    assert warned[0].filename == __file__


def test_the_full_softmax_can_be_asked_for():
    options = {"sample_softmax": False, "n_negative_samples_batch": 100}
    assert TrainingSettings.from_options(options).n_negative_samples == 0


def test_keys_that_change_nothing_are_named():
    options = {
        "optimizer": "adam",
        "lstm": {**ARCHITECTURE["lstm"], "layer_norm": True},
        "char_cnn": {"embedding": {"dim": 4, "frozen": 1}},
    }
    with pytest.warns(UnusedOptionsWarning) as warned:
        TrainingSettings.from_options(options, "my.json")
    assert str(warned[0].message) == (
        "my.json: training does not use optimizer, lstm.layer_norm, char_cnn.embedding.frozen."
    )


def test_values_that_cannot_be_used_are_reported_with_their_file():
    options = {"dropout": "0.1", "batch_size": 0, "n_epochs": True}
    message = message_of(TrainingSettings.from_options, options, "my.json")
    assert message.startswith("my.json: These training settings cannot be used: ")
    for part in ("dropout is '0.1'", "batch_size is 0", "epochs is True"):
        assert part in message
    assert message_of(TrainingSettings.from_options, [1]) == (
        "options: expected a JSON object, got list."
    )


def test_a_softmax_that_shares_its_embeddings_is_refused():
    options = {**OPTIONS, "share_embedding_softmax": True}
    with pytest.raises(ElmoError, match="share_embedding_softmax is true, but words that are "):
        ElmoConfig.from_options(options)
    assert ElmoConfig.from_options({**OPTIONS, "share_embedding_softmax": False})
    for key in ("share_embedding_softmax", "bidirectional"):
        said = rf"{key} is 'false' \(a str\), expected true or false"
        with pytest.raises(ElmoError, match=said):
            ElmoConfig.from_options({**OPTIONS, key: "false"})


@pytest.mark.parametrize("name", ["warmup_share", "weight_decay"])
def test_the_original_recipe_refuses_what_it_does_not_have(name):
    problem = f"{name} is 0.3, but the recipe 'original' has none"
    assert problem in message_of(TrainingSettings, recipe="original", **{name: 0.3})
    assert problem in message_of(TrainingSettings.from_options, OPTIONS, **{name: 0.3})
    assert TrainingSettings(recipe="original", **{name: 0}).recipe == "original"
    assert getattr(TrainingSettings(**{name: 0.3}), name) == 0.3


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--epochs", 2, "--n-steps", 9], "--n-steps and --epochs both say how long to train"),
        (["--eval-every", 2], "--eval-every says how often to measure the text of --valid"),
        (
            ["--recipe", "original", "--weight-decay", 0.2],
            "--weight-decay is 0.2, but the recipe 'original' has none",
        ),
    ],
)
def test_the_command_refuses_flags_without_effect(tmp_path, capsys, flags, problem):
    (tmp_path / "text.txt").write_text("a b\n")
    command = ["train", tmp_path / "text.txt", "-o", tmp_path / "run", "--preset", "tiny"]
    assert problem in failing(capsys, *command, *flags)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], {"recipe": "original", "batch_size": 64, "epochs": 3, "learning_rate": 0.125}),
        (["--batch-size", "128", "--epochs", "10"], {"batch_size": 128, "epochs": 10}),
        (["--dropout", "0.1", "--recipe", "original"], {"dropout": 0.1, "unroll_steps": 11}),
    ],
)
def test_the_command_uses_options_where_there_is_no_flag(tmp_path, monkeypatch, flags, expected):
    """A flag also counts if its value is the default."""
    (tmp_path / "options.json").write_text(json.dumps(OPTIONS))
    keywords = {}
    monkeypatch.setattr("elmo_jax.training.train", lambda *_, **kwargs: keywords.update(kwargs))
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = ["text", "-o", "run", "--options-file", str(tmp_path / "options.json"), *flags]
    command.run(parser.parse_args(arguments))
    assert {name: getattr(keywords["settings"], name) for name in expected} == expected
    command.run(parser.parse_args(["text", "-o", "run", "--preset", "tiny", "--seed", "3"]))
    assert keywords["settings"] == TrainingSettings(seed=3)
