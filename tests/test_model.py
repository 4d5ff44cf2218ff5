"""The Flax modules: equal to the oracle, differentiable, and at home in a user's own model."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracle
import pytest
from comparing import assert_close, padded
from hypothesis import given
from hypothesis import strategies as st
from random_models import VARIANTS, random_elmo

import elmo_jax
from elmo_jax.model.bilm import BiLM, init_params, zero_state
from elmo_jax.model.characters import encode_words, spelled_lengths
from elmo_jax.model.parameters import datasets, flatten, unflatten
from elmo_jax.model.scalar_mix import ScalarMix
from elmo_jax.model.token_layer import CharEncoder

# In float64 a central difference with steps of 1e-6 is right to about 1e-10.
FINITE_DIFFERENCE_TOLERANCE = 1e-8

# bfloat16 keeps 8 bits, 0.4% of an operand. The sums average such errors out; skip connections
# add those of several layers.
BFLOAT16_TOLERANCE = 0.02

SENTENCES = [
    ["The", "bank", "of", "the", "river", "."],
    [],
    ["alone"],
    ["naïve", "日本語", "x" * 60, "\ud800", "<S>", "\N{GRINNING FACE}", "a", "bank", "bank", "!"],
    ["Hi", "there"],
]

pytestmark = pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")  # of the long one

if hasattr(jax, "enable_x64"):
    enable_x64 = jax.enable_x64
else:  # jax 0.6
    from jax.experimental import enable_x64


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=VARIANTS.keys())
def elmo(request):
    return random_elmo(1, **request.param)


@pytest.fixture(scope="module")
def plain():
    return random_elmo(2)


def bilm_of(elmo):
    """BiLM as a function of one sentence."""
    return functools.partial(BiLM(elmo.config).apply, {"params": elmo.params})


def compiled_init(module, *arguments):
    return jax.jit(module.init)(jax.random.key(0), *arguments)["params"]


# Against the oracle


def test_all_layers_are_those_of_the_oracle(elmo):
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, elmo.config)
    expected = padded([elmo.oracle.layers(s) for s in SENTENCES], char_ids.shape[1])
    layers = elmo_jax.layer_outputs(elmo.params, char_ids, lengths, config=elmo.config)
    assert layers.dtype == jnp.float32
    assert_close(layers, expected)
    for row, sentence in enumerate(SENTENCES):
        np.testing.assert_array_equal(layers[row, :, len(sentence) :], 0)


# Few variants: layer_outputs, which all of them go through, is the same computation compiled.
@pytest.mark.parametrize("variant", ["published shape", "no LSTM projection", "four layers"])
def test_a_bilm_in_the_callers_own_vmap_is_that_of_the_oracle(variant):
    elmo = random_elmo(1, **VARIANTS[variant])
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, elmo.config)
    expected = padded([elmo.oracle.layers(s) for s in SENTENCES], char_ids.shape[1])
    layers = jax.jit(jax.vmap(bilm_of(elmo)))(char_ids, lengths)
    assert_close(layers, expected)


def test_the_boundaries_are_those_of_the_oracle(elmo):
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, elmo.config)
    expected = [elmo.oracle.layers(s, boundaries=True) for s in SENTENCES]
    run = functools.partial(elmo_jax.layer_outputs, config=elmo.config)
    with_boundaries = run(elmo.params, char_ids, lengths, boundaries=True)
    assert_close(with_boundaries, padded(expected, char_ids.shape[1] + 2))
    # The default reads no boundaries, it starts where they end.
    layers = run(elmo.params, char_ids, lengths)
    for row, sentence in enumerate(SENTENCES):
        n = len(sentence)
        assert_close(layers[row, :, :n], with_boundaries[row, :, 1 : n + 1])
        np.testing.assert_array_equal(with_boundaries[row, :, n + 2 :], 0)


def test_one_sentence_needs_no_length(plain):
    (sentence, *_) = SENTENCES
    char_ids = encode_words(sentence, plain.config.max_characters_per_token)
    assert_close(jax.jit(bilm_of(plain))(char_ids), plain.oracle.layers(sentence))


def test_a_wide_and_deep_model_is_that_of_the_oracle(real_sentences):
    elmo = random_elmo(
        3,
        filters=((1, 32), (2, 32), (3, 64), (4, 64), (5, 64), (6, 64), (7, 64)),
        char_embedding_dim=16,
        n_highway=2,
        projection_dim=64,
        dim=256,
        n_layers=2,
    )
    sentences = sorted(real_sentences[:100], key=len)[-3:]
    char_ids, lengths = elmo_jax.encode_batch(sentences, elmo.config)
    layers = elmo_jax.layer_outputs(elmo.params, char_ids, lengths, config=elmo.config)
    expected = [elmo.oracle.layers(s) for s in sentences]
    assert_close(layers, padded(expected, char_ids.shape[1]))


# Work that is left out


def test_characters_beyond_the_longest_word_and_one_empty_window_change_nothing(elmo):
    words = [word for sentence in SENTENCES for word in sentence if len(word) < 5]
    ids = encode_words(words, elmo.config.max_characters_per_token)
    encode = jax.jit(
        functools.partial(CharEncoder(elmo.config).apply, {"params": elmo.params["char_encoder"]})
    )
    width = spelled_lengths(ids).max() + elmo.config.max_filter_width
    np.testing.assert_array_equal(encode(ids[:, :width]), encode(ids))


@pytest.mark.parametrize("variant", ["published shape", "four layers"])
def test_fewer_output_layers_are_the_lowest_ones(variant):
    elmo = random_elmo(1, **VARIANTS[variant])
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES[:1], elmo.config)
    run = functools.partial(jax.jit(bilm_of(elmo), static_argnums=2), char_ids[0], int(lengths[0]))
    whole = run()
    assert whole.shape[0] == elmo.config.n_output_layers
    for n_layers in range(1, elmo.config.n_output_layers):
        np.testing.assert_array_equal(run(n_layers), whole[:n_layers])


def test_layers_above_those_asked_for_are_not_computed(plain):
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES[:1], plain.config)
    broken = jax.tree.map(np.asarray, plain.params)
    for direction in ("forward", "backward"):
        broken[direction] |= {
            "layers_1": jax.tree.map(lambda x: x * np.nan, broken[direction]["layers_1"])
        }
    apply = jax.jit(BiLM(plain.config).apply, static_argnums=3)
    run = functools.partial(apply, {"params": broken}, char_ids[0], lengths[0])
    assert np.isnan(run(3)[2]).all()
    assert_close(run(2), plain.oracle.layers(SENTENCES[0])[:2])


# What a vector may know


@given(
    words=st.lists(st.sampled_from(["a", "bank", "of", "river", "日本"]), min_size=6, max_size=6),
    others=st.lists(st.text(max_size=4), min_size=6, max_size=6),
    t=st.integers(0, 5),
)
def test_forward_vectors_ignore_what_follows_and_backward_vectors_what_came_before(
    words, others, t
):
    elmo, run = causal_model()
    width, half = elmo.config.max_characters_per_token, elmo.config.projection_dim
    original = run(encode_words(words, width))
    new_end = run(encode_words([*words[: t + 1], *others[t + 1 :]], width))
    np.testing.assert_array_equal(new_end[:, : t + 1, :half], original[:, : t + 1, :half])
    new_begin = run(encode_words([*others[:t], *words[t:]], width))
    np.testing.assert_array_equal(new_begin[:, t:, half:], original[:, t:, half:])


@functools.cache
def causal_model():
    elmo = random_elmo(2)
    return elmo, jax.jit(bilm_of(elmo))


# Gradients


@pytest.mark.slow
def test_gradients_of_every_parameter_agree_with_finite_differences():
    clips = {"cell_clip": 0.5, "proj_clip": 0.5}  # which hold some values and not others
    elmo = random_elmo(5, filters=((1, 3), (2, 3)), projection_dim=4, dim=5, n_highway=2, **clips)
    char_ids, lengths = elmo_jax.encode_batch([["a", "bank", "of"], ["Hi"]], elmo.config)
    rng = np.random.default_rng(0)
    with enable_x64(True):
        params = {
            "bilm": jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), elmo.params),
            "mix": {"weights": jnp.array([0.3, -0.2, 0.5]), "gamma": jnp.array(1.5)},
        }
        # A weight for each number of the result, so that no two errors cancel.
        importance = jnp.asarray(rng.normal(size=(2, 3, 8)))

        def loss(params):
            run = functools.partial(BiLM(elmo.config).apply, {"params": params["bilm"]})
            layers = jax.vmap(run)(char_ids, lengths)
            assert layers.dtype == jnp.float64
            return (ScalarMix().apply({"params": params["mix"]}, layers) * importance).sum()

        value_and_gradient = jax.jit(jax.value_and_grad(loss))
        gradient, flat = flatten(value_and_gradient(params)[1]), flatten(params)
        for path, value in flat.items():
            direction = rng.normal(size=value.shape)
            high, low = (
                value_and_gradient(unflatten(flat | {path: value + step * direction}))[0]
                for step in (1e-6, -1e-6)
            )
            slope = (gradient[path] * direction).sum()
            assert slope != 0, path
            assert_close(slope, (high - low) / 2e-6, FINITE_DIFFERENCE_TOLERANCE)


@pytest.mark.parametrize("recomputed", [False, True])
def test_the_maximum_over_characters_has_the_gradient_of_the_oracle(plain, recomputed):
    """Also where windows are equal, and where the compiler computes them once more."""
    config, params, model = plain
    words = ["The", "bank", "aaaaaaaaaa", "abababab", "", "日本"]
    ids = encode_words(words, config.max_characters_per_token)
    rng = np.random.default_rng(5)
    importance = rng.normal(size=(len(words), config.projection_dim))

    def loss(part):
        vectors = CharEncoder(config).apply({"params": part}, ids)
        return (vectors * importance.astype(np.float32)).sum()

    part = params["char_encoder"]
    gradient = jax.jit(jax.grad(jax.checkpoint(loss) if recomputed else loss))(part)
    gradient = flatten({"char_encoder": gradient})
    of_words = [dataset for dataset in datasets(config) if dataset.paths[0] in gradient]
    assert {path for dataset in of_words for path in dataset.paths} == gradient.keys()
    for dataset in of_words:
        weights, slope = model.weights[dataset.name], dataset.from_params(gradient)
        direction = rng.normal(size=weights.shape)
        high, low = (
            importance.ravel() @ np.ravel(vectors_of_the_oracle(model, ids, {dataset.name: moved}))
            for moved in (weights + 1e-6 * direction, weights - 1e-6 * direction)
        )
        assert_close((slope * direction).sum(), (high - low) / 2e-6, 1e-5)


def vectors_of_the_oracle(model, ids, changed):
    weights = model.weights | changed
    return [oracle.token_vector(model.options, weights, row) for row in ids]


def test_gradients_are_finite_in_a_padded_batch_with_an_empty_sentence(plain):
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, plain.config)

    def loss(params):
        layers = elmo_jax.layer_outputs(params, char_ids, lengths, config=plain.config)
        return (layers**2).sum()

    for gradient in jax.tree.leaves(jax.jit(jax.grad(loss))(plain.params)):
        assert np.isfinite(gradient).all()


# Inside a user's own model


class Tagger(nn.Module):
    """As BiLM's docstring shows it, with a mix and a classifier on top."""

    config: elmo_jax.ElmoConfig

    @nn.compact
    def __call__(self, char_ids_BTC, lengths_B):
        batched = nn.vmap(
            elmo_jax.BiLM, variable_axes={"params": None}, split_rngs={"params": False}
        )
        layers_BLTD = batched(self.config, name="bilm")(char_ids_BTC, lengths_B)
        return nn.Dense(2, name="tags")(elmo_jax.ScalarMix(name="mix")(layers_BLTD))


