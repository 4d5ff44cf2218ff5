"""Absurd options of the commands that make and convert models end in one line."""

import copy
import json

import pytest
from commands import failing
from random_models import random_model

from elmo_jax import load, save


def options_with(tmp_path, **sizes):
    options = copy.deepcopy(random_model(0)[0])
    options["lstm"].update(sizes)
    path = tmp_path / "options.json"
    path.write_text(json.dumps(options))
    return path


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_layers": 10**9},
        {"dim": 10**6, "projection_dim": 10**6},
        {"dim": 50_000, "projection_dim": 30_000},
        {"dim": 10**12},
        {"n_layers": "two"},
        {"cell_clip": {}},
    ],
    ids=str,
)
def test_a_model_that_no_machine_can_hold_is_refused_at_once(tmp_path, capsys, sizes):
    path = options_with(tmp_path, **sizes)
    message = failing(capsys, "init", "--options-file", path, "-o", tmp_path / "out")
    assert message.count("\n") == 1 and "a fault of this program" not in message
    assert [file.name for file in tmp_path.iterdir()] == ["options.json"]


@pytest.mark.parametrize("output", [".", "..", "file", "file/out", "a" * 300])
@pytest.mark.parametrize("command", ["init", "convert"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, capsys, monkeypatch, command, output):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "file").write_text("mine")
    model = ["--format", "native"] if command == "convert" else []
    message = failing(capsys, command, *model, "-o", output, "--overwrite")
    assert message.count("\n") == 1 and "a fault of this program" not in message
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["file"]


@pytest.mark.parametrize(
    "option",
    ["lstm.n_layers=1000000000", "lstm.dim=x", "lstm.cell_clip=1e400", "lstm=3", "x", "="],
)
@pytest.mark.parametrize("command", ["info", "convert"])
def test_an_absurd_option_is_one_line(make_model, tmp_path, capsys, command, option):
    save(tmp_path / "native", *load(make_model()[0]))
    output = ["-o", tmp_path / "out"] if command == "convert" else []
    message = failing(capsys, command, tmp_path / "native", "--option", option, *output)
    assert message.count("\n") == 1 and "a fault of this program" not in message
    assert not (tmp_path / "out").exists()


def test_a_vocabulary_is_refused_for_a_new_model_that_reads_bytes(tmp_path, capsys):
    (tmp_path / "words").write_text("<S>\n</S>\n<UNK>\na\n")
    command = ["init", "-o", tmp_path / "out", "--preset", "tiny"]
    message = failing(capsys, *command, "--vocabulary", tmp_path / "words")
    assert "is for a model that reads whole words" in message
    assert not (tmp_path / "out").exists()
