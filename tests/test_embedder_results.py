"""What `Elmo` returns besides arrays for each sentence: words, padding, JAX arrays, and a bar."""

import io
import subprocess
import sys

import jax
import numpy as np
import pytest
from checkpoint_files import message_of

import elmo_jax
from elmo_jax import ElmoConfig, EmbeddedTokens
from elmo_jax.embedder.results import empty_aligned, to_jax
from elmo_jax.model.bilm import init_params

SENTENCES = [["The", "bank", "."], [], ["naïve"]]

# The same sentence, in other company.
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def elmo():
    config = ElmoConfig.preset("tiny")
    return elmo_jax.Elmo.from_params(config, init_params(config, seed=0))


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)


# Words


def test_words_come_with_their_vectors(elmo):
    sentences = [tuple(SENTENCES[0]), np.array(SENTENCES[2])]
    results = elmo.embed(sentences, return_tokens=True)
    assert all(type(result) is EmbeddedTokens for result in results)
    assert [result.tokens for result in results] == [SENTENCES[0], SENTENCES[2]]
    assert all(type(result.tokens) is list for result in results)
    close(results[0].vectors, elmo.embed(SENTENCES)[0])


def test_words_that_a_tokenizer_made_are_as_many_as_their_vectors(elmo):
    (result,) = elmo.embed(["It isn't."], layers=1, tokenizer="auto", return_tokens=True)
    tokens, vectors = result
    assert tokens == ["It", "is", "n't", "."] and vectors.shape == (4, elmo.dim)


# One array


@pytest.mark.parametrize("layers", ["all", "average", 0])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_padded_array_has_the_vectors_and_then_zeros(elmo, layers, dtype):
    vectors, lengths = elmo.embed_padded(SENTENCES, layers, dtype=dtype)
    assert vectors.shape == ((3, 3, 3, elmo.dim) if layers == "all" else (3, 3, elmo.dim))
    assert vectors.dtype == dtype and lengths.dtype == np.int32
    assert lengths.tolist() == [3, 0, 1]
    for padded, length, exact in zip(
        vectors, lengths, elmo.embed(SENTENCES, layers, dtype=dtype), strict=True
    ):
        np.testing.assert_allclose(padded[..., :length, :], exact, rtol=2e-3, atol=TOLERANCE)
        assert not padded[..., length:, :].any()


def test_a_padded_array_of_nothing_is_empty(elmo):
    vectors, lengths = elmo.embed_padded([])
    assert vectors.shape == (0, 3, 0, elmo.dim) and lengths.shape == (0,)
    vectors, lengths = elmo.embed_padded([[], []], layers=1)
    assert vectors.shape == (2, 0, elmo.dim) and lengths.tolist() == [0, 0]


def test_strings_are_padded_too(elmo):
    vectors, lengths = elmo.embed_padded(["It isn't.", ["a"]], layers=1, tokenizer="auto")
    assert lengths.tolist() == [4, 1]
    close(vectors[0], elmo.embed([["It", "is", "n't", "."]], layers=1)[0])


# JAX arrays


def jax_results(elmo, **choices):
    """The results of all methods, each as a list of arrays."""
    padded, lengths = elmo.embed_padded(SENTENCES, as_jax=True, **choices)
    listed = elmo.embed(SENTENCES, as_jax=True, **choices)
    tokens = elmo.embed(SENTENCES, as_jax=True, return_tokens=True, **choices)
    pooled = elmo.embed_sentences(SENTENCES, as_jax=True, **choices)
    return [padded, lengths, *listed, *(vectors for _, vectors in tokens), pooled]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_results_can_be_jax_arrays(elmo, dtype):
    results = jax_results(elmo, layers=1, dtype=dtype)
    assert all(isinstance(result, jax.Array) for result in results)
    assert {result.dtype.name for result in results} == {dtype, "int32"}
    numpys = elmo.embed(SENTENCES, layers=1, dtype=dtype)
    for actual, expected in zip(results[2:5], numpys, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=2e-3, atol=TOLERANCE)


def test_jax_arrays_lie_on_the_first_device_of_the_elmo(elmo):
    there = jax.devices()[:1]
    other = elmo_jax.Elmo.from_params(elmo.config, elmo.params, devices=there)
    assert all(result.devices() == {*there} for result in jax_results(other))


