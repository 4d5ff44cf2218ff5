"""Scalar mix, as a function and as a module: equal to the oracle with every option."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from blocks import ROOT, blocks_of
from comparing import assert_close, padded
from random_models import random_elmo

import elmo_jax
from elmo_jax import ElmoError, ScalarMix, scalar_mix

# What is left of a layer that a weight of -9e10 leaves out: nothing, e^-9e10 is 0 in float32.
ONE_HOT = [-9e10, 1.0, -9e10]

MASK = np.array([[True, True, False, False], [True] * 4])


@pytest.fixture
def layers():
    rng = np.random.default_rng(5)
    return rng.normal(0.3, 1.0, (2, 3, 4, 6)).astype(np.float32)  # [B, L, T, D]


def apply(module, params, *arguments, **options):
    return module.apply({"params": params}, *arguments, **options)


# The function


@pytest.mark.parametrize("as_array", [np.asarray, jnp.asarray])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("mask", [None, MASK, MASK[::-1], np.zeros_like(MASK)])
@pytest.mark.parametrize("weights", [[0.0, 0.0, 0.0], [0.5, -1.0, 2.0], ONE_HOT])
def test_a_mix_is_that_of_the_oracle(layers, weights, mask, layer_norm, as_array):
    actual = scalar_mix(
        np.array(weights),
        1.7,
        as_array(layers),
        mask if mask is None else as_array(mask),
        layer_norm,
    )
    assert actual.dtype == jnp.float32
    assert_close(actual, oracle.scalar_mix(weights, 1.7, layers, mask, layer_norm))


@pytest.mark.parametrize("layer_norm", [False, True])
def test_several_mixes_in_one_call_are_the_single_ones(layers, layer_norm):
    weights, gammas = np.random.default_rng(0).normal(size=(5, 3)), np.arange(5.0)
    together = scalar_mix(weights, gammas, layers, MASK, layer_norm)
    assert together.shape == (5, 2, 4, 6)
    for one, row, gamma in zip(together, weights, gammas, strict=True):
        assert_close(one, oracle.scalar_mix(row, gamma, layers, MASK, layer_norm))
    one_gamma = scalar_mix(weights, 2.0, layers, MASK, layer_norm)
    assert_close(one_gamma[3], oracle.scalar_mix(weights[3], 2.0, layers, MASK, layer_norm))


def test_one_hot_weights_give_a_layer_bit_for_bit(layers):
    np.testing.assert_array_equal(scalar_mix(jnp.array(ONE_HOT), 1.0, layers), layers[:, 1])


@pytest.mark.parametrize("layer_norm", [False, True])
def test_what_stands_at_padding_has_no_influence(layers, layer_norm):
    expected = scalar_mix(jnp.zeros(3), 1.0, layers, MASK, layer_norm)
    np.testing.assert_array_equal(expected[0, 2:], 0)
    layers[0, :, 2:] = np.nan
    mixed = scalar_mix(jnp.zeros(3), 1.0, layers, MASK, layer_norm)
    np.testing.assert_array_equal(mixed, expected)


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("mask", [MASK, np.zeros_like(MASK)], ids=["padding", "only padding"])
def test_gradients_are_finite_whatever_stands_at_padding(layers, mask, layer_norm):
    layers[0, :, 2:] = np.nan

    def loss(weights, gamma, layers):
        return (scalar_mix(weights, gamma, layers, mask, layer_norm) ** 2).sum()

    for gradient in jax.grad(loss, (0, 1, 2))(jnp.ones(3), 1.0, layers):
        assert np.isfinite(gradient).all()


def test_a_batch_without_tokens_gives_a_mix_without_tokens():
    for shape in ((0, 3, 4, 6), (2, 3, 0, 6)):
        mixed = scalar_mix(jnp.zeros(3), 1.0, jnp.zeros(shape), do_layer_norm=False)
        assert mixed.shape == (shape[0], *shape[2:])


@pytest.mark.parametrize(
    ("weights", "shape"),
    [((2,), (2, 3, 4, 6)), ((), (2, 3, 4, 6)), ((3,), (3, 4, 6)), ((1, 1, 3), (2, 3, 4, 6))],
)
def test_weights_that_do_not_fit_the_layers_are_an_error(weights, shape):
    with pytest.raises(ElmoError) as error:
        scalar_mix(jnp.zeros(weights), 1.0, jnp.zeros(shape))
    assert str(error.value) == (
        "scalar_mix expected weights [L] or [M, L] and layers [B, L, T, D], one L, "
        f"got weights {weights} and layers {shape}."
    )


def test_a_mask_that_does_not_fit_the_layers_is_an_error(layers):
    with pytest.raises(ElmoError) as error:
        scalar_mix(jnp.zeros(3), 1.0, layers, MASK[:, :3])
    assert str(error.value) == "scalar_mix expected a mask [B, T] = (2, 4), got (2, 3)."


def test_gammas_that_do_not_fit_the_weights_are_an_error(layers):
    for weights, gamma in (((3,), (2,)), ((2, 3), (3,)), ((2, 3), (2, 1))):
        with pytest.raises(ElmoError, match=r"^scalar_mix expected gamma as a scalar"):
            scalar_mix(jnp.zeros(weights), jnp.ones(gamma), layers)


# What the page "Coming from" says


def test_the_page_says_how_to_get_allennlps_layer_norm():
    elmo, sentences = random_elmo(3), [["The", "bank", "of", "a", "river", "."], [], ["Hi"]]
    batch = elmo_jax.encode_batch(sentences, elmo.config)
    weights, gamma = jnp.array([0.5, -1.0, 2.0]), 1.7
    layers = elmo_jax.layer_outputs(elmo.params, *batch, config=elmo.config, boundaries=True)
    mixed = function_of_the_page("allennlp_layer_norm_mix")(weights, gamma, layers, batch[1])
    with_boundaries = [elmo.oracle.layers(sentence, boundaries=True) for sentence in sentences]
    expected = oracle.allennlp_layer_norm_mix(weights, gamma, with_boundaries)
    assert_close(mixed[:, None], padded([words[None] for words in expected], 6))
    # And it is not bilm-tf's, which has no boundaries in mean and variance.
    mask = jnp.arange(6)[None] < batch[1][:, None]
    of_words = scalar_mix(weights, gamma, layers[:, :, 1:-1], mask, do_layer_norm=True)
    assert np.abs(mixed - of_words).max() > 0.1


def function_of_the_page(name):
    """A function that docs/coming_from.md defines in a block of its own."""
    blocks = blocks_of(ROOT / "docs" / "coming_from.md")
    [code] = [block.code for block in blocks if block.code.startswith(f"def {name}(")]
    names = {"jnp": jnp, "elmo_jax": elmo_jax}
    exec(code, names)
    return names[name]


# The module


def test_a_new_module_is_the_plain_mean(layers):
    params = ScalarMix().init(jax.random.key(0), layers)["params"]
    assert jax.tree.map(jnp.shape, params) == {"weights": (3,), "gamma": ()}
    np.testing.assert_array_equal(params["weights"], 0)
    assert params["gamma"] == 1
    assert_close(apply(ScalarMix(), params, layers), layers.mean(axis=1))


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("mask", [None, MASK])
def test_a_module_is_the_oracle_with_its_parameters(layers, mask, layer_norm):
    params = {"weights": jnp.array([0.5, -1.0, 2.0]), "gamma": jnp.array(1.7)}
    mixed = apply(ScalarMix(do_layer_norm=layer_norm), params, layers, mask)
    expected = oracle.scalar_mix(params["weights"], 1.7, layers, mask, layer_norm)
    assert_close(mixed, expected)


def test_a_module_of_several_mixes_trains_each_of_them(layers):
    module = ScalarMix(n_mixes=2)
    params = module.init(jax.random.key(0), layers)["params"]
    assert jax.tree.map(jnp.shape, params) == {"weights": (2, 3), "gamma": (2,)}
    assert_close(apply(module, params, layers), np.stack([layers.mean(axis=1)] * 2))
    gradient = jax.grad(lambda p: apply(module, p, layers, MASK)[1].sum())(params)
    for name in ("weights", "gamma"):
        np.testing.assert_array_equal(gradient[name][0], 0)
        assert (gradient[name][1] != 0).all()


@pytest.mark.parametrize("n_mixes", [None, 2])
def test_fixed_weights_leave_gamma_as_the_only_parameter(layers, n_mixes):
    module = ScalarMix(n_mixes=n_mixes, fixed_weights=ONE_HOT)
    params = module.init(jax.random.key(0), layers)["params"]
    assert set(params) == {"gamma"}
    mixed = apply(module, params, layers)
    np.testing.assert_array_equal(mixed, layers[:, 1] if n_mixes is None else [layers[:, 1]] * 2)


def test_fixed_weights_of_a_wrong_number_are_an_error(layers):
    with pytest.raises(ElmoError) as error:
        ScalarMix(fixed_weights=[1.0, 2.0]).init(jax.random.key(0), layers)
    assert str(error.value) == "fixed_weights has 2 values for 3 layers."


def test_dropout_acts_only_when_asked_to(layers):
    module = ScalarMix(dropout=0.5)
    params = module.init(jax.random.key(0), layers)["params"]
    whole = apply(module, params, layers)
    assert_close(whole, layers.mean(axis=1))
    key = jax.random.key(1)
    dropped = apply(module, params, layers, deterministic=False, rngs={"dropout": key})
    gone = np.asarray(dropped == 0)
    assert 0.2 < gone.mean() < 0.8
    assert_close(dropped, np.where(gone, 0, 2 * whole))  # what is kept is scaled up
    unchanged = apply(ScalarMix(), params, layers, deterministic=False)
    np.testing.assert_array_equal(unchanged, whole)
