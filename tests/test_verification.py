"""`elmo-jax info --verify` says what was checked, and fails for whatever is not as it was."""

import gzip

import numpy as np
import pytest
from checkpoint_files import edit_json
from commands import failing, summary
from damage import flipped

from elmo_jax import load, save
from elmo_jax.files import sha256_of

WORDS = ["<S>", "</S>", "<UNK>", "the", "of", "bank"]


@pytest.fixture
def saved(make_model, tmp_path):
    """Save a model with a softmax in a format; gives the folder."""
    config, params = load(make_model()[0])
    kernel = np.arange(36, dtype=np.float32).reshape(6, 6)
    params["softmax"] = {"kernel": kernel, "bias": kernel[0]}

    def saved(format="native"):
        save(tmp_path / format, config, params, format, vocabulary=WORDS)
        return tmp_path / format

    return saved


def verified(capsys, source):
    return summary(capsys, "info", source, "--verify")["verified"]


def test_every_file_of_a_native_model_has_a_digest(saved, capsys):
    assert verified(capsys, saved()) == {
        "config.json": "its digest",
        "model.safetensors": "the digests of 31 tensors",
        "vocab.txt": "its digest",
    }


def test_the_bundled_model_can_be_verified(capsys):
    assert set(verified(capsys, "mini")) == {"config.json", "model.safetensors", "vocab.txt"}


def test_of_a_format_without_digests_it_says_so(saved, capsys):
    folder = saved("hdf5")
    (folder / "vocab.txt.gz").write_bytes(gzip.compress((folder / "vocab.txt").read_bytes()))
    (folder / "vocab.txt").unlink()
    assert verified(capsys, folder) == {
        "weights": "no digests; 31 arrays of the right sizes, all numbers finite",
        "vocab.txt.gz": "no digest; 6 words, as many as the softmax has",
    }


def test_a_native_model_of_version_1_has_no_digests(saved, capsys):
    folder = saved()

    def as_version_1(content):
        del content["tensors"], content["sha256"]
        content["version"] = 1

    edit_json(folder / "config.json", as_version_1)
    assert verified(capsys, folder) == {
        "weights": "no digests; 31 arrays of the right sizes, all numbers finite",
        "vocab.txt": "its digest",
    }


def test_an_alphabet_has_a_digest(tmp_path, capsys):
    from test_native_damage import write_model

    assert "alphabet.json" in verified(capsys, write_model(tmp_path / "lexicon", "lexicon"))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_a_flipped_bit_is_one_line_on_stderr(saved, capsys, name):
    path = saved() / name
    path.write_bytes(flipped(path.read_bytes(), -3))
    message = failing(capsys, "info", path.parent, "--verify")
    assert name in message and message.count("\n") == 1


def test_it_is_shown_as_text(saved, capsys):
    from elmo_jax.cli import main

    assert main(["info", str(saved()), "--verify"]) == 0
    assert "verified: vocab.txt        its digest" in capsys.readouterr().out


def test_a_downloaded_model_is_compared_with_the_hashes_of_its_download(saved, capsys):
    folder = saved("hdf5")
    names = ("options.json", "weights.hdf5")
    sums = [f"{sha256_of(folder / name)}  {name}" for name in names]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    found = verified(capsys, folder)
    assert {found[name] for name in names} == {"its SHA-256, as published or downloaded"}
    path = folder / "weights.hdf5"
    path.write_bytes(flipped(path.read_bytes(), -3))
    assert "weights.hdf5" in failing(capsys, "info", folder, "--verify")
