"""Whole runs: learning, resuming after a kill, devices, faults, fine-tuning, commands."""

import argparse
import contextlib
import dataclasses
import json
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import training_run
from checkpoint_files import edit_config, files_of

import elmo_jax
from elmo_jax import ElmoConfig, ElmoError, UnknownWordsWarning, WordsCutWarning, save
from elmo_jax.cli import evaluate as evaluate_command
from elmo_jax.cli import main
from elmo_jax.cli import train as train_command
from elmo_jax.errors import WhitespaceWarning
from elmo_jax.model.parameters import flatten
from elmo_jax.training import (
    TrainingDiverged,
    TrainingSettings,
    Vocabulary,
    evaluate,
    load_language_model,
    score,
    scoring,
    substitutes,
    train,
)
from elmo_jax.training.language_model import init_language_model
from elmo_jax.training.loop import TrainingLoop
from elmo_jax.training.perplexity import exp_of_loss
from elmo_jax.training.placement import divides_softmax
from elmo_jax.training.reporting import read_metrics

SCRIPT = Path(training_run.__file__)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return training_run.write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, text):
    """An unbroken run, and its summary."""
    output = tmp_path_factory.mktemp("run") / "unbroken"
    return output, training_run.run(output, text)


def same_params(one, other):
    left, right = (flatten(elmo_jax.load(path / "model")[1]) for path in (one, other))
    assert left.keys() == right.keys()
    return all(np.array_equal(left[path], right[path]) for path in left)


def start(output, text, *changes, **environment):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(output), str(text), *changes],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_step(output, step, process, timeout=120):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if any(line["step"] >= step for line in read_metrics(output / "metrics.jsonl")):
            return
        if process.poll() is not None:
            raise AssertionError(f"the run ended early:\n{process.stderr.read()}")
        time.sleep(0.01)
    raise AssertionError(f"no step {step} in {timeout} s")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::elmo_jax.UnknownWordsWarning")  # its vocabulary is that small
@pytest.mark.parametrize("recipe", ["original", "modern"])
def test_it_learns_as_the_original_did(bilm_tf, tmp_path, recipe):
    """The smoke test of bilm-tf: 4 lines, 32 words, 50 epochs, test perplexity below 20."""
    config = ElmoConfig(
        filters=((1, 32), (2, 32), (3, 64), (4, 128)),
        char_embedding_dim=4,
        n_highway=2,
        projection_dim=8,
        cell_dim=16,
    )
    text = bilm_tf / "train_data.txt"
    settings = TrainingSettings(
        recipe=recipe, batch_size=4, epochs=50, n_negative_samples=16, reset_state=False
    )
    summary = train(
        tmp_path / "run",
        text,
        config=config,
        vocabulary=bilm_tf / "train_vocab.txt",
        valid_files=text,
        settings=settings,
        formats=("native", "hdf5"),
    )
    assert summary["finished"] and summary["step"] == round(50 * 139 / 80)
    assert summary["valid_perplexity"] < 20
    assert summary["valid_tokens"] == 139
    for part in ("native", "hdf5"):
        config, params = elmo_jax.load(summary["model"][part])
        vocabulary = Vocabulary.read(Path(summary["model"][part]) / "vocab.txt")
        result = evaluate(config, params, vocabulary, text)
        np.testing.assert_allclose(result.perplexity, summary["valid_perplexity"], rtol=1e-5)