@pytest.mark.slow
@pytest.mark.usefixtures("promotion_for_optax")
def test_a_flax_model_with_a_bilm_inside_learns(plain):
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, plain.config)
    real = (np.arange(char_ids.shape[1])[None] < lengths[:, None]).astype(np.float32)
    is_short = (char_ids != 261).sum(axis=2) < 6
    tagger, optimizer = Tagger(plain.config), optax.adam(1e-2)
    params = compiled_init(tagger, char_ids, lengths)

    def loss(params):
        logits = tagger.apply({"params": params}, char_ids, lengths)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, is_short.astype(int))
        return (losses * real).sum() / real.sum()

    @jax.jit
    def train_step(params, optimizer_state):
        value, gradient = jax.value_and_grad(loss)(params)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state)
        return optax.apply_updates(params, updates), optimizer_state, value

    trained, optimizer_state, losses = params, optimizer.init(params), []
    for _ in range(30):
        trained, optimizer_state, value = train_step(trained, optimizer_state)
        losses.append(float(value))
    assert losses[-1] < 0.5 * losses[0]
    for path, value in flatten(trained["bilm"]).items():
        assert (value != flatten(params["bilm"])[path]).any(), path


def test_the_parameters_of_a_loaded_model_fit_a_bilm_inside_another_module(plain):
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, plain.config)
    tagger = Tagger(plain.config)
    params = compiled_init(tagger, char_ids, lengths)
    params["bilm"] = plain.params
    params["tags"] = {"kernel": np.eye(12, 2, dtype=np.float32), "bias": np.zeros(2, np.float32)}
    layers = elmo_jax.layer_outputs(plain.params, char_ids, lengths, config=plain.config)
    logits = jax.jit(tagger.apply)({"params": params}, char_ids, lengths)
    assert_close(logits, layers.mean(axis=1)[..., :2])


