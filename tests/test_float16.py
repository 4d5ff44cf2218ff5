"""float16 results hold every number, or there is an error: none becomes infinite."""

import jax.numpy as jnp
import numpy as np
import pytest

import elmo_jax
from elmo_jax import ElmoError
from elmo_jax.engine.outputs import check_float16
from elmo_jax.model.bilm import init_params
from elmo_jax.model.config import dtype_name

SENTENCES = [["a", "bank"], ["b"], ["large", "a"]]


@pytest.fixture(scope="module")
def tiny():
    config = elmo_jax.ElmoConfig.preset("tiny")
    return config, init_params(config, seed=0)


@pytest.fixture(scope="module")
def large(tiny):
    """A model with an alignment that makes the vectors of its layer 1 too large for float16."""
    config, params = tiny
    matrix = np.full((config.output_dim, config.output_dim), 3e6, np.float32)
    return elmo_jax.Elmo.from_params(config, {**params, "alignment": {"layer_1": matrix}})


WAYS = {
    "embed": lambda elmo, **choices: elmo.embed(SENTENCES, **choices),
    "stream": lambda elmo, **choices: list(elmo.stream(SENTENCES, **choices)),
    "mean": lambda elmo, **choices: list(elmo.stream(SENTENCES, pooling="mean", **choices)),
    "max": lambda elmo, **choices: elmo.embed_sentences(SENTENCES, pooling="max", **choices),
}


@pytest.mark.parametrize("way", WAYS)
def test_numbers_that_float16_cannot_hold_are_an_error(large, way):
    embed = WAYS[way]
    with pytest.raises(
        ElmoError, match=r"sentence( 0)? have numbers beyond 65,504.*dtype='float32'"
    ):
        embed(large, layers=1, dtype="float16")
    assert all(np.isfinite(x).all() for x in embed(large, layers=1, dtype="float32"))
    assert all(np.isfinite(x).all() for x in embed(large, layers=0, dtype="float16"))


@pytest.mark.parametrize("way", WAYS)
def test_a_gamma_that_float16_cannot_hold_is_an_error(tiny, way):
    elmo, mix = elmo_jax.Elmo.from_params(*tiny), {"mix_weights": [0.0, 0.0, 0.0]}
    with pytest.raises(ElmoError, match=r"sentence( 0)? have numbers beyond 65,504"):
        WAYS[way](elmo, layers="mix", **mix, mix_gamma=1e7, dtype="float16")


def test_the_error_names_the_sentence(tiny, monkeypatch):
    elmo = elmo_jax.Elmo.from_params(*tiny)
    results = [np.zeros((2, 8), np.float16), np.full((1, 8), -65504, np.float16)]
    results += [np.array([[0.0, -np.inf]], np.float16)]
    monkeypatch.setattr(elmo._engine, "run", lambda *_: (result for result in results))
    with pytest.raises(ElmoError, match="of sentence 2 have"):
        elmo.embed(SENTENCES, dtype="float16")
    taken = []
    with pytest.raises(ElmoError, match="of the next sentence have"):
        taken.extend(elmo.stream(SENTENCES, dtype="float16"))
    assert len(taken) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -np.nan])
def test_each_number_that_is_not_finite_is_seen(bad):
    for position in range(8):
        result = np.full((2, 4), -65504, np.float16)
        check_float16(result, "sentence 0")
        result.flat[position] = bad
        with pytest.raises(ElmoError):
            check_float16(result, "sentence 0")


@pytest.mark.parametrize("dtype", [np.float16, jnp.float16, np.dtype("float16")])
def test_a_dtype_may_be_that_of_numpy_or_jax(tiny, tmp_path, dtype):
    elmo = elmo_jax.Elmo.from_params(*tiny)
    for way in WAYS.values():
        expected = way(elmo, layers=1, dtype="float16")
        for vectors, others in zip(way(elmo, layers=1, dtype=dtype), expected, strict=True):
            np.testing.assert_array_equal(vectors, others, strict=True)
    elmo_jax.save(tmp_path / "half", *tiny, dtype=dtype)
    elmo_jax.save(tmp_path / "other", *tiny, dtype="float16")
    halves = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("half", "other")]
    assert halves[0] == halves[1]
    records = [elmo_jax.text.readers.Record(sentence, " ".join(sentence)) for sentence in SENTENCES]
    summary = elmo_jax.corpus.embed_corpus(elmo, records, tmp_path / "out.npz", 1, dtype=dtype)
    assert summary["dtype"] == "float16"


def test_an_unknown_dtype_is_named():
    for dtype, shown in (
        (np.float64, "'float64'"),
        (jnp.bfloat16, "'bfloat16'"),
        (np.dtype("i4"), "'int32'"),
        (None, "None"),
        (2, "2"),
    ):
        with pytest.raises(
            ElmoError, match=rf"^Unknown dtype {shown}: expected one of float32, float16\."
        ):
            dtype_name(dtype)
    with pytest.raises(ElmoError, match=r"float16\. Did you mean 'float16'\?$"):
        dtype_name("flaot16")
