"""--mix-weights and --mix-gamma: the mix that a command writes, and what it refuses."""

import json

import numpy as np
import pytest
from commands import failing, summary
from random_models import random_elmo

from elmo_jax import Elmo, ElmoError, save, word_vectors
from elmo_jax.corpus import embed_corpus
from elmo_jax.text.readers import Records

WEIGHTS = [0.5, -1.0, 2.0]
OTHERS = {"weights": np.float32([-1.0, 0.0, 1.0]), "gamma": np.float32(2.0)}


@pytest.fixture
def folder(tmp_path):
    """A model with two mixes of its own."""
    model = random_elmo(0)
    mixes = {"0": {"weights": np.float32(WEIGHTS), "gamma": np.float32(1.0)}, "1": OTHERS}
    save(tmp_path / "model", model.config, {**model.params, "scalar_mixes": mixes})
    return tmp_path / "model"


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the bank of the river\nHi\n")
    return path


def vectors_in(path):
    with np.load(path) as arrays:
        return arrays["vectors"]


def written(tmp_path, form):
    """WEIGHTS in a form that the flag takes."""
    path = tmp_path / f"weights.{form}"
    if form == "numbers":
        return "0.5,-1,2"
    if form == "npy":
        np.save(path, np.float64(WEIGHTS))
    else:
        texts = {"json": json.dumps(WEIGHTS), "txt": "0.5 -1\n2.0\n", "csv": "0.5, -1e0, 2\n"}
        path.write_text(texts[form])
    return path


@pytest.mark.parametrize("form", ["numbers", "npy", "json", "txt", "csv"])
def test_weights_are_numbers_or_a_file_of_them(folder, corpus, tmp_path, capsys, form):
    out, weights = tmp_path / "out.npz", written(tmp_path, form)
    flags = ["--layers", "mix", "--mix-weights", weights, "--mix-gamma", 1.5, "--quiet"]
    result = summary(capsys, "embed", corpus, "-o", out, "--model", folder, *flags)
    assert result["layers"] == "mix"
    sentences = [line.split() for line in corpus.read_text().splitlines()]
    mix = {"mix_weights": WEIGHTS, "mix_gamma": 1.5}
    expected = Elmo(folder).embed(sentences, "mix", **mix)
    np.testing.assert_array_equal(vectors_in(out), np.concatenate(expected))


def test_a_whole_number_is_the_number_of_a_mix(folder, corpus, tmp_path, capsys):
    common = ["--model", folder, "--quiet", "--layers", "mix", "-o"]
    summary(capsys, "embed", corpus, *common, tmp_path / "a.npz", "--mix-weights", "1")
    summary(
        capsys,
        "embed",
        corpus,
        *common,
        tmp_path / "b.npz",
        "--mix-weights=-1,0,1",
        "--mix-gamma=2",
    )
    np.testing.assert_array_equal(vectors_in(tmp_path / "a.npz"), vectors_in(tmp_path / "b.npz"))
    out = tmp_path / "c.npz"
    assert "2 scalar mixes: choose one" in failing(capsys, "embed", corpus, *common, out)
    message = failing(capsys, "embed", corpus, *common, out, "--mix-weights", 7)
    assert "no scalar mix 7" in message


def test_vectors_and_export_take_the_same_flags(folder, corpus, tmp_path, capsys):
    flags = ["--layers", "mix", "--mix-weights", "0.5,-1,2", "--mix-gamma", 1.5]
    out = tmp_path / "out.bin"
    summary(capsys, "vectors", corpus, "-o", out, "--model", folder, "--quiet", *flags)
    sentences = [line.split() for line in corpus.read_text().splitlines()]
    mix = {"mix_weights": WEIGHTS, "mix_gamma": 1.5}
    expected = word_vectors.average(Elmo(folder), sentences, "mix", **mix)
    np.testing.assert_array_equal(word_vectors.WordVectors.load(out).vectors, expected.vectors)
    one = word_vectors.in_context(Elmo(folder), "bank", sentences, "mix", **mix)
    np.testing.assert_allclose(expected["bank"], one[0], atol=1e-6)
    message = failing(capsys, "export", folder, "-o", tmp_path / "f.npz", *flags[:2])
    assert "2 scalar mixes: choose one" in message


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--mix-weights", "0,1,2"], "belong to --layers mix, got --layers all"),
        (["--mix-gamma", "2", "--layers", "top"], "belong to --layers mix, got --layers top"),
        (["--layers", "mix", "--mix-weights", "none.json"], "there is no such file"),
        (["--layers", "mix", "--mix-weights", "0.5,x"], "'0.5,x': there is no such file"),
        (
            ["--layers", "mix", "--mix-weights", "0.5,1"],
            "--mix-weights has shape (2,), expected (3,)",
        ),
        (["--layers", "mix", "--mix-weights", "0,1,nan"], "--mix-weights[2] is nan"),
        (["--layers", "mix", "--mix-weights", "0,1,2", "--mix-gamma", "inf"], "--mix-gamma is inf"),
    ],
)
def test_what_is_no_mix_is_refused(corpus, tmp_path, capsys, flags, problem):
    assert problem in failing(capsys, "embed", corpus, "-o", tmp_path / "out.npz", *flags)
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.json", b"[1, 2", "is not JSON"),
        ("a.json", b'["a", "b", "c"]', "expected numbers"),
        ("a.txt", b"", "expected one number for each layer, as text, JSON or .npy"),
        ("a.txt", b"\xff\xfe0\0", "expected one number for each layer"),
        ("a.npy", b"1 2 3", "cannot be read"),
        ("a.txt", b" " * (1 << 20) + b"1", "too large"),
    ],
)
def test_files_without_weights_are_refused(corpus, tmp_path, capsys, name, content, problem):
    weights, out = tmp_path / name, tmp_path / "out.npz"
    weights.write_bytes(content)
    flags = ["--layers", "mix", "--mix-weights", weights]
    assert problem in failing(capsys, "embed", corpus, "-o", out, *flags)


def test_the_file_of_weights_is_never_replaced(corpus, tmp_path, capsys):
    weights = tmp_path / "weights.txt"
    weights.write_text("1 2 3")
    flags = ["--layers", "mix", "--mix-weights", weights, "-o", weights, "--overwrite"]
    for command in ("embed", "vectors"):
        assert "would be lost" in failing(capsys, command, corpus, *flags)
    assert weights.read_text() == "1 2 3"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"mix_weights": 1}, {"mix_weights": 0}),
        ({"mix_weights": [0, 1, 2]}, {"mix_weights": [0, 1, 3]}),
        ({"mix_weights": 1}, {"mix_weights": 1, "mix_gamma": 2.0}),
        ({}, {"mix_gamma": 2.0}),
    ],
)
def test_parts_of_another_mix_are_not_joined(corpus, tmp_path, first, second):
    model = random_elmo(0)
    mixes = {"0": OTHERS, "1": OTHERS} if "mix_weights" in first else {"0": OTHERS}
    elmo = Elmo.from_params(model.config, {**model.params, "scalar_mixes": mixes})
    records, out = Records.of(corpus), tmp_path / "out.npz"
    embed_corpus(elmo, records, out, "mix", **first, part_tokens=1, shard=(1, 2))
    with pytest.raises(ElmoError, match=r"mix_(weights|gamma) .* instead of"):
        embed_corpus(elmo, records, out, "mix", **second, part_tokens=1, shard=(2, 2))
