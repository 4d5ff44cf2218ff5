"""Raw text in commands: the tokenizer of the model, and a warning without it."""

import json

import numpy as np
import pytest
from commands import failing, running, summary

from elmo_jax import load, save
from elmo_jax.cli import main

RAW = "She sat by the bank. It's a river bank.\nDon't bank on it!\n"
TOKENIZED = "She sat by the bank . It 's a river bank .\nDo n't bank on it !\n"


@pytest.fixture
def texts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.txt").write_text(RAW)
    (tmp_path / "tokenized.txt").write_text(TOKENIZED)
    labels = "".join(f"{line}\tlabel\n" for line in RAW.splitlines())
    (tmp_path / "labelled.txt").write_text(labels)


COMMANDS = [
    ("neighbors", "bank", "raw.txt"),
    ("vectors", "raw.txt", "-o", "out.vec", "--overwrite"),
    ("anchors", "raw.txt", "-o", "out", "--overwrite"),
    ("explore", "bank", "raw.txt", "-o", "out.html", "--overwrite"),
    ("explore", "bank", "labelled.txt", "--label-column", "2", "-o", "out.html", "--overwrite"),
    ("similarity", "--input", "raw.txt"),
    ("similarity", *RAW.splitlines()),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_auto_reads_raw_text_as_the_model_was_trained(texts, capsys, command):
    raw = summary(capsys, *command, "--tokenizer", "auto")
    assert raw == summary(capsys, *command, "--tokenizer", "treebank")
    if "raw.txt" in command:
        tokenized = summary(capsys, *(part.replace("raw.", "tokenized.") for part in command))
        assert json.dumps(raw).replace("raw.", "tokenized.") == json.dumps(tokenized)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_without_a_tokenizer_raw_text_is_one_warning(texts, capsys, command):
    assert main(list(command)) == 0
    message = capsys.readouterr().err
    assert message.count("punctuation attached") == 1 and "--tokenizer auto" in message


def test_embed_makes_the_vectors_of_tokenized_text_from_raw_text(texts, capsys):
    running(capsys, "embed", "raw.txt", "-o", "raw.npz", "--tokenizer", "auto")
    running(capsys, "embed", "tokenized.txt", "-o", "tokenized.npz")
    with np.load("raw.npz") as raw, np.load("tokenized.npz") as tokenized:
        assert np.array_equal(raw["vectors"], tokenized["vectors"])


def test_auto_says_what_it_assumes(texts, make_model, capsys):
    folder, _ = make_model()
    command = ["neighbors", "bank", "raw.txt", "--model", folder, "--tokenizer", "auto"]
    assert main([*map(str, command)]) == 0
    assert "does not say how its training text was split; this assumes treebank" in (
        capsys.readouterr().err
    )
    save("recorded", *load(folder), metadata={"tokenizer": "characters"})
    message = failing(capsys, *command, "--model", "recorded")
    assert "'bank'" in message and "assumes" not in message


# A word that the text does not have


ABSENT = [
    ("bank", "raw.txt", [], "; 2 words contain it, such as 'bank.': the text looks raw, add"),
    ("do", "tokenized.txt", ["--exact"], " in this spelling. Expected a word as the tokenizer"),
    ("ban", "tokenized.txt", [], "; 2 words contain it, such as 'bank'."),
    ("ban", "raw.txt", ["--tokenizer", "auto"], "; 2 words contain it, such as 'bank'."),
    ("don't", "tokenized.txt", [], ": tokenized English has it split into 'do', \"n't\". Ask for"),
    ("don't", "raw.txt", ["--tokenizer", "auto"], ": the tokenizer 'treebank' splits it into 'do'"),
    ("fish", "raw.txt", [], ". Expected a word as the tokenizer yields it"),
]


@pytest.mark.parametrize("command", [["neighbors"], ["explore", "-o", "out.html"]], ids=str)
@pytest.mark.parametrize(("word", "text", "flags", "reason"), ABSENT)
def test_the_error_says_what_became_of_an_absent_word(
    tmp_path, capsys, monkeypatch, command, word, text, flags, reason
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.txt").write_text("She sat by the bank.\nA bank. It is.\n")
    (tmp_path / "tokenized.txt").write_text("She sat by the bank .\nA bank . Do n't .\n")
    name, *output = command
    message = failing(capsys, name, word, text, *output, *flags)
    assert f"{text} has 0 occurrences of {word!r}{reason}" in message


def test_a_sentence_without_the_word_is_explained_too(texts, capsys):
    sentence = ["--sentence", "I went to the bank."]
    message = failing(capsys, "neighbors", "bank", "tokenized.txt", *sentence)
    assert "'bank' is not a word of the sentence 'I went to the bank.'; 1 word con" in message
    running(capsys, "neighbors", "bank", "raw.txt", *sentence, "--tokenizer", "auto")