@pytest.mark.slow
def test_a_run_is_reproducible(trained, text, tmp_path):
    training_run.run(tmp_path / "again", text)
    assert same_params(trained[0], tmp_path / "again")


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_parameters(trained, text, tmp_path):
    output = tmp_path / "killed"
    process = start(output, text, "n_steps=24")
    try:
        wait_for_step(output, 9, process)
        process.kill()
    finally:
        process.communicate()
    assert not (output / "model").exists()
    summary = training_run.run(output, text)
    assert summary["finished"] and summary["step"] == 24
    assert summary["tokens"] < 24 * 40  # it did not start again
    assert same_params(trained[0], output)
    steps = [line["step"] for line in read_metrics(output / "metrics.jsonl")]
    assert steps == list(range(1, 25))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves(trained, text, tmp_path, number):
    output = tmp_path / "stopped"
    process = start(output, text, "n_steps=100000", "checkpoint_every=100000")
    try:
        wait_for_step(output, 3, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["stopped_by"] == number.name and not summary["finished"]
    assert [int(p.name) for p in (output / "checkpoints").iterdir()] == [summary["step"]]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_can_be_made_longer(text, tmp_path, precision):
    choices = {"recipe": "original", "precision": precision}
    training_run.run(tmp_path / "run", text, ("native", "hdf5"), n_steps=6, **choices)
    longer = training_run.run(tmp_path / "run", text, n_steps=10, **choices)
    np.testing.assert_array_equal(  # what is there in another format is not left behind
        *(
            elmo_jax.load(tmp_path / "run" / name)[1]["softmax"]["kernel"]
            for name in ("model", "hdf5")
        )
    )
    assert longer["step"] == 10 and longer["tokens"] == 4 * 40
    assert longer["total_tokens"] == 10 * 40
    training_run.run(tmp_path / "whole", text, n_steps=10, **choices)
    assert same_params(tmp_path / "run", tmp_path / "whole")


def copy_of(trained, tmp_path):
    """The folder of the unbroken run, to change."""
    return shutil.copytree(trained[0], tmp_path / "copy")


def test_a_finished_run_stays_as_it_is(trained, text, tmp_path):
    output = copy_of(trained, tmp_path)
    before = files_of(output)
    again = training_run.run(output, text)
    assert files_of(output) == before
    nothing = {"tokens": 0, "seconds": 0.0, "tokens_per_second": 0.0}
    assert {**again, "model": {}} == {**trained[1], **nothing, "model": {}}
    shown = train_command.text(again).splitlines()[0]
    assert shown == "finished before, at step 24 of 24; nothing was trained in this call"
    assert again["model"] == {"native": str(output / "model")}
    content = json.loads(before["model/config.json"])["metadata"]["training"]
    assert content["tokens"] == 24 * 40 and content["train_sampled_loss"] is not None


def test_fewer_steps_than_were_taken_are_refused(trained, text, tmp_path):
    output = copy_of(trained, tmp_path)
    before = files_of(output)
    with pytest.raises(ElmoError, match="has taken 24 steps already, more than the 8"):
        training_run.run(output, text, n_steps=8)
    assert files_of(output) == before


def test_a_missing_format_is_all_that_is_written_for_a_finished_run(trained, text, tmp_path):
    output = copy_of(trained, tmp_path)
    shutil.rmtree(output / "checkpoints")  # as the user may
    before = files_of(output)
    summary = training_run.run(output, text, formats="hdf5")
    assert summary["model"] == {"hdf5": str(output / "hdf5")}
    after = files_of(output)
    assert {name: after[name] for name in before} == before
    assert {name for name in after if name not in before} == {
        "hdf5/options.json", "hdf5/weights.hdf5", "hdf5/vocab.txt"
    }  # fmt: skip
    left, right = (flatten(elmo_jax.load(output / name)[1]) for name in ("model", "hdf5"))
    assert all(np.array_equal(left[path], right[path]) for path in left)


def test_a_run_without_checkpoints_cannot_be_made_longer(trained, text, tmp_path):
    output = copy_of(trained, tmp_path)
    shutil.rmtree(output / "checkpoints")
    with pytest.raises(ElmoError, match="finished after 24 steps, and its checkpoints are gone"):
        training_run.run(output, text, n_steps=30)


def test_a_run_that_was_killed_before_its_model_was_written_writes_it(trained, text, tmp_path):
    output = copy_of(trained, tmp_path)
    before = files_of(output)
    shutil.rmtree(output / "model")
    (output / "summary.json").unlink()
    summary = training_run.run(output, text)
    assert summary["tokens"] == 0 and summary["total_tokens"] == 24 * 40
    assert summary["train_sampled_loss"] == trained[1]["train_sampled_loss"]
    after = files_of(output)
    for name in ("model/config.json", "model/model.safetensors", "model/vocab.txt"):
        assert after[name] == before[name]


def test_a_run_is_not_resumed_with_other_words(trained, text, tmp_path):
    output = copy_of(trained, tmp_path)
    words = Vocabulary.read(output / "vocab.txt").words
    Vocabulary([*words[:-2], words[-1], words[-2]]).write(output / "vocab.txt")
    with pytest.raises(ElmoError, match=r"vocab\.txt has changed since the run was started"):
        training_run.run(output, text, n_steps=30)


def test_a_deleted_model_is_written_again(trained, text, tmp_path):
    output = copy_of(trained, tmp_path)
    before = files_of(output)
    shutil.rmtree(output / "model")
    training_run.run(output, text)
    after = files_of(output)
    assert {name: after[name] for name in before if name != "loss.png"} == {
        name: content for name, content in before.items() if name != "loss.png"
    }


def test_a_run_that_is_trained_again_reports_its_own_call(trained, text, tmp_path):
    output = copy_of(trained, tmp_path)
    for name in ("model", "checkpoints"):
        shutil.rmtree(output / name)
    summary = training_run.run(output, text)
    assert summary["tokens"] == 24 * 40 and summary["seconds"] != trained[1]["seconds"]
    assert json.loads((output / "summary.json").read_text())["seconds"] == summary["seconds"]


@pytest.mark.slow
def test_a_longer_run_does_not_report_the_perplexity_of_an_older_step(text, tmp_path):
    output, config = tmp_path / "run", tmp_path / "run" / "model" / "config.json"
    validated = training_run.run(output, text, n_steps=2, valid_files=text)
    assert validated["valid_perplexity"] > 1
    summary = training_run.run(output, text, n_steps=3)
    recorded = json.loads(config.read_text())["metadata"]["training"]
    for fields in (summary, recorded):
        assert fields["step"] == 3
        assert not [name for name in fields if name.startswith("valid")]


def test_a_validation_belongs_to_its_text(trained, text, tmp_path):
    """Another text is measured for a finished run, and nothing is written."""
    output = copy_of(trained, tmp_path)
    (tmp_path / "unknown.txt").write_text("nothing is known\n")
    (tmp_path / "other.txt").write_text("w1 w2 w3\n" * 9)
    before = files_of(output)
    with pytest.warns(UnknownWordsWarning, match="100% of the words of the validation text"):
        training_run.run(output, text, valid_files=tmp_path / "unknown.txt")
    assert training_run.run(output, text, valid_files=tmp_path / "other.txt")["valid_tokens"] == 36
    assert files_of(output) == before
    (output / "summary.json").unlink()  # killed between its validation and its end
    own = training_run.run(output, text, valid_files=text)
    (output / "summary.json").unlink()
    other = training_run.run(output, text, valid_files=tmp_path / "other.txt")
    assert other["valid_tokens"] == 36 != own["valid_tokens"]


def test_a_run_is_not_resumed_with_another_text_of_the_same_size(trained, text, tmp_path):
    content = text.read_bytes()
    other = tmp_path / text.name
    for changed in (b"v" + content[1:], content[:-2] + b"x\n"):
        assert len(changed) == len(content) and changed != content
        other.write_bytes(changed)
        for n_steps in (24, 30):
            with pytest.raises(
                ElmoError, match=r"text\.txt has changed since the run was started \(the same size"
            ):
                training_run.run(trained[0], other, n_steps=n_steps)


def test_a_run_is_resumed_with_the_same_start_and_the_same_choice_of_words(trained, text, tmp_path):
    with pytest.raises(ElmoError, match="vocabulary_size was 200, is 100; min_count was 1, is 2"):
        training_run.run(trained[0], text, vocabulary_size=100, min_count=2)
    config, params, words = load_language_model(trained[0] / "model")
    settings = TrainingSettings(**{**training_run.SETTINGS, "n_steps": 1})
    train(tmp_path / "run", text, start_from=(config, params, words), settings=settings)
    train(tmp_path / "run", text, start_from=trained[0] / "model", settings=settings)
    kernel = params["softmax"]["kernel"] + 1
    other = {**params, "softmax": {**params["softmax"], "kernel": kernel}}
    with pytest.raises(ElmoError, match=r"started from the model with the hash .*, and now"):
        train(tmp_path / "run", text, start_from=(config, other, words), settings=settings)
    with pytest.raises(ElmoError, match="now should start from a new model"):
        train(tmp_path / "run", text, config=config, vocabulary=words, settings=settings)


@pytest.mark.parametrize("choice", [{"vocabulary_size": 9}, {"min_count": 2}])
def test_words_from_elsewhere_are_not_chosen_by_frequency(trained, text, tmp_path, choice):
    model = trained[0] / "model"
    for source in (
        {"start_from": model},
        {"config": training_run.CONFIG, "vocabulary": model / "vocab.txt"},
    ):
        with pytest.raises(ElmoError, match=f"Expected no {next(iter(choice))}: it limits a"):
            train(tmp_path / "run", text, **source, **choice)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_steps": None, "epochs": 1e300}, r"1e\+300 epochs of this text are .* Ask for fewer"),
        ({"n_steps": 10**30}, "n_steps is 1.*at most 2147483647"),
        ({"batch_size": 10**9}, "batch_size times unroll_steps is over 2,147,483,647"),
    ],
)
def test_a_run_too_large_to_count_is_refused_before_it_begins(text, tmp_path, wrong, message):
    with pytest.raises(ElmoError, match=message):
        training_run.run(tmp_path / "run", text, **wrong)
    assert not (tmp_path / "run").exists()


