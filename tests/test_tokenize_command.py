"""`elmo-jax tokenize`: any text to one tokenized sentence per line."""

import io
import json
import sys
from pathlib import Path

import pytest
from commands import failing, running, summary

from elmo_jax import load, save


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.txt").write_text("She didn't go.  Why?\n\n“Ok”\n", encoding="utf-8")
    return tmp_path


def lines_of(capsys, *arguments):
    running(capsys, "tokenize", *arguments, "-o", "out.txt", "--overwrite")
    return Path("out.txt").read_bytes().decode("utf-8")


def test_lines_become_words_between_single_spaces(capsys):
    assert lines_of(capsys, "raw.txt") == 'She did n\'t go . Why ?\n\n" Ok "\n'
    assert lines_of(capsys, "raw.txt", "--tokenizer", "words").startswith("She didn't go . Why ?")


def test_a_hyphen_is_no_name_for_the_output(capsys, folder):
    assert "OUT is a file, not standard output" in failing(capsys, "tokenize", "raw.txt", "-o", "-")
    assert not (folder / "-").exists()


def test_what_it_wrote_is_read_as_the_same_words(capsys, folder):
    running(capsys, "tokenize", "raw.txt", "-o", "out.txt")
    running(capsys, "embed", "raw.txt", "-o", "raw.npz", "--tokenizer", "auto")
    running(capsys, "embed", "out.txt", "-o", "out.npz")
    assert (folder / "raw.npz").read_bytes() == (folder / "out.npz").read_bytes()


def test_the_summary_counts_sentences_and_tokens(capsys):
    counts = summary(capsys, "tokenize", "raw.txt", "-o", "out.txt")
    assert counts == {"output": "out.txt", "sentences": 3, "tokens": 10, "tokenizer": "treebank"}


def test_running_text_is_split_into_sentences(capsys):
    pytest.importorskip("sentencex")
    text = lines_of(capsys, "raw.txt", "--split-sentences", "en")
    assert text.splitlines() == ["She did n't go .", "Why ?", '" Ok "']


def test_every_format_is_read_and_standard_input_too(capsys, folder, monkeypatch):
    (folder / "a.jsonl").write_text(json.dumps({"t": "Hi!"}) + "\n" + '{"t": ["a.b", "c!"]}\n')
    assert lines_of(capsys, "a.jsonl", "--column", "t") == "Hi !\na.b c!\n"
    (folder / "a.fasta").write_text(">x\nMKT\n")
    assert lines_of(capsys, "a.fasta") == "M K T\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Hi!\n")))
    assert lines_of(capsys, "-") == "Hi !\n"


def test_auto_is_the_tokenizer_of_the_model(capsys, folder, make_model):
    auto = ["raw.txt", "--tokenizer", "auto"]
    assert lines_of(capsys, *auto) == lines_of(capsys, "raw.txt")
    save(folder / "letters", *load(make_model()[0]), metadata={"tokenizer": "characters"})
    assert lines_of(capsys, *auto, "--model", "letters").startswith("S h e d i d n ' t g o .")


@pytest.mark.parametrize(
    ("content", "name", "flags"),
    [
        ("New York\tis big\n", "a.txt", ["--tokenizer", "tabs"]),
        ('{"t": ["1\\u00a0000"]}\n', "a.jsonl", ["--column", "t"]),
        ('{"t": [""]}\n', "a.jsonl", ["--column", "t"]),
    ],
)
def test_words_that_would_not_come_back_are_refused(capsys, folder, content, name, flags):
    (folder / name).write_text(content)
    message = failing(capsys, "tokenize", name, "-o", "out.txt", *flags)
    assert f"{name}, line 1: the word" in message
    assert not (folder / "out.txt").exists()


@pytest.mark.parametrize("name", ["raw.txt", "out.jsonl", "out.txt.gz", "out.conllu"])
def test_an_input_or_another_format_is_not_overwritten(capsys, folder, name):
    before = (folder / "raw.txt").read_bytes()
    failing(capsys, "tokenize", "raw.txt", "-o", name, "--overwrite")
    assert {path.name for path in folder.iterdir()} == {"raw.txt"}
    assert (folder / "raw.txt").read_bytes() == before


def test_an_error_leaves_nothing(capsys, folder):
    (folder / "bad.txt").write_bytes(b"good\n" * 2000 + b"\xff\n")
    failing(capsys, "tokenize", "bad.txt", "-o", "out.txt")
    assert not (folder / "out.txt").exists()
    (folder / "out.txt").write_text("mine")
    assert "--overwrite" in failing(capsys, "tokenize", "raw.txt", "-o", "out.txt")
    assert (folder / "out.txt").read_text() == "mine"


def test_a_model_without_auto_is_refused(capsys, folder):
    message = failing(capsys, "tokenize", "raw.txt", "-o", "out.txt", "--model", "mini")
    assert "--model is for --tokenizer auto" in message and "got --tokenizer treebank" in message
    assert not (folder / "out.txt").exists()
