"""A model as a file: the same vectors in a process that has no elmo_jax."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from random_models import ABSENT, random_elmo

import elmo_jax
from elmo_jax import ElmoError
from elmo_jax.cli import main

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "exported.py"
SENTENCES = [["The", "bank", "of", "naïve", "日本語"], [], ["<S>", "x" * 60, "Hi"]]

pytestmark = pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")

SERVE = """
import runpy, sys
import numpy as np
sys.modules["elmo_jax"] = None  # from here on, importing it raises
example, path, out = sys.argv[1:]
embed = runpy.run_path(example)["load"](path)
np.save(out, embed({sentences}))
"""


@pytest.fixture(scope="module")
def elmo():
    return random_elmo(3, n_layers=1, n_highway=ABSENT)


def served(path, tmp_path):
    """Vectors of SENTENCES from a process of its own."""
    out = tmp_path / "out.npy"
    code = SERVE.format(sentences=SENTENCES)
    subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-c", code, str(EXAMPLE), str(path), str(out)],
        cwd=tmp_path,
        check=True,
    )
    return np.load(out)


def test_a_served_function_gives_the_librarys_vectors(elmo, tmp_path):
    path = tmp_path / "elmo.npz"
    elmo_jax.export_function(path, elmo.config, elmo.params, platforms=["cpu"])
    vectors = served(path, tmp_path)
    batch = elmo_jax.encode_batch(SENTENCES, elmo.config)
    wanted = elmo_jax.pooled_sentences(elmo.params, *batch, config=elmo.config)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, wanted, rtol=1e-6, atol=1e-6)


def test_the_examples_encode_is_encode_batch(elmo):
    names = runpy.run_path(str(EXAMPLE))
    encode = names["encode"]
    words = ["</S>", "<S>", "é" * 40, "\ud800a", "😀"]
    width = elmo.config.max_characters_per_token
    for ours, wanted in zip(
        encode([words, []], width, names["bytes_of"]),
        elmo_jax.encode_batch([words, []], elmo.config),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, wanted)


def test_the_example_compiles_few_shapes():
    names = runpy.run_path(str(EXAMPLE))
    encode, spell = names["encode"], names["bytes_of"]
    batches = {n: encode([["a"] * n] * 3, 50, spell) for n in range(1, 61)}
    filled = {n: names["pad"](*batch) for n, batch in batches.items()}
    shapes = {char_ids.shape[:2] for char_ids, _ in filled.values()}
    assert shapes == {(4, 2**power) for power in range(7)}
    for n, (char_ids, lengths) in filled.items():
        np.testing.assert_array_equal(char_ids[:3, :n], batches[n][0])
        assert lengths.tolist() == [n, n, n, 0] and not char_ids[:3, n:].any()


def test_token_vectors_can_be_exported_without_a_softmax_that_the_model_has(elmo, tmp_path):
    from jax import export

    params = {**elmo.params, "softmax": {"kernel": np.zeros((9, 6)), "bias": np.zeros(9)}}
    path = tmp_path / "layer.npz"
    elmo_jax.export_function(path, elmo.config, params, layers=1, pooling=None)
    with np.load(path) as file:
        exported = export.deserialize(bytearray(file["function"]))
        assert not any("softmax" in name for name in file.files)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert [str(n) for n in exported.out_avals[0].shape] == ["sentences", "tokens", "12"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": "bottom"}, "Unknown layers='bottom'"),
        ({"pooling": "sum"}, "Unknown pooling='sum'"),
        ({"precision": "half"}, "Unknown precision 'half'"),
        ({"platforms": "cpu"}, "expected a list of any of cpu, cuda, rocm, tpu"),
        ({"platforms": ["gpu"]}, r"platforms is \['gpu'\]"),
    ],
)
def test_what_cannot_be_exported_is_said_and_nothing_is_written(elmo, tmp_path, options, message):
    with pytest.raises(ElmoError, match=message):
        elmo_jax.export_function(tmp_path / "elmo.npz", elmo.config, elmo.params, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_flatbuffers_is_named_with_the_extra(elmo, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    monkeypatch.delitem(sys.modules, "jax._src.export.serialization", raising=False)
    with pytest.raises(ElmoError, match=r"elmo-jax\[export\]"):
        elmo_jax.export_function(tmp_path / "elmo.npz", elmo.config, elmo.params, layers=0)


def test_the_command_exports_and_does_not_replace_a_file(tmp_path, make_model, capsys):
    folder, _ = make_model(3)
    out = tmp_path / "elmo.npz"
    argv = ["export", str(folder), "-o", str(out), "--layers", "0", "--platforms", "cpu"]
    assert main(argv) == 0 and out.is_file()
    assert str(out) in capsys.readouterr().out
    assert main(argv) == 1 and "exists already" in capsys.readouterr().err