def test_an_untrained_model_has_the_parameters_of_the_published_format(elmo):
    char_ids = np.zeros((2, elmo.config.max_characters_per_token), np.int32)
    shapes = jax.eval_shape(BiLM(elmo.config).init, jax.random.key(0), char_ids)["params"]
    expected = {
        path: dataset.param_shape()
        for dataset in datasets(elmo.config)
        if not dataset.optional
        for path in dataset.paths
    }
    assert {path: leaf.shape for path, leaf in flatten(shapes).items()} == expected
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}


def test_an_untrained_model_starts_as_bilm_tf_does():
    config = elmo_jax.ElmoConfig.preset("tiny")
    params = flatten(init_params(config, seed=0))

    def assert_uniform(path, limit):
        values = np.abs(params[path])
        assert 0.97 * limit < values.max() <= limit
        assert values.mean() == pytest.approx(limit / 2, rel=0.1)

    def assert_normal(path, scale):
        assert params[path].std() == pytest.approx(scale, rel=0.1)

    assert_uniform(("char_encoder", "char_embedding"), 1.0)
    assert_uniform(("char_encoder", "convolutions_2", "kernel"), 0.05)
    assert_normal(("char_encoder", "highways_0", "carry_kernel"), 56**-0.5)
    assert_normal(("char_encoder", "highways_0", "transform_kernel"), 56**-0.5)
    assert_normal(("char_encoder", "projection", "kernel"), 56**-0.5)
    for direction in ("forward", "backward"):
        for layer in ("layers_0", "layers_1"):
            # One matrix in the file, [2P, 4H], whose fans are those of the whole.
            whole = (6 / (2 * 32 + 4 * 64)) ** 0.5
            assert_uniform((direction, layer, "input_kernel"), whole)
            assert_uniform((direction, layer, "recurrent_kernel"), whole)
            assert_uniform((direction, layer, "projection_kernel"), (6 / (64 + 32)) ** 0.5)
    for path, value in params.items():
        if path[-1].endswith("bias"):
            np.testing.assert_array_equal(value, -2 if path[-1] == "carry_bias" else 0)


