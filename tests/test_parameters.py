"""The table between datasets and parameters, and the check of a parameter tree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checkpoint_files import message_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import VARIANTS, random_model
from strategies import configs

from elmo_jax import BiLM, ElmoConfig
from elmo_jax.model.parameters import check_params, count_parameters, datasets, flatten, unflatten

TINY = ElmoConfig.preset("tiny")


def bits(array):
    """What the array holds, exactly: NaN payloads and the sign of zero too."""
    return np.asarray(array).view(np.uint32)


def random_bits(dataset, rng):
    shape = tuple(5 if size is None else size for size in dataset.shape)
    return rng.integers(0, 2**32, shape, dtype=np.uint32).view(np.float32)


def random_params(config, seed=0, optional=False):
    rng, flat = np.random.default_rng(seed), {}
    for dataset in datasets(config):
        if optional or not dataset.optional:
            flat |= dataset.to_params(random_bits(dataset, rng))
    return unflatten(flat)


# The table


@given(configs(), st.integers(0, 2**32 - 1))
def test_every_dataset_maps_to_parameters_and_back_bit_for_bit(config, seed):
    rng = np.random.default_rng(seed)
    for dataset in datasets(config):
        array = random_bits(dataset, rng)
        params = dataset.to_params(array)
        again = dataset.from_params(params)
        assert again.flags.c_contiguous and again.dtype == np.float32
        np.testing.assert_array_equal(bits(again), bits(array), err_msg=dataset.name)
        for leaf in params.values():
            expected = dataset.param_shape()
            assert [e in (None, n) for e, n in zip(expected, leaf.shape, strict=True)]
            assert leaf.flags.c_contiguous, "the layout of use is the layout in memory"


@given(configs())
def test_the_table_maps_parameters_to_datasets_and_back_bit_for_bit(config):
    flat = flatten(random_params(config, optional=True))
    again = {}
    for dataset in datasets(config):
        again |= dataset.to_params(dataset.from_params(flat))
    assert again.keys() == flat.keys()
    for path, leaf in flat.items():
        np.testing.assert_array_equal(bits(again[path]), bits(leaf), err_msg=str(path))


@given(configs())
def test_names_and_paths_are_reported_apart(config):
    table = datasets(config)
    assert len({dataset.name for dataset in table}) == len(table)
    paths = [path for dataset in table for path in dataset.paths]
    assert len(set(paths)) == len(paths)
    assert [d.name for d in table if d.optional] == ["embedding", "softmax/W", "softmax/b"]


@pytest.mark.parametrize("choices", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_table_has_the_names_and_shapes_of_a_weight_file(choices):
    options, weights = random_model(0, **choices)
    table = datasets(ElmoConfig.from_options(options))
    assert {d.name: d.shape for d in table if not d.optional} == {
        name: array.shape for name, array in weights.items()
    }


@pytest.mark.parametrize("choices", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_table_has_the_paths_and_shapes_of_the_modules(choices):
    config = ElmoConfig.from_options(random_model(0, **choices)[0])
    ids = jnp.ones((1, config.max_characters_per_token), jnp.int32)
    tree = jax.eval_shape(BiLM(config).init, jax.random.key(0), ids)["params"]
    expected = {}
    for dataset in datasets(config):
        if not dataset.optional:
            expected |= dict.fromkeys(dataset.paths, dataset.param_shape())
    assert {path: leaf.shape for path, leaf in flatten(tree).items()} == expected


def test_a_matrix_is_kept_as_out_in_and_the_rows_of_w_0_are_input_then_hidden():
    config = ElmoConfig(filters=((1, 2),), projection_dim=3, cell_dim=4, n_layers=1)
    table = {dataset.name: dataset for dataset in datasets(config)}
    w_0 = np.arange(6 * 16, dtype=np.float32).reshape(6, 16)
    params = table["RNN_1/RNN/MultiRNNCell/Cell0/LSTMCell/W_0"].to_params(w_0)
    np.testing.assert_array_equal(params["backward", "layers_0", "input_kernel"], w_0[:3].T)
    np.testing.assert_array_equal(params["backward", "layers_0", "recurrent_kernel"], w_0[3:].T)


# Trees

keys = st.sampled_from(["a", "b", "a.b", "layers_0"])
leaves = st.integers(0, 9)
trees = st.dictionaries(keys, leaves | st.dictionaries(keys, leaves, min_size=1))


@given(trees)
def test_unflatten_inverts_flatten(tree):
    assert unflatten(flatten(tree)) == tree


def test_parameters_are_counted():
    assert count_parameters({"a": np.zeros((2, 3)), "b": {"c": np.zeros(4), "d": 1.0}}) == 11


# The check


@settings(max_examples=30)
@given(configs(), st.booleans())
def test_the_parameters_of_a_config_pass(config, optional):
    check_params(config, random_params(config, optional=optional))


def test_all_that_is_wrong_with_a_tree_is_named_at_once():
    params = random_params(TINY)
    params["char_encoder"]["char_embedding"] = np.zeros((262, 8), np.float32)
    del params["forward"]["layers_0"]["bias"]
    del params["char_encoder"]["projection"]
    params["forward"]["layers_2"] = {"bias": np.zeros(3, np.float32)}
    params["softmax"] = {"kernel": np.zeros((7, 31), np.float32)}
    assert message_of(check_params, TINY, params, "my params") == (
        "my params does not fit the configuration (6 problems): "
        "char_encoder.char_embedding is (262, 8), expected (261, 8); "
        "char_encoder.projection.kernel is missing, expected (32, 56); "
        "char_encoder.projection.bias is missing, expected (32,); "
        "forward.layers_0.bias is missing, expected (256,); "
        "softmax.kernel is (7, 31), expected (None, 32); "
        "forward.layers_2.bias is unexpected"
    )


def test_params_that_are_not_dictionary_are_refused():
    expected = "Expected params as a nested dictionary, got tuple."
    assert message_of(check_params, TINY, (TINY, {})) == expected


def test_a_whole_variables_dictionary_is_refused():
    message = message_of(check_params, TINY, {"params": random_params(TINY)})
    assert "params.forward.layers_0.bias is unexpected" in message
    assert "; forward.layers_0.bias is missing, expected (256,)" in message


def test_a_key_that_is_not_a_string_is_named_too():
    message = message_of(check_params, TINY, random_params(TINY) | {0: np.zeros(3)})
    assert message == "params does not fit the configuration (1 problem): 0 is unexpected"
