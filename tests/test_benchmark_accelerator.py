"""`python -m benchmarks accelerator`, with peers and vectors that only pretend."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fake_peers import FakePeer, questioner

from benchmarks import accelerator, accelerator_job, accelerator_peers, accelerator_steps

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.fixture
def ask(tmp_path, monkeypatch):
    return questioner(tmp_path, monkeypatch)


class FakeElmo:
    """Vectors of ones, off by what its precision is told to be off by."""

    off: ClassVar[dict] = {}

    def __init__(self, job, precision=None):
        self.value = 1 + self.off.get(precision or job.args.precision, 0)

    def stream(self, sentences, dtype="float32"):
        return (np.full((3, len(words), 4), self.value, dtype) for words in sentences)

    def embed(self, sentences):
        return list(self.stream(sentences))

    def embed_sentences(self, sentences):
        return np.full((len(sentences), 4), self.value)


@pytest.fixture
def accelerated(monkeypatch):
    fake = lambda job, precision=None: FakeElmo(job, precision)  # noqa: E731 - becomes a method
    monkeypatch.setattr(accelerator_job.Job, "elmo", fake)
    monkeypatch.setattr(accelerator_peers, "open_peer", lambda name, **_: FakePeer(name))
    monkeypatch.setattr(FakeElmo, "off", {})
    FakePeer.error |= {"torch_lstm": 1, "allennlp": 2}


def test_an_accelerator_is_measured_in_one_run(ask, accelerated, capsys):
    parts = ["limit", "error", "sentences", "layers", "busy", "peers"]
    code, found = ask("accelerator", "--rounds", "2", "--tokens", "3000", "--part", *parts)
    assert code == 0
    assert set(parts) <= set(found) and found["left_out"] == []
    assert found["setting"]["text_copies"] == 3, "a text that is too short is read again"
    assert found["error"]["bfloat16"][0]["relative_error"] == 0
    assert found["sentences"]["tokens"] == found["setting"]["tokens"] >= 3000
    *measured, failed, failed_again = found["peers"]
    assert [row["output"] for row in measured] == ["sentences", "layers"] * 4
    assert {row["tokens_per_second"]["median"] for row in measured} == {100}
    assert failed["peer"] == "AllenNLP, float32" and "does not compute the same" in failed["error"]
    assert failed_again["peer"] == "AllenNLP, TF32"
    assert "AllenNLP, TF32: " in capsys.readouterr().out


def test_a_precision_that_is_broken_is_not_timed(ask, accelerated, monkeypatch, capsys):
    monkeypatch.setattr(FakeElmo, "off", {"bfloat16": 0.1})
    code, found = ask("accelerator", "--part", "error", "sentences")
    assert (code, found) == (1, None)
    assert "bfloat16 does not compute the same as float32" in capsys.readouterr().err


def test_nothing_begins_after_the_time_is_over(ask, accelerated, capsys):
    code, found = ask("accelerator", "--budget", "-1", "--peers")
    assert code == 0
    assert found["left_out"] == list(accelerator.PARTS)
    assert "Left out, for the time was over: limit, error" in capsys.readouterr().out


def test_steps_are_run_in_the_precision_that_was_asked_for(ask, monkeypatch):
    asked = []
    monkeypatch.setattr(
        accelerator_steps, "engine_step", lambda *choices: asked.append(choices[2:]) or (lambda: 1)
    )
    code, found = ask("accelerator", "--part", "steps")
    assert code == 0 and asked == [(1, 4, "bfloat16"), (4, 4, "bfloat16")]
    assert [(row["lanes"], row["length"]) for row in found["steps"]] == [(1, 4), (4, 4)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_forms_of_the_step_are_held_against_the_engine(ask, precision, capsys):
    code, found = ask("accelerator", "--part", "forms", "--precision", precision)
    assert code == 0
    errors = {row["form"]: row["relative_error"] for row in found["forms"]}
    assert list(errors) == list(accelerator_steps.FORMS)
    assert max(errors.values()) < (1e-6 if precision == "float32" else 1e-2)
    assert "| each product by itself | 4 × 4 |" in capsys.readouterr().out


def test_a_form_that_computes_something_else_is_not_timed(ask, monkeypatch, capsys):
    right = accelerator_steps.engine_step

    def wrong(*arguments, **choices):
        step = right(*arguments, **choices)
        return (lambda: jax.tree.map(jnp.zeros_like, step())) if choices else step

    monkeypatch.setattr(accelerator_steps, "engine_step", wrong)
    code, found = ask("accelerator", "--part", "forms", "--precision", "float32")
    assert (code, found) == (1, None)
    assert "The form 'each product by itself' is off by 1." in capsys.readouterr().err
