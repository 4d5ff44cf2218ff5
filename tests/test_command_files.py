"""What every command refuses to read as text, and to write over."""

import io
import os
import sys

import numpy as np
import pytest
from commands import failing, summary

from elmo_jax import ElmoConfig, ElmoError, save
from elmo_jax.files import refuse_input
from elmo_jax.model.bilm import init_params
from elmo_jax.training import Corpus, survey

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
TEXT = "the bank of the river\nthe bank lent money\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a text, a model in each format, and anchors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text(TEXT)
    config = ElmoConfig.preset("tiny")
    params = init_params(config, seed=0)
    save("model", config, params)
    save("published", config, params, "hdf5")
    (tmp_path / "anchors").mkdir()
    (tmp_path / "anchors" / "avg_embeds_1.txt").write_text("2 2\nthe 1 0\nbank 0 1\n")
    (tmp_path / "anchors" / "norms.json").write_text('{"avg_norm_layer_1": 1.0}')
    return tmp_path


# Every place where a command reads text; X is the file.
READS_TEXT = {
    "embed": "embed X -o out.npz",
    "embed, as CoNLL-U": "embed X -o out.npz --input-format conllu",
    "embed, as a table": "embed X -o out.npz --input-format csv --column text",
    "embed, split": "embed X -o out.npz --split-sentences",
    "neighbors": "neighbors bank X",
    "explore": "explore bank X -o out.html",
    "explore --labels": "explore bank a.txt --labels X -o out.html",
    "explore --label-column": "explore bank X --label-column 1 -o out.html",
    "similarity --input": "similarity --input X",
    "anchors": "anchors X -o out",
    "anchors --only-words": "anchors a.txt --only-words X -o out",
    "vectors": "vectors X -o out.txt",
    "vectors --only-words": "vectors a.txt --only-words X -o out.txt",
    "align": "align X -o out.npz",
    "align --dictionary": "align anchors anchors --dictionary X -o out.npz",
    "train": "train X --preset tiny -o out",
    "train, as text": "train X --preset tiny --input-format text -o out",
    "train --valid": "train a.txt --valid X --preset tiny -o out",
    "train --vocabulary": "train a.txt --vocabulary X --preset tiny -o out",
    "init --vocabulary": "init --vocabulary X -o out",
    "token-table": "token-table X -o out.h5",
}


@pytest.mark.parametrize("command", READS_TEXT.values(), ids=READS_TEXT)
def test_a_binary_file_is_never_read_as_text(folder, capsys, command):
    (folder / "x.txt").write_bytes(PNG)
    error = failing(capsys, *command.replace("X", "x.txt").split())
    assert "x.txt is a PNG image" in error
    assert not list(folder.glob("out*")), "and nothing is written"


# Every input of a command that writes; X is that input, and OUT what is written.
LOSES_INPUT = {
    "embed": ("a.npz", "embed X --input-format text -o X"),
    "embed --weight-file": (
        "published/weights.hdf5",
        "embed a.txt --options-file published/options.json --weight-file X -o X",
    ),
    "embed --model": ("published/weights.hdf5", "embed a.txt --model published -o X"),
    "embed --alignment": ("matrix.npz", "embed a.txt --alignment X -o X"),
    "embed --token-table": ("table.h5", "embed a.txt --token-table X -o X"),
    "explore": ("a.html", "explore bank X --input-format text -o X"),
    "explore --labels": ("a.html", "explore bank a.txt --labels X -o X"),
    "similarity --input": ("a.html", "similarity --input X --input-format text -o X"),
    "anchors": ("out/avg_embeds_1.txt", "anchors X -o out"),
    "anchors --only-words": ("out/avg_embeds_1.txt", "anchors a.txt --only-words X -o out"),
    "vectors": ("a.vec", "vectors X --input-format text -o X"),
    "vectors --only-words": ("a.vec", "vectors a.txt --only-words X -o X"),
    "align": ("out.npz", "align X -o X"),
    "align --dictionary": ("out.npz", "align anchors anchors --dictionary X -o X"),
    "align --test-dictionary": (
        "out.npz",
        "align anchors anchors --dictionary a.txt --test-dictionary X -o X",
    ),
    "token-table": ("words.h5", "token-table X -o X"),
    "export": ("model.npz", "export X -o X"),
    "convert": ("model/config.json", "convert model --format native -o model"),
    "convert --vocabulary": ("new/vocab.txt", "convert model --vocabulary X -o new"),
    "init --vocabulary": ("new/vocab.txt", "init --vocabulary X -o new"),
    "init --options-file": ("new/config.json", "init --options-file X -o new"),
}