def test_cut_words_of_the_validation_text_are_reported(text, tmp_path):
    (tmp_path / "long.txt").write_text("w1 w2 w3 w4 " + "x" * 30 + "\n")
    with pytest.warns(WordsCutWarning, match="1 of 5 words of the validation text") as warned:
        summary = training_run.run(
            tmp_path / "run", text, n_steps=1, valid_files=tmp_path / "long.txt"
        )
    assert len(warned) == 1
    assert "1 word of the validation text is longer" in train_command.text(summary)


def test_another_run_in_the_folder_is_refused(trained, text, tmp_path):
    with pytest.raises(ElmoError, match=r"dropout was 0\.1, is 0\.2"):
        training_run.run(trained[0], text, dropout=0.2)
    with pytest.raises(ElmoError, match="tokenizer was 'whitespace', is 'spaces'"):
        training_run.run(trained[0], text, tokenizer="spaces")
    (tmp_path / "other.txt").write_text("a b c\n")
    with pytest.raises(ElmoError, match="text files"):
        training_run.run(trained[0], tmp_path / "other.txt")
    with pytest.raises(ElmoError, match=r"no run\.json"):
        training_run.run(tmp_path, text)


@pytest.mark.parametrize(
    ("n_words", "n_samples", "n_tokens", "is_divided"),
    [
        (793_471, 8192, 20_480, True),  # 1B-Word
        (793_471, 0, 20_480, False),  # the full softmax reads all rows
        (30_000, 2048, 20_480, False),  # a step reads more rows than there are
        (120, 20, 30, False),  # 2 (3 · 20 + 2 · 30) rows, as many as two sums of 120
        (121, 20, 30, True),
    ],
)
def test_a_softmax_is_divided_where_that_exchanges_less(n_words, n_samples, n_tokens, is_divided):
    assert divides_softmax(n_words, n_samples, n_tokens) == is_divided


