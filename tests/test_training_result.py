"""What a run gives: the average of its last parameters, and the model of its best validation."""

import json
import shutil

import fake_training
import numpy as np
import pytest
import training_run
from checkpoint_files import edit_config, files_of

import elmo_jax
from elmo_jax import ElmoError, ElmoWarning
from elmo_jax.model.parameters import flatten
from elmo_jax.training import TrainingSettings, Vocabulary, evaluate, load_language_model
from elmo_jax.training import loop as training_loop
from elmo_jax.training.best_model import best_validation, write_if_best
from elmo_jax.training.language_model import init_language_model

AVERAGED = {"average_share": 0.25, "checkpoint_every": 1, "keep_checkpoints": 24}
FLOAT32 = 1e-6  # a mean that is updated step by step, and one of a sum

VOCABULARY = Vocabulary(["<S>", "</S>", "<UNK>", "a"])


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return training_run.write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def averaged(tmp_path_factory, text):
    """A run of 24 steps that averages the last 6 of them, and its summary."""
    output = tmp_path_factory.mktemp("averaged") / "run"
    return output, training_run.run(output, text, valid_files=text, eval_every=12, **AVERAGED)


def params_after(output, step):
    """The parameters that the optimizer left, by name."""
    with np.load(output / "checkpoints" / str(step) / "state.npz") as state:
        return {n.removeprefix("params."): state[n] for n in state.files if n.startswith("params.")}


def test_the_result_is_the_mean_of_the_last_parameters(averaged):
    output, _ = averaged
    model = flatten(elmo_jax.load(output / "model")[1])
    steps = [params_after(output, step) for step in range(19, 25)]
    assert {".".join(path) for path in model} == steps[0].keys()
    for path, leaf in model.items():
        mean = np.mean([params[".".join(path)] for params in steps], axis=0, dtype=np.float64)
        np.testing.assert_allclose(leaf, mean, rtol=0, atol=FLOAT32)
    kernel = ("softmax", "kernel")
    assert np.abs(model[kernel] - steps[-1][".".join(kernel)]).max() > 10 * FLOAT32


def test_the_average_is_what_is_validated(averaged, text):
    output, summary = averaged
    found = evaluate(*load_language_model(output / "model"), text, reset_state=True)
    assert found.perplexity == pytest.approx(summary["valid_perplexity"], rel=1e-5)


def test_a_run_that_is_resumed_while_it_averages_has_the_same_result(averaged, text, tmp_path):
    output = shutil.copytree(averaged[0], tmp_path / "run")
    for step in range(22, 25):
        shutil.rmtree(output / "checkpoints" / str(step))
    (output / "summary.json").unlink()
    shutil.rmtree(output / "model")
    again = training_run.run(output, text, valid_files=text, eval_every=12, **AVERAGED)
    assert again["tokens"] == 3 * 40
    before, after = files_of(averaged[0]), files_of(output)
    for folder in ("model", "best"):
        for name in ("config.json", "model.safetensors"):
            assert after[f"{folder}/{name}"] == before[f"{folder}/{name}"]


@pytest.mark.parametrize(
    ("share", "n_steps", "n_averaged"), [(0, 100, 0), (0.1, 100, 10), (0.1, 4, 1), (0.999, 3, 3)]
)
def test_the_share_says_how_many_steps_are_averaged(share, n_steps, n_averaged):
    assert TrainingSettings(average_share=share).n_averaged(n_steps) == n_averaged


@pytest.mark.parametrize("wrong", [-0.1, 1, "all", None, True])
def test_a_share_to_average_is_a_share(wrong):
    with pytest.raises(ElmoError, match=r"average_share is .*expected a number below 1"):
        TrainingSettings(average_share=wrong)


# The best model


def test_the_best_validation_is_kept_with_its_model(averaged, text):
    output, summary = averaged
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    validations = [line for line in lines if "valid_perplexity" in line]
    best = min(validations, key=lambda line: line["valid_perplexity"])
    assert [line["step"] for line in validations] == [12, 24]
    assert (summary["best_step"], summary["best_valid_perplexity"]) == (
        best["step"],
        best["valid_perplexity"],
    )
    recorded = json.loads((output / "best" / "config.json").read_text())["metadata"]["training"]
    assert recorded["step"] == best["step"] and recorded["tokens"] == best["step"] * 40
    found = evaluate(*load_language_model(output / "best"), text, reset_state=True)
    assert found.perplexity == pytest.approx(best["valid_perplexity"], rel=1e-5)


@pytest.fixture
def offer(tmp_path):
    """Offer a model with a perplexity, after a step; returns which step's model is there."""
    config = training_run.CONFIG
    params = init_language_model(config, len(VOCABULARY))

    def offer_model(step, perplexity, valid_text="one"):
        summary = {
            "step": step,
            "total_tokens": step,
            "valid_perplexity": perplexity,
            "valid_text": valid_text,
        }
        write_if_best(tmp_path / "best", config, params, VOCABULARY, summary)
        return best_validation(tmp_path / "best", valid_text)["step"]

    return offer_model


def test_only_a_better_model_replaces_the_best(offer):
    assert [offer(1, 9.0), offer(2, 8.0), offer(3, 8.0), offer(4, 8.5), offer(5, 7.0)] == [
        1, 2, 2, 2, 5,
    ]  # fmt: skip


def test_the_best_on_another_text_does_not_count(offer, tmp_path):
    offer(1, 2.0)
    assert best_validation(tmp_path / "best", "two") is None
    assert offer(2, 9.0, "two") == 2


@pytest.mark.parametrize(
    "training", [None, {}, {"valid_text": "one"}, {"valid_text": "one", "valid_perplexity": -1}]
)
def test_a_best_model_that_says_nothing_is_replaced(offer, tmp_path, training):
    offer(1, 2.0)
    edit_config(tmp_path / "best", lambda content: content["metadata"].update(training=training))
    assert offer(2, 9.0) == 2


def test_a_damaged_best_model_is_replaced(offer, tmp_path):
    offer(1, 2.0)
    (tmp_path / "best" / "config.json").write_text("{")
    assert offer(2, 9.0) == 2


def test_a_best_model_that_cannot_be_written_costs_only_a_warning(tmp_path, monkeypatch):
    fake_training.make_inputs(tmp_path)

    def full(*_):
        raise ElmoError("Cannot write best: No space left on device.")

    monkeypatch.setattr(training_loop, "write_if_best", full)
    with pytest.warns(ElmoWarning, match=r"No space left .* goes on without the model of step 6"):
        summary = fake_training.train_cheaply(
            tmp_path, valid_files=tmp_path / "text.txt", eval_every=6
        )
    assert summary["finished"] and "best_step" not in summary