# Transformations by the caller


def test_the_tests_allow_no_promotion_of_dtypes_and_ranks_unnoticed():
    for other in (jnp.ones(2, jnp.int32), jnp.ones((2, 2))):
        with pytest.raises(ValueError, match=r"_promotion"):
            jnp.ones(2) + other


def test_the_caller_may_jit_and_vmap_the_functions(plain):
    config = plain.config
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, config)
    state = elmo_jax.initial_state(config, len(SENTENCES))
    for function in (
        functools.partial(elmo_jax.layer_outputs, config=config),
        functools.partial(elmo_jax.layer_outputs, config=config, boundaries=True),
        functools.partial(elmo_jax.pooled_sentences, config=config, layers="top"),
        lambda *arguments: elmo_jax.layer_outputs_with_state(*arguments, state, config=config),
    ):
        expected = function(plain.params, char_ids, lengths)
        twice = jax.jit(jax.vmap(function, (None, 0, 0)))(
            plain.params, np.stack([char_ids, char_ids]), np.stack([lengths, lengths])
        )
        jax.tree.map(assert_close, twice, jax.tree.map(lambda x: jnp.stack([x, x]), expected))


def test_the_caller_may_vmap_over_models():
    models = [random_elmo(seed) for seed in (1, 2)]
    config = models[0].config
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, config)
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *(m.params for m in models))
    layers = jax.vmap(
        lambda params: elmo_jax.layer_outputs(params, char_ids, lengths, config=config)
    )(stacked)
    for model, result in zip(models, layers, strict=True):
        expected = [model.oracle.layers(sentence) for sentence in SENTENCES]
        assert_close(result, padded(expected, char_ids.shape[1]))