@pytest.mark.slow
def test_jax_arrays_follow_the_devices_of_the_elmo():
    program = """
import elmo_jax, jax
from elmo_jax.model.bilm import init_params
config = elmo_jax.ElmoConfig.preset("tiny")
devices = jax.devices()[2:]
elmo = elmo_jax.Elmo.from_params(config, init_params(config, seed=0), devices=devices)
for result in (elmo.embed_sentences([["a"]], as_jax=True), *elmo.embed([["a"]], as_jax=True)):
    print(result.devices() == {devices[0]})
"""
    flags = "import os; os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=4'\n"
    result = subprocess.run(
        [sys.executable, "-c", flags + program], capture_output=True, text=True, check=True
    )
    assert result.stdout == "True\nTrue\n"


@pytest.mark.parametrize("shape", [(3, 8), (1, 1), (5, 3, 7, 2), (0, 4)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_aligned_array_becomes_a_jax_array_without_a_copy_on_a_cpu(shape, dtype):
    array = empty_aligned(shape, dtype)
    assert array.shape == shape and array.dtype == dtype and array.flags.c_contiguous
    array[...] = 2
    result = to_jax(array, None)
    assert np.asarray(result).tolist() == array.tolist()
    if array.size and jax.default_backend() == "cpu":
        assert result.unsafe_buffer_pointer() == array.ctypes.data


def test_numpy_takes_jax_arrays_without_a_copy(elmo):
    if jax.default_backend() != "cpu":
        pytest.skip("NumPy reads the memory of the CPU only")
    vectors = elmo.encode(["The bank."], convert_to_numpy=False)
    shared = np.from_dlpack(vectors)
    assert shared.ctypes.data == vectors.unsafe_buffer_pointer()
    close(shared, elmo.encode(["The bank."]))


def test_torch_takes_jax_arrays_without_a_copy(elmo):
    torch = pytest.importorskip("torch")
    vectors = elmo.encode(["The bank."], convert_to_numpy=False)
    tensor = torch.from_dlpack(vectors)
    assert tensor.data_ptr() == vectors.unsafe_buffer_pointer()
    close(tensor.cpu().numpy(), elmo.encode(["The bank."]))


# A bar


class Terminal(io.StringIO):
    """A stderr that people look at."""

    def isatty(self):
        return True


CALLS = {
    "embed": lambda elmo, shown: elmo.embed(SENTENCES, progress=shown),
    "embed_padded": lambda elmo, shown: elmo.embed_padded(SENTENCES, progress=shown),
    "embed_sentences": lambda elmo, shown: elmo.embed_sentences(SENTENCES, progress=shown),
    "encode": lambda elmo, shown: elmo.encode(SENTENCES, show_progress_bar=shown),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_bar_counts_all_tokens_on_a_terminal_if_asked_for(elmo, monkeypatch, capsys, call):
    monkeypatch.setattr(sys, "stderr", Terminal())
    call(elmo, False)
    assert sys.stderr.getvalue() == ""
    call(elmo, True)
    assert "4.00/4.00" in sys.stderr.getvalue() and "token" in sys.stderr.getvalue()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_there_is_no_bar_without_a_terminal(elmo, capsys, call):
    call(elmo, True)
    assert capsys.readouterr() == ("", "")


def test_no_bar_loads_nothing():
    code = (
        "import sys, elmo_jax; from elmo_jax.model.bilm import init_params\n"
        "config = elmo_jax.ElmoConfig.preset('tiny')\n"
        "elmo = elmo_jax.Elmo.from_params(config, init_params(config, seed=0))\n"
        "elmo.embed([['a']]); elmo.encode('a', show_progress_bar=None)\n"
        "print('tqdm' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("embed", "progress"),
        ("embed", "as_jax"),
        ("embed", "return_tokens"),
        ("embed_padded", "as_jax"),
        ("embed_sentences", "progress"),
        ("embed_sentences", "as_jax"),
    ],
)
def test_a_flag_is_true_or_false(elmo, method, name):
    message = message_of(getattr(elmo, method), SENTENCES, **{name: "yes"})
    assert message == f"{name} is 'yes', expected True or False."