@pytest.mark.slow
@pytest.mark.parametrize(("n_samples", "n_columns"), [(20, 2), (0, 8)])
def test_devices_exchange_no_gradient_of_a_whole_sampled_softmax(n_samples, n_columns):
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    program = Path(__file__).with_name("divided_step.py")
    done = subprocess.run(
        [sys.executable, program, str(n_samples)],
        env={**environment, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(program.parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["columns"] == [n_columns] * 3  # of the softmax, and of both moments of Adam
    assert bool(shown["exchanged"]) == (n_samples == 0), shown


@pytest.mark.slow
def test_four_devices_give_the_loss_curve_of_one(trained, text, tmp_path):
    process = start(
        tmp_path / "four",
        text,
        XLA_FLAGS="--xla_force_host_platform_device_count=4",
    )
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    curves = [
        [line["train_sampled_loss"] for line in read_metrics(path / "metrics.jsonl")]
        for path in (trained[0], tmp_path / "four")
    ]
    assert len(curves[0]) == 24
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-4)


def test_rows_that_cannot_be_divided_are_refused():
    from elmo_jax.training.placement import devices_for_rows

    with pytest.raises(ElmoError, match="multiple of 2"):
        devices_for_rows(7, [jax.devices()[0]] * 2)


@pytest.mark.slow
def test_few_shapes_compile(text, tmp_path, monkeypatch):
    from elmo_jax.training import train_step

    traced = []
    original = train_step.window_loss
    monkeypatch.setattr(
        train_step, "window_loss", lambda *a, **k: traced.append(1) or original(*a, **k)
    )
    training_run.run(tmp_path / "run", text, n_steps=12)
    assert len(traced) <= 2


@pytest.mark.slow
def test_a_loss_that_is_not_a_number_stops_the_run(text, tmp_path):
    with pytest.raises(
        TrainingDiverged, match=r"at step \d+: .*; the last good checkpoint is that of step \d+, in"
    ):
        training_run.run(
            tmp_path / "run", text, learning_rate=1e15, recipe="original", checkpoint_every=1
        )
    assert any((tmp_path / "run" / "checkpoints").iterdir())
    lines = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert lines and all(line["train_sampled_loss"] is not None for line in lines)


@pytest.mark.slow
def test_the_loss_of_training_is_named_by_its_softmax(trained, text, tmp_path):
    summary = training_run.run(tmp_path / "full", text, n_negative_samples=0, n_steps=2)
    assert "train_full_loss" in summary and "train_sampled_loss" not in summary
    assert "train_sampled_loss" in trained[1]
    names = {name for line in read_metrics(trained[0] / "metrics.jsonl") for name in line}
    assert "train_sampled_loss" in names
    assert not any("perplexity" in name for name in names)  # nothing was validated


@pytest.mark.slow
def test_the_end_follows_from_the_text(text, tmp_path):
    n_predictions = sum(len(line.split()) + 1 for line in text.read_text().splitlines())
    summary = training_run.run(tmp_path / "run", text, n_steps=None, epochs=0.5)
    assert summary["n_steps"] == summary["step"] == round(0.5 * n_predictions / 40)


@pytest.mark.slow
def test_bfloat16_trains(text, tmp_path):
    summary = training_run.run(tmp_path / "run", text, precision="bfloat16", n_steps=4)
    plain = training_run.run(tmp_path / "plain", text, n_steps=4)
    assert summary["train_sampled_loss"] == pytest.approx(plain["train_sampled_loss"], rel=0.02)
    leaves = jax.tree.leaves(elmo_jax.load(tmp_path / "run" / "model")[1])
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}


@pytest.mark.slow
def test_validation_is_reported_beside_the_loss(text, tmp_path, caplog):
    pictured = True
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        pictured = False
    with caplog.at_level(logging.INFO):
        summary = train(
            tmp_path / "run",
            text,
            config=training_run.CONFIG,
            valid_files=text,
            max_valid_tokens=1000,
            settings=TrainingSettings(**{**training_run.SETTINGS, "n_steps": 6, "eval_every": 3}),
        )
    lines = [x for x in read_metrics(tmp_path / "run" / "metrics.jsonl") if "valid_perplexity" in x]
    assert [line["step"] for line in lines] == [3, 6]
    assert lines[-1]["valid_perplexity"] == summary["valid_perplexity"]
    assert summary["valid_tokens"] == tokens_to_the_end_of_a_sentence(text, 1000)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["valid_oov_rate"] == 0
    assert (tmp_path / "run" / "loss.png").exists() == pictured
    assert pictured or any("matplotlib" in r.getMessage() for r in caplog.records)


@pytest.mark.slow
def test_nothing_is_written_to_stdout(text, tmp_path, capfd):
    training_run.run(tmp_path / "run", text, n_steps=2)
    assert capfd.readouterr().out == ""


# Fine-tuning


def test_fine_tuning_keeps_known_rows(trained, text, tmp_path):
    """New words are added to the vocabulary; the old words keep their rows."""
    (tmp_path / "more.txt").write_text("w1 new w2 words\n" * 40)
    settings = TrainingSettings(
        **{**training_run.SETTINGS, "n_steps": 1, "learning_rate": 1e-30, "weight_decay": 0}
    )
    words = ["<S>", "</S>", "<UNK>", "new", "w1", "w2", "words"]
    source = trained[0] / "model"
    summary = train(
        tmp_path / "tuned",
        tmp_path / "more.txt",
        start_from=source,
        vocabulary=Vocabulary(words),
        settings=settings,
        formats=("native", "hdf5"),
    )
    old = Vocabulary.read(source / "vocab.txt")
    before, after = elmo_jax.load(source)[1], elmo_jax.load(summary["model"]["hdf5"])[1]
    for word in ("<S>", "w1", "w2"):
        row = words.index(word)
        np.testing.assert_array_equal(
            after["softmax"]["kernel"][row], before["softmax"]["kernel"][old.ids([word])[0]]
        )
    np.testing.assert_array_equal(
        after["char_encoder"]["char_embedding"], before["char_encoder"]["char_embedding"]
    )


@pytest.mark.slow
def test_a_published_model_without_a_softmax_is_fine_tuned(make_model, text, tmp_path):
    folder, _ = make_model(filters=((1, 4), (2, 4)), dim=10, projection_dim=6)
    summary = train(
        tmp_path / "tuned",
        text,
        start_from=folder,
        valid_files=text,
        settings=TrainingSettings(**{**training_run.SETTINGS, "n_steps": 60}),
    )
    config, params = elmo_jax.load(summary["model"]["native"])
    assert config == elmo_jax.load(folder)[0]
    untrained = {**elmo_jax.load(folder)[1], "softmax": init_softmax_of(config, summary)}
    vocabulary = Vocabulary.read(Path(summary["model"]["native"]) / "vocab.txt")
    before = evaluate(config, untrained, vocabulary, text, reset_state=True).perplexity
    assert summary["valid_perplexity"] < before
    assert params["softmax"]["kernel"].shape == (len(vocabulary), 6)


def init_softmax_of(config, summary):
    words = Vocabulary.read(Path(summary["model"]["native"]) / "vocab.txt")
    return init_language_model(config, len(words))["softmax"]


# Evaluation and scoring


@pytest.fixture(scope="module")
def model(trained):
    config, params = elmo_jax.load(trained[0] / "model")
    return config, params, Vocabulary.read(trained[0] / "model" / "vocab.txt")


def test_perplexity_does_not_depend_on_the_cut(model, text):
    vocabulary = model[2]
    results = [evaluate(*model, text, batch_size=4, unroll_steps=steps) for steps in (3, 7, 64)]
    sentences = [line.split() for line in text.read_text().splitlines()]
    n_words = sum(map(len, sentences))
    unknown = sum(word not in vocabulary for words in sentences for word in words)
    for result in results:
        np.testing.assert_allclose(result, results[0], rtol=1e-5)
        assert result.tokens == n_words + len(sentences)
        assert result.oov_rate == pytest.approx(unknown / n_words)
    both = math.sqrt(results[0].forward_perplexity * results[0].backward_perplexity)
    assert results[0].perplexity == pytest.approx(both)


def tokens_to_the_end_of_a_sentence(text, least):
    n_tokens = 0
    for line in text.read_text().splitlines():
        n_tokens += len(line.split()) + 1
        if n_tokens >= least:
            break
    return n_tokens


def test_a_perplexity_that_is_not_finite_is_told_and_is_null_in_json(model, text, tmp_path, capsys):
    config, params, vocabulary = model
    kernel = np.asarray(params["softmax"]["kernel"]) * np.float32(1e6)
    params = {**params, "softmax": {**params["softmax"], "kernel": kernel}}
    save(tmp_path / "model", config, params, vocabulary=vocabulary)
    command = ["evaluate", str(text), "--model", str(tmp_path / "model")]
    assert main([*command, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out, parse_constant=pytest.fail)["perplexity"] is None
    assert "note: the perplexity is inf" in err
    assert main([*command, "--max-tokens", "7"]) == 0
    assert capsys.readouterr().out.startswith("perplexity inf (forward inf, backward inf), ")
    assert exp_of_loss(math.inf) == math.inf and math.isnan(exp_of_loss(math.nan))


def test_a_validation_text_that_is_trained_on_is_reported(text, tmp_path, caplog):
    """A copy counts, and so does what a pattern matches beside its text."""
    copy, other = tmp_path / "copy.txt", tmp_path / "other.txt"
    copy.write_bytes(text.read_bytes())
    other.write_text("w1 w2 w3\n" * 9)
    for valid_files, expected in [([copy, other], [str(copy)]), ([other], [])]:
        caplog.clear()
        run = tmp_path / f"run-{len(valid_files)}"
        training_run.run(run, text, n_steps=1, valid_files=valid_files)
        found = [message for message in caplog.messages if "trained on, too" in message]
        assert [message.partition(":")[0] for message in found] == expected


def test_a_limit_of_the_validation_text_needs_that_text(text, tmp_path):
    with pytest.raises(ElmoError, match=r"max_valid_tokens .*there are none.*valid_files="):
        train(tmp_path / "run", text, config=training_run.CONFIG, max_valid_tokens=5)


@pytest.mark.parametrize("max_tokens", [1, 7, 500])
def test_the_tokens_that_are_measured_end_with_a_sentence(model, text, tmp_path, max_tokens):
    """Both directions predict the same sentences, whatever the window."""
    result = evaluate(*model, text, max_tokens=max_tokens)
    assert result.tokens == tokens_to_the_end_of_a_sentence(text, max_tokens)
    lines, n_tokens = [], 0
    for line in text.read_text().splitlines():
        lines.append(line)
        n_tokens += len(line.split()) + 1
        if n_tokens >= max_tokens:
            break
    (tmp_path / "beginning.txt").write_text("\n".join(lines))
    assert evaluate(*model, tmp_path / "beginning.txt") == result


def test_a_text_of_unknown_words_gives_a_warning(model, tmp_path, text):
    (tmp_path / "other.txt").write_text("w1 Haus Garten w2\n" * 5)
    with pytest.warns(UnknownWordsWarning, match="50% of the words of the text") as warned:
        result = evaluate(*model, tmp_path / "other.txt")
    assert result.oov_rate == 0.5 and warned[0].filename == __file__
    (tmp_path / "fifth.txt").write_text("w1 w2 w3 w4 Haus\n" * 5)
    assert evaluate(*model, tmp_path / "fifth.txt").oov_rate == 0.2  # and no warning


def test_training_on_unknown_words_gives_a_warning(trained, tmp_path, text):
    """On both texts, once each, though there are several validations."""
    (tmp_path / "text.txt").write_text("Haus Garten Baum\n" * 20)
    with pytest.warns(UnknownWordsWarning) as warned:
        summary = train(
            tmp_path / "run",
            tmp_path / "text.txt",
            config=training_run.CONFIG,
            vocabulary=trained[0] / "vocab.txt",
            valid_files=tmp_path / "text.txt",
            settings=TrainingSettings(**{**training_run.SETTINGS, "eval_every": 12}),
        )
    assert [str(one.message)[:43] for one in warned] == [
        "100% of the words of the training text are ",
        "100% of the words of the validation text ar",
    ]
    assert {one.filename for one in warned} == {__file__}
    assert summary["train_oov_rate"] == summary["valid_oov_rate"] == 1
    assert "100.00% of the words out of the vocabulary" in train_command.text(summary)


def test_scores_add_up_to_the_perplexity_of_a_reset_state(model, text):
    sentences = [line.split() for line in text.read_text().splitlines()]
    scores = score(*model, sentences)
    result = evaluate(*model, text, reset_state=True)
    forward = sum(s.forward.sum() + s.forward_end for s in scores)
    backward = sum(s.backward.sum() + s.backward_end for s in scores)
    assert math.exp(-forward / result.tokens) == pytest.approx(result.forward_perplexity, rel=1e-4)
    assert math.exp(-backward / result.tokens) == pytest.approx(
        result.backward_perplexity, rel=1e-4
    )
    assert [len(s.forward) for s in scores] == [len(words) for words in sentences]
    alone = score(*model, [sentences[5]])[0]
    np.testing.assert_allclose(alone.forward, scores[5].forward, atol=1e-4)
    np.testing.assert_allclose(alone.backward, scores[5].backward, atol=1e-4)
    assert alone.perplexity == pytest.approx(scores[5].perplexity, rel=1e-4)


def test_scores_come_from_the_layers_of_inference(model):
    """The top layer of layer_outputs times the softmax gives the same numbers."""
    config, params, vocabulary = model
    words = ["w1", "w7", "unheard-of", "w2"]
    ids, lengths = elmo_jax.encode_batch([words], config)
    layers = elmo_jax.layer_outputs(params, ids, lengths, config=config, boundaries=True)
    top = np.asarray(layers[0, -1], np.float64)
    forward, backward = np.split(top, 2, axis=1)

    def log_p(vector):
        logits = params["softmax"]["kernel"] @ vector + params["softmax"]["bias"]
        return logits - np.log(np.exp(logits).sum())

    targets = vocabulary.ids(words)
    with pytest.warns(UnknownWordsWarning, match="25% of the words of the sentences") as warned:
        scores = score(*model, [words])[0]
    assert warned[0].filename == __file__
    for i, target in enumerate(targets):
        assert scores.forward[i] == pytest.approx(log_p(forward[i])[target], abs=1e-4)
        assert scores.backward[i] == pytest.approx(log_p(backward[i + 2])[target], abs=1e-4)
    end, begin = vocabulary.ids(["</S>", "<S>"])
    assert scores.forward_end == pytest.approx(log_p(forward[4])[end], abs=1e-4)
    assert scores.backward_end == pytest.approx(log_p(backward[1])[begin], abs=1e-4)
    assert scores.known.tolist() == [True, True, False, True]


def test_unknown_words_can_be_left_out_of_a_score(model):
    """By default they score as <UNK>, which is more likely than many words."""
    words = ["w1", "unheard-of", "w2", "so-is-this"]
    with pytest.warns(UnknownWordsWarning, match="50% of the words"):
        scored = score(*model, [words])[0]
    skipped = score(*model, [words], unknown="skip")[0]  # and no warning: they count as nothing
    assert scored.n_unknown == skipped.n_unknown == 2
    for name in ("forward", "backward"):
        before, after = getattr(scored, name), getattr(skipped, name)
        assert (before < 0).all() and after[[1, 3]].tolist() == [0, 0]
        np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    total = skipped.forward.sum() + skipped.backward.sum()
    total += skipped.forward_end + skipped.backward_end
    assert skipped.perplexity == pytest.approx(math.exp(-total / (2 * 3)))
    known = ["w1", "w7", "w2", "w3"]
    assert score(*model, [known], unknown="skip")[0].perplexity == pytest.approx(
        score(*model, [known])[0].perplexity
    )
    with pytest.raises(ElmoError, match="unknown is 'ignore', expected one of as_unk, skip"):
        score(*model, [words], unknown="ignore")


def test_a_blank_line_and_the_first_of_equal_words_are_not_substitutes(model):
    config, params, vocabulary = model
    words = [*vocabulary.words[:-2], "", vocabulary.words[5]]
    ranked = substitutes(config, params, Vocabulary(words), ["w1", "w2"], 0, n=1000)
    names = [word for word, _ in ranked]
    assert len(names) == len(set(names)) == len(words) - 5
    assert set(names) == {*words} - {"<S>", "</S>", "<UNK>", ""}


def test_substitutes_are_the_most_likely_words(model):
    _, _, vocabulary = model
    words = ["w1", "w7", "w3", "w2", "w5"]
    for position in (0, 2, 4):
        candidates = [w for w in vocabulary.words if w not in ("<S>", "</S>", "<UNK>")]
        filled = [[*words[:position], w, *words[position + 1 :]] for w in candidates]
        scores = score(*model, filled)
        for direction in ("forward", "backward"):
            expected = np.array([getattr(s, direction)[position] for s in scores])
            ranked = substitutes(*model, words, position, n=5, direction=direction)
            best = np.argsort(-expected)[:5]
            np.testing.assert_allclose([p for _, p in ranked], expected[best], atol=1e-4)
            assert ranked[0][0] == candidates[best[0]]
        both = np.array([s.forward[position] + s.backward[position] for s in scores])
        ranked = substitutes(*model, words, position, n=len(vocabulary))
        assert ranked[0][0] == candidates[int(both.argmax())]
        assert len(ranked) == len(candidates)
        assert sum(math.exp(p) for _, p in ranked) < 1
    assert substitutes(*model, words, -1) == substitutes(*model, words, 4)


def test_clear_errors(model, text, tmp_path):
    config, params, vocabulary = model
    bare = {name: part for name, part in params.items() if name != "softmax"}
    with pytest.raises(ElmoError, match="no softmax"):
        evaluate(config, bare, vocabulary, text)
    with pytest.raises(ElmoError, match="has 4 words, but the model's softmax has 200"):
        evaluate(config, params, Vocabulary(["<S>", "</S>", "<UNK>", "a"]), text)
    with pytest.raises(ElmoError, match="no word 3 in a sentence of 3"):
        substitutes(*model, ["w1", "w2", "w3"], 3)
    with pytest.raises(ElmoError, match="one of config"):
        train(tmp_path / "run", text)
    with pytest.raises(ElmoError, match=r"recipe is 'sgd'.*batch_size is 0"):
        TrainingSettings(recipe="sgd", batch_size=0)
    with pytest.raises(ElmoError, match="where the run writes"):
        (tmp_path / "in" / "model").mkdir(parents=True)
        (tmp_path / "in" / "model" / "a.txt").write_text("a b\n")
        train(tmp_path / "in", tmp_path / "in" / "model" / "a.txt", config=config)
    with pytest.raises(ElmoError, match="would be lost"):
        (tmp_path / "in" / "vocab.txt").write_text("a b\n")
        train(tmp_path / "in", text, config=config, valid_files=tmp_path / "in" / "vocab.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ElmoError, match="No sentence"):
        train(tmp_path / "run", tmp_path / "empty.txt", config=config)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "8"])
def test_numbers_out_of_range_are_refused(model, text, tmp_path, wrong):
    config = model[0]
    calls = {
        "batch_size": lambda: evaluate(*model, text, batch_size=wrong),
        "unroll_steps": lambda: evaluate(*model, text, unroll_steps=wrong),
        "max_tokens": lambda: evaluate(*model, text, max_tokens=wrong),
        "n": lambda: substitutes(*model, ["w1"], 0, n=wrong),
        "max_valid_tokens": lambda: train("run", text, config=config, max_valid_tokens=wrong),
        "vocabulary_size": lambda: train("run", text, config=config, vocabulary_size=wrong),
        "min_count": lambda: train("run", text, config=config, min_count=wrong),
    }
    for name, call in calls.items():
        with pytest.raises(ElmoError, match=rf"^{name}.* is {wrong!r}, expected a whole number of"):
            call()
    for position in (-2, 0.5):
        with pytest.raises(ElmoError, match=f"position is {position}, expected a whole number of"):
            substitutes(*model, ["w1"], position)
    with pytest.raises(ElmoError) as error:
        TrainingSettings(
            batch_size=wrong, n_steps=wrong, seed=-1, dropout=1, epochs=math.inf, weight_decay="0"
        )
    for name in ("batch_size", "n_steps", "seed", "dropout", "epochs", "weight_decay"):
        assert f"{name} is " in str(error.value)


def test_settings_may_be_numpys_numbers():
    settings = TrainingSettings(batch_size=np.int64(8), learning_rate=np.float32(0.5))
    assert json.loads(json.dumps(dataclasses.asdict(settings)))["batch_size"] == 8


def test_words_that_the_model_cuts_are_counted(model, trained, text, tmp_path):
    config = model[0]
    long, chinese = "x" * (config.max_characters_per_token - 1), "日本語" * 7
    sentences = [["w1", long], [chinese, "w2", long], ["w3"] * 13]
    file = tmp_path / "long.txt"
    file.write_text("".join(" ".join(words) + "\n" for words in sentences), encoding="utf-8")
    with pytest.warns(WordsCutWarning, match="3 of 18 words") as warned:
        assert evaluate(*model, file, batch_size=4, unroll_steps=3).words_cut == 3
        score(*model, sentences, unknown="skip")
    assert len(warned) == 2
    with pytest.warns(WordsCutWarning, match="1 of 2 words"):
        substitutes(*model, sentences[0], 0)
    with pytest.warns(WordsCutWarning) as warned:
        summary = training_run.run(tmp_path / "run", [text, file], n_steps=1)
    assert [len(warned), summary["words_cut"], trained[1]["words_cut"]] == [1, 3, 0]
    assert training_run.run(tmp_path / "run", [text, file], n_steps=2)["words_cut"] == 3


def test_too_little_memory_is_reported(model, trained, text, tmp_path, monkeypatch):
    with pytest.raises(ElmoError, match=r"not enough memory\. Take a smaller batch_size"):
        evaluate(*model, text, batch_size=2**31 - 1)

    def exhausted(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    monkeypatch.setattr(scoring, "_one_sentence_per_row", exhausted)
    for call in (lambda: score(*model, [["w1"]]), lambda: substitutes(*model, ["w1"], 0)):
        with pytest.raises(ElmoError, match=r"Split the longest sentence.* said: RESOURCE_EXHAUST"):
            call()
    monkeypatch.setattr(TrainingLoop, "train", exhausted)
    with pytest.raises(ElmoError, match=r"start another run .* with a smaller batch_size"):
        training_run.run(tmp_path / "run", text)


# The commands


def test_the_commands(text, tmp_path):
    (tmp_path / "options.json").write_text(json.dumps(training_run.CONFIG.to_options()))
    parser = argparse.ArgumentParser()
    train_command.add_arguments(parser)
    arguments = (
        f"{text} -o {tmp_path}/run --options-file {tmp_path}/options.json --valid {text} "
        "--batch-size 8 --unroll-steps 5 --n-steps 3 --n-negative-samples 20 "
        "--vocabulary-size 100 --format both --quiet"
    )
    summary = train_command.run(parser.parse_args(arguments.split()))
    assert json.loads(json.dumps(summary))["finished"]

    parser = argparse.ArgumentParser()
    evaluate_command.add_arguments(parser)
    for form in ("native", "hdf5"):
        arguments = f"{text} --model {summary['model'][form]} --quiet"
        reset = "" if form == "native" else " --reset-state"
        result = evaluate_command.run(parser.parse_args((arguments + reset).split()))
        assert result["perplexity"] == pytest.approx(summary["valid_perplexity"], rel=1e-4)
    (tmp_path / "line.txt").write_text("w1\xa0w2 w3\n", encoding="utf-8")
    native = f"{tmp_path}/line.txt --model {summary['model']['native']} --quiet"
    with pytest.warns(WhitespaceWarning):
        assert evaluate_command.run(parser.parse_args(native.split()))["tokens"] == 4

    def split_at_spaces(content):
        assert content["metadata"]["training"]["tokenizer"] == "whitespace"
        content["metadata"]["training"]["tokenizer"] = "spaces"

    edit_config(summary["model"]["native"], split_at_spaces)
    with pytest.warns(UnknownWordsWarning, match="50% of the words"):
        assert evaluate_command.run(parser.parse_args(native.split()))["tokens"] == 3
    with pytest.raises(ElmoError, match="no vocabulary"):
        model = summary["model"]["native"]
        arguments = f"{text} --model {model} --vocabulary {tmp_path}/none.txt"
        evaluate_command.run(parser.parse_args(arguments.split()))