def test_a_state_goes_through_one_sentence_as_through_the_oracle(plain):
    (sentence, *_) = SENTENCES
    char_ids = encode_words(sentence, plain.config.max_characters_per_token)
    char_ids = np.pad(char_ids, ((0, 3), (0, 0)))
    run = jax.jit(functools.partial(bilm_of(plain), method="with_state"))
    state, oracle_state = zero_state(plain.config), None
    for _ in range(2):
        layers, state = run(char_ids, 6, state)
        (expected,), oracle_state = plain.oracle.layers_with_state(
            [sentence], oracle_state, boundaries=True
        )
        assert_close(layers, padded([expected], 11)[0])
        jax.tree.map(assert_close, jax.tree.leaves(state), jax.tree.leaves(oracle_state[0]))


SHARDED = """
import jax, numpy as np
from comparing import assert_close
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from random_models import random_elmo
import elmo_jax

config, params, _ = random_elmo(2)
sentences = [["The", "bank"], ["Hi"], [], ["of", "the", "river"]] * 2
char_ids, lengths = elmo_jax.encode_batch(sentences, config)
devices = jax.devices()
assert len(devices) == 4, devices
mesh = Mesh(np.array(devices), ("sentences",))
batch, copies = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["sentences"], []))
sharded = jax.device_put(params, copies), *jax.device_put((char_ids, lengths), batch)
for function in (elmo_jax.layer_outputs, elmo_jax.pooled_sentences):
    result = function(*sharded, config=config)
    shapes = {shard.data.shape[0] for shard in result.addressable_shards}
    assert len(result.addressable_shards) == 4 and shapes == {2}, result.sharding
    assert_close(result, function(params, char_ids, lengths, config=config))
"""


def test_a_batch_may_be_sharded_over_devices():
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join(
            [str(Path(__file__).parent), str(Path(elmo_jax.__file__).parents[1])]
        ),
    }
    subprocess.run([sys.executable, "-c", SHARDED], env=environment, check=True, timeout=120)


# Precision


@pytest.mark.parametrize("variant", ["published shape", "no LSTM projection", "tanh"])
def test_bfloat16_is_near_float32(variant):
    elmo = random_elmo(1, **VARIANTS[variant])
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, elmo.config)
    run = functools.partial(
        elmo_jax.layer_outputs, elmo.params, char_ids, lengths, config=elmo.config
    )
    exact, rounded = run(), run(precision="bfloat16")
    assert rounded.dtype == jnp.float32
    assert_close(rounded, exact, BFLOAT16_TOLERANCE)
    assert np.abs(rounded - exact).max() > 1e-4  # it does round


def test_tf32_on_a_cpu_is_float32(plain):
    char_ids, lengths = elmo_jax.encode_batch(SENTENCES, plain.config)
    with jax.default_device(jax.devices("cpu")[0]):
        run = functools.partial(
            elmo_jax.layer_outputs, plain.params, char_ids, lengths, config=plain.config
        )
        np.testing.assert_array_equal(run(precision="tf32"), run())