@pytest.mark.parametrize(("name", "command"), LOSES_INPUT.values(), ids=LOSES_INPUT)
def test_no_command_writes_over_what_it_reads(folder, capsys, name, command):
    path = folder / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        source = "model/config.json" if name.endswith("json") else "a.txt"
        path.write_bytes((folder / source).read_bytes())
    before = path.read_bytes()
    error = failing(capsys, *command.replace("X", name).split(), "--overwrite")
    assert "it is the input" in error
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["run.json", "vocab.txt", "metrics.jsonl", "summary.json"])
def test_training_writes_over_none_of_its_texts(folder, capsys, name):
    path = folder / "run" / name
    path.parent.mkdir()
    path.write_text(TEXT)
    command = ["train", "a.txt", "--valid", path, "--preset", "tiny", "-o", "run"]
    assert "it is the input" in failing(capsys, *command, "--input-format", "text")
    assert path.read_text() == TEXT


@pytest.mark.parametrize("how", ["itself", "another spelling", "a symbolic link", "a hard link"])
def test_an_input_is_known_under_whatever_name(folder, how):
    output = folder / "out.npz"
    if how == "itself":
        output = folder / "a.txt"
    elif how == "another spelling":
        output = folder / "model" / ".." / "a.txt"
    elif how == "a symbolic link":
        output.symlink_to("a.txt")
    else:
        os.link("a.txt", output)
    with pytest.raises(ElmoError, match=r"it is the input a\.txt, which would be lost"):
        refuse_input(output, ["a.txt"])


def test_the_file_behind_standard_input_is_an_input(folder, monkeypatch, capsys):
    (folder / "a.csv").write_text(TEXT)
    with (folder / "a.csv").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        error = failing(capsys, "embed", "-", "-o", "a.csv", "--pooling", "mean", "--overwrite")
    assert "Cannot write a.csv: it is the input standard input" in error
    assert (folder / "a.csv").read_text() == TEXT
    monkeypatch.setattr(sys, "stdin", io.StringIO(TEXT))  # behind which there is no file
    refuse_input(folder / "a.csv", ["-"])


def test_a_file_named_twice_is_read_twice_by_every_command(folder, capsys):
    model = ["--model", "model"]
    embedded = summary(capsys, "embed", "a.txt", "a.txt", "-o", "out.npz", *model)
    assert (embedded["sentences"], embedded["tokens"]) == (4, 18)
    with np.load("out.npz") as vectors:
        assert np.diff(vectors["offsets"]).tolist() == [5, 4, 5, 4]
    anchors = summary(capsys, "anchors", "a.txt", "a.txt", "-o", "out", *model)
    assert anchors["tokens"] == 18
    once, twice = (survey(Corpus.of(files)) for files in (["a.txt"], ["a.txt", "a.txt"]))
    assert twice.n_sentences == 2 * once.n_sentences and twice.n_words == 2 * once.n_words
    pattern = survey(Corpus.of(["a.txt", "?.txt"]))
    assert pattern.n_sentences == once.n_sentences


def test_a_file_named_like_a_model_is_not_that_model(folder):
    np.savez("mini.npz", a=np.zeros(2))
    from elmo_jax.cli.models import files_in

    assert folder / "mini.npz" not in [path.absolute() for path in files_in(folder / "mini")]
    (folder / "model.ckpt-7.index").touch()
    (folder / "model.ckpt-7.data-00000-of-00001").touch()
    names = [path.name for path in files_in(folder / "model.ckpt-7")]
    assert names == ["model.ckpt-7.data-00000-of-00001", "model.ckpt-7.index"]


def test_a_model_in_the_place_of_a_text_is_answered_with_the_flag_for_models(folder, capsys):
    for name, hint in (("options.json", True), ("notes.txt", False)):
        (folder / name[:2]).mkdir()
        (folder / name[:2] / name).touch()
        message = failing(capsys, "evaluate", folder / name[:2])
        assert "Expected text files, got the folder" in message and ("--model" in message) == hint
