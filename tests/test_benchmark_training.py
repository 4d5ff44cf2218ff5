"""`python -m benchmarks training`, with trainers that only pretend."""

from typing import ClassVar

import pytest
from fake_peers import FakePeer, questioner

from benchmarks import corpus, synthetic, training_speed


@pytest.fixture
def ask(tmp_path, monkeypatch):
    return questioner(tmp_path, monkeypatch)


class FakeTraining:
    """Takes 100 tokens a step, ten times as fast as the peer; its losses fall as they are told."""

    losses: ClassVar[list] = []
    tokens_per_step, window = 100, 20

    def __init__(self, config, settings, text, vocabulary):
        assert {"word0", "word6"} <= set(vocabulary.words) & set(text.read_text("utf-8").split())

    def run(self, n_steps):
        return n_steps / 100, [self.losses.pop(0) for _ in range(n_steps)]

    def host_seconds(self, n_steps):
        return n_steps / 500

    device_seconds = host_seconds


@pytest.fixture
def trainings(monkeypatch):
    monkeypatch.setattr(training_speed, "OwnTraining", FakeTraining)
    monkeypatch.setattr(training_speed, "open_peer", lambda name, **_: FakePeer(name))
    monkeypatch.setattr(FakeTraining, "losses", [5 - i / 100 for i in range(100)])


def test_training_is_compared_round_by_round_with_a_trainer(ask, trainings, capsys):
    code, found = ask("training", "--rounds", "2", "--precision", "bfloat16")
    assert code == 0
    (batch,) = found["batches"]
    own, peer = batch["systems"]
    assert own["tokens_per_second"]["median"] == 10_000
    assert peer["elmo_jax_times_faster"]["median"] == pytest.approx(10)
    assert batch["host_tokens_per_second"] == 50_000
    assert own["losses"]["first"] > own["losses"]["last"]
    (opened,) = [a for _, c, a in FakePeer.asked if c == "open"]
    assert opened["settings"]["precision"] == "bfloat16"
    assert "| elmo-jax, 5 rows | 10,000" in capsys.readouterr().out


def test_a_trainer_whose_loss_does_not_fall_is_no_trainer(ask, trainings, monkeypatch, capsys):
    monkeypatch.setattr(FakeTraining, "losses", [5.0] * 100)
    assert ask("training", "--peers")[0] == 1
    assert "elmo-jax does not learn" in capsys.readouterr().err


def test_a_made_up_text_is_always_the_same_and_its_words_all_differ(tmp_path):
    texts = [synthetic.write_text(tmp_path / name, 500, 900).read_text("utf-8") for name in "ab"]
    assert texts[0] == texts[1]
    sentences = [line.split() for line in texts[0].splitlines()]
    assert 500 <= corpus.count_tokens(sentences) < 600 and all(sentences)
    spelled = [synthetic.spell(rank) for rank in range(20_000)]
    assert len(set(spelled)) == 20_000
    assert len(spelled[0]) < len(spelled[-1]) < 10
