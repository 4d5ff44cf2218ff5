"""The functions over batches: equal to the oracle, pure, and clear about bad input."""

import functools

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from comparing import assert_close, padded
from random_models import random_elmo

import elmo_jax
from elmo_jax import ElmoError
from elmo_jax.model.layers import pool

# The original computed and stored its vectors in float32. Its own test allows 1e-6; one unit in
# the last place of the largest values, which lie between 1 and 2, is 1.2e-7 more.
BILM_TF_TOLERANCE = 1.2e-6

SENTENCES = [["The", "bank", "of", "the", "river", "."], [], ["Hi"], ["naïve", "日本語", "x" * 60]]
MIX_WEIGHTS, MIX_GAMMA = [0.5, -1.0, 2.0], 1.7

pytestmark = pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")  # of the last word


@pytest.fixture(scope="module")
def elmo():
    return random_elmo(3)


@pytest.fixture(scope="module")
def batch(elmo):
    return elmo_jax.encode_batch(SENTENCES, elmo.config)


@pytest.fixture
def outputs(elmo):
    return functools.partial(elmo_jax.layer_outputs, elmo.params, config=elmo.config)


@pytest.fixture
def pooled(elmo):
    return functools.partial(elmo_jax.pooled_sentences, elmo.params, config=elmo.config)


@pytest.fixture
def with_state(elmo):
    return functools.partial(elmo_jax.layer_outputs_with_state, elmo.params, config=elmo.config)


def message(function, *arguments, **options):
    with pytest.raises(ElmoError) as error:
        function(*arguments, **options)
    return str(error.value)


# Pooling


def wanted_by_the_oracle(layers_LTD, layers):
    """What ``layers=`` stands for: [T, D], or [L, T, D] for all layers."""
    if layers == "all":
        return layers_LTD
    if layers == "average":
        return layers_LTD.mean(axis=0)
    if layers == "mix":
        return oracle.scalar_mix(MIX_WEIGHTS, MIX_GAMMA, layers_LTD[None])[0]
    return layers_LTD[-1 if layers == "top" else layers]


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("layers", ["all", "average", "top", "mix", 0, 1, -1, -3, np.int64(2)])
def test_pooled_sentences_are_those_of_the_oracle(elmo, batch, pooled, layers, pooling):
    options = {"layers": layers, "pooling": pooling}
    if layers == "mix":
        options |= {"mix_weights": MIX_WEIGHTS, "mix_gamma": MIX_GAMMA}
    vectors = pooled(*batch, **options)
    wanted = [wanted_by_the_oracle(elmo.oracle.layers(s), layers) for s in SENTENCES]
    assert vectors.dtype == jnp.float32
    assert_close(vectors, [oracle.pool(vectors, pooling) for vectors in wanted])
    np.testing.assert_array_equal(vectors[1], 0)  # the empty sentence


def test_the_default_is_the_mean_of_the_average_layer(batch, pooled):
    np.testing.assert_array_equal(pooled(*batch), pooled(*batch, layers="average", pooling="mean"))


def test_pooled_sentences_have_gradients(elmo, batch):
    def loss(params, weights):
        mix = {"layers": "mix", "mix_weights": weights, "pooling": "max"}
        return elmo_jax.pooled_sentences(params, *batch, config=elmo.config, **mix).sum()

    for gradient in jax.tree.leaves(jax.jit(jax.grad(loss, (0, 1)))(elmo.params, jnp.zeros(3))):
        assert np.isfinite(gradient).all()
        assert (gradient != 0).any()


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_an_empty_sentence_has_a_gradient_of_zeros(pooling):
    gradient = jax.grad(lambda vectors: pool(vectors, 0, pooling).sum())(jnp.ones((3, 4)))
    np.testing.assert_array_equal(gradient, 0)


# Batches without a token


@pytest.mark.parametrize("n_sentences", [0, 2])
def test_a_batch_without_a_token_gives_results_without_one(
    elmo, outputs, pooled, with_state, n_sentences
):
    char_ids, lengths = elmo_jax.encode_batch([[]] * n_sentences, elmo.config)
    assert char_ids.shape[:2] == (n_sentences, 0)
    assert outputs(char_ids, lengths).shape == (n_sentences, 3, 0, 12)
    np.testing.assert_array_equal(pooled(char_ids, lengths), np.zeros((n_sentences, 12)))
    every = pooled(char_ids, lengths, layers="all", pooling="max")
    np.testing.assert_array_equal(every, np.zeros((n_sentences, 3, 12)))
    expected = [elmo.oracle.layers([], boundaries=True)] * n_sentences
    with_boundaries = outputs(char_ids, lengths, boundaries=True)
    assert_close(with_boundaries, np.reshape(expected, (n_sentences, 3, 2, 12)))
    layers, state = with_state(char_ids, lengths, elmo_jax.initial_state(elmo.config, 3))
    assert layers.shape == (n_sentences, 3, 0, 12)
    _, oracle_state = elmo.oracle.layers_with_state([[]] * n_sentences, None)
    assert_same_state(state, oracle_state, n_sentences)


# State


def assert_same_state(state, oracle_state, n_rows=None):
    """``state[direction][layer]``'s cell and hidden rows are the oracle's."""
    rows = oracle_state if n_rows is None else oracle_state[:n_rows]
    for row, expected in enumerate(rows):
        actual = jax.tree.map(lambda leaf, row=row: leaf[row], state)
        jax.tree.map(assert_close, jax.tree.leaves(actual), jax.tree.leaves(expected))


def test_the_initial_state_is_zeros_for_each_row(elmo):
    state = elmo_jax.initial_state(elmo.config, 4)
    for direction in (state.forward, state.backward):
        assert [(s.cell_H.shape, s.hidden_P.shape) for s in direction] == [((4, 10), (4, 6))] * 2
    for leaf in jax.tree.leaves(state):
        assert leaf.dtype == jnp.float32
        np.testing.assert_array_equal(leaf, 0)


def test_the_vectors_are_those_of_the_original_code(bilm_tf):
    config, params = elmo_jax.load(
        options_file=bilm_tf / "options.json", weight_file=bilm_tf / "lm_weights.hdf5"
    )
    lists = oracle.read_json(bilm_tf / "lm_embeddings_sentences.json")
    everything = [sentences[i].split() for i in range(10) for sentences in lists]
    char_ids, lengths = elmo_jax.encode_batch(everything, config)
    state, compared = elmo_jax.initial_state(config, len(lists)), 0
    for i in range(10):
        now = slice(i * len(lists), (i + 1) * len(lists))
        layers, state = elmo_jax.layer_outputs_with_state(
            params, char_ids[now], lengths[now], state, config=config
        )
        for row, length in enumerate(lengths[now]):
            with h5py.File(bilm_tf / f"lm_embeddings_{row}.hdf5") as file:
                forward, backward = file[str(i)][()]
            expected = np.concatenate([forward, backward], axis=-1)
            np.testing.assert_allclose(
                layers[row, -1, :length], expected, rtol=0, atol=BILM_TF_TOLERANCE
            )
            compared += 1
    assert compared == 30


def test_a_state_goes_through_batches_that_shrink_and_grow(elmo, batch, with_state):
    state, oracle_state = elmo_jax.initial_state(elmo.config, 2), None
    for rows in ([0, 1], [0], [3, 2, 1, 0], [1, 2], [0, 1, 2, 3]):
        char_ids, lengths = (array[rows] for array in batch)
        sentences = [SENTENCES[row] for row in rows]
        layers, state = with_state(char_ids, lengths, state)
        expected, oracle_state = elmo.oracle.layers_with_state(sentences, oracle_state)
        assert_close(layers, padded(expected, char_ids.shape[1]))
        assert_same_state(state, oracle_state)
        for row, sentence in enumerate(sentences):
            np.testing.assert_array_equal(layers[row, :, len(sentence) :], 0)


def test_a_carried_state_gives_the_boundaries_too(elmo, batch, with_state):
    state, oracle_state = elmo_jax.initial_state(elmo.config, 4), None
    for _ in range(2):
        words, _ = with_state(*batch, state)
        layers, state = with_state(*batch, state, boundaries=True)
        expected, oracle_state = elmo.oracle.layers_with_state(SENTENCES, oracle_state, True)
        assert_close(layers, padded(expected, batch[0].shape[1] + 2))
        assert_same_state(state, oracle_state)
        for row, sentence in enumerate(SENTENCES):
            inside = layers[row, :, 1 : len(sentence) + 1]
            np.testing.assert_array_equal(inside, words[row, :, : len(sentence)])


def test_rows_beyond_the_batch_keep_their_state_bit_for_bit(elmo, batch, with_state):
    char_ids, lengths = batch
    _, before = with_state(char_ids, lengths, elmo_jax.initial_state(elmo.config, 4))
    _, after = with_state(char_ids[:2], lengths[:2], before)
    for old, new in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        assert (old[:2] != new[:2]).any()
        np.testing.assert_array_equal(new[2:], old[2:])


def test_a_state_is_a_value_that_no_call_changes(elmo, batch, with_state):
    _, state = with_state(*batch, elmo_jax.initial_state(elmo.config, 4))
    copy = jax.tree.map(np.array, state)
    first, second = with_state(*batch, state), with_state(*batch, state)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    jax.tree.map(np.testing.assert_array_equal, state, copy)


def test_a_stateless_result_depends_on_no_earlier_call(elmo, batch, outputs, with_state):
    before = outputs(*batch)
    continued, _ = with_state(*batch, with_state(*batch, elmo_jax.initial_state(elmo.config, 4))[1])
    assert np.abs(continued - before).max() > 1e-3
    np.testing.assert_array_equal(outputs(*batch), before)


def test_a_state_of_zeros_is_where_a_stateless_call_starts(elmo, batch, outputs, with_state):
    layers, _ = with_state(*batch, elmo_jax.initial_state(elmo.config, 4))
    assert_close(layers, outputs(*batch))


# Shapes


@pytest.fixture
def compilations():
    """A list that grows with everything that is compiled."""
    events = []

    def note(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(duration)

    jax.monitoring.register_event_duration_secs_listener(note)
    yield events
    jax.monitoring.clear_event_listeners()


@pytest.mark.slow
def test_batches_of_sixty_lengths_are_compiled_once_for_each_size(
    elmo, outputs, pooled, with_state, compilations
):
    state = elmo_jax.initial_state(elmo.config, 3)
    shapes = set()

    def run(length, n_sentences):
        batch = [["a"] * length, ["Hi"], ["the", "end"][: length - 1]][:n_sentences]
        batch = elmo_jax.encode_batch(batch, elmo.config, pad_to=[20, 60], batch_size=3)
        shapes.add(batch[0].shape[:2])
        elmo_jax.scalar_mix(np.zeros(3), 1.0, outputs(*batch))
        pooled(*batch)
        with_state(*batch, state)

    run(20, 3), run(60, 1)
    assert compilations, "the first batch of a size is compiled"
    compilations.clear()
    for length in range(1, 61):
        run(length, 1 + length % 3)
    assert compilations == [] and shapes == {(3, 20), (3, 60)}


def test_padding_changes_the_vectors_of_words_by_rounding_at_most(elmo, batch, outputs, pooled):
    filled = elmo_jax.encode_batch(SENTENCES, elmo.config, pad_to=20, batch_size=6)
    assert filled[0].shape[:2] == (6, 20) and filled[1].tolist() == [6, 0, 1, 3, 0, 0]
    expected, layers = outputs(*batch), outputs(*filled)
    assert_close(layers[:4, :, :6], expected)
    np.testing.assert_array_equal(layers[:, :, 6:], 0)
    np.testing.assert_array_equal(layers[4:], 0)
    vectors = pooled(*filled)
    assert_close(vectors[:4], pooled(*batch))
    np.testing.assert_array_equal(vectors[4:], 0)


@pytest.mark.slow
def test_sentences_that_only_fill_a_batch_have_no_gradient(elmo):
    def loss(params, char_ids, lengths):
        layers = elmo_jax.layer_outputs(params, char_ids, lengths, config=elmo.config)
        return (layers**2).sum()

    gradient = jax.jit(jax.grad(loss))
    plain = elmo_jax.encode_batch(SENTENCES[:2], elmo.config)
    filled = elmo_jax.encode_batch(SENTENCES[:2], elmo.config, pad_to=8, batch_size=4)
    expected, actual = (gradient(elmo.params, *arrays) for arrays in (plain, filled))
    jax.tree.map(functools.partial(assert_close, tolerance=1e-5), actual, expected)


# Input of other kinds


def test_lists_and_wider_integers_are_as_good(batch, outputs):
    char_ids, lengths = batch
    expected = outputs(*batch)
    for ids, numbers in (
        (char_ids.tolist(), lengths.tolist()),
        (char_ids.astype(np.int64), lengths.astype(np.int64)),
        (jnp.asarray(char_ids), jnp.asarray(lengths)),
    ):
        np.testing.assert_array_equal(outputs(ids, numbers), expected)


def test_characters_may_be_cut_where_only_padding_follows(elmo, batch, outputs):
    char_ids, lengths = (array[[0, 2, 2, 0]] for array in batch)  # the sentences of short words
    width = 7 + elmo.config.max_filter_width
    assert_close(outputs(char_ids[..., :width], lengths), outputs(char_ids, lengths))


# Bad input


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda ids: ids[0],
            "char_ids has shape (6, 50), expected 3 axes [B, T, C]. "
            "elmo_jax.encode_batch makes both arrays from lists of words.",
        ),
        (lambda ids: ids.astype(float), "char_ids has dtype float64, expected integers."),
        (lambda ids: ids > 0, "char_ids has dtype bool, expected integers."),
        (lambda ids: with_value(ids, -1), "char_ids[0, 2, 1] is -1, expected at least 0."),
        (
            lambda ids: with_value(ids, 262),
            "char_ids[0, 2, 1] is 262, expected at most 261, the last character id.",
        ),
        (
            lambda ids: with_value(ids.astype(np.int64), 2**32),  # 0 as an int32
            "char_ids[0, 2, 1] is 4294967296, expected at most 261, the last character id.",
        ),
        (
            lambda ids: ids[..., :2],
            "char_ids has 2 characters per word (its last axis), expected 50, and at least 3, "
            "the width of the widest filter.",
        ),
        (
            lambda ids: np.pad(ids, ((0, 0), (0, 0), (0, 1))),
            "char_ids has 51 characters per word (its last axis), expected 50, and at least 3, "
            "the width of the widest filter.",
        ),
    ],
)
def test_bad_char_ids_are_an_error(batch, outputs, change, expected):
    char_ids, lengths = batch
    assert message(outputs, change(char_ids), lengths) == expected


def with_value(ids, value):
    ids = ids.copy()
    ids[0, 2, 1] = value
    return ids


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        (
            [6, 0, 1, 7],
            "lengths[3] is 7, expected at most 6, the number of tokens in char_ids.",
        ),
        ([6, -1, 1, 3], "lengths[1] is -1, expected at least 0."),
        ([6, 0, 1], "lengths has 3 entries for 4 sentences in char_ids."),
        ([6.0, 0.0, 1.0, 3.0], "lengths has dtype float64, expected integers."),
        (
            [[6, 0, 1, 3]],
            "lengths has shape (1, 4), expected 1 axes [B]. "
            "elmo_jax.encode_batch makes both arrays from lists of words.",
        ),
        (
            6,
            "lengths has shape (), expected 1 axes [B]. "
            "elmo_jax.encode_batch makes both arrays from lists of words.",
        ),
    ],
)
def test_bad_lengths_are_an_error(batch, outputs, lengths, expected):
    assert message(outputs, batch[0], lengths) == expected


def test_a_length_in_a_batch_without_tokens_is_an_error(outputs):
    assert message(outputs, np.zeros((2, 0, 50), int), [0, 3]) == (
        "lengths[1] is 3, expected at most 0, the number of tokens in char_ids."
    )


def test_every_function_checks_its_batch(elmo, batch, outputs, pooled, with_state):
    char_ids, lengths = batch
    stateful = functools.partial(with_state, state=elmo_jax.initial_state(elmo.config, 4))
    for function in (outputs, pooled, stateful):
        assert message(function, char_ids, lengths + 1).startswith("lengths[0] is 7, expected")
        assert message(function, char_ids - 1, lengths).startswith("char_ids[")


def test_parameters_of_another_model_are_an_error(batch):
    elmo, deep = random_elmo(1), random_elmo(1, n_layers=3).config
    assert message(elmo_jax.layer_outputs, elmo.params, *batch, config=deep) == (
        "params does not fit the configuration (8 problems): "
        + "; ".join(
            f"{direction}.layers_2.{name} is missing, expected {shape}"
            for direction in ("forward", "backward")
            for name, shape in (
                ("input_kernel", (40, 6)),
                ("recurrent_kernel", (40, 6)),
                ("bias", (40,)),
                ("projection_kernel", (6, 10)),
            )
        )
    )
    wide = random_elmo(1, char_embedding_dim=5).config
    assert "char_encoder.char_embedding is (261, 4), expected (261, 5)" in message(
        elmo_jax.pooled_sentences, elmo.params, *batch, config=wide
    )
    assert message(elmo_jax.layer_outputs, [], *batch, config=elmo.config) == (
        "Expected params as a nested dictionary, got list."
    )


@pytest.mark.parametrize("layers", ["second", "", 3, -4, True, False, 1.0, None], ids=repr)
def test_unknown_layers_are_an_error(batch, pooled, layers):
    names = "" if type(layers) is int else "one of 'all', 'average', 'top', 'mix', or "
    assert message(pooled, *batch, layers=layers) == (
        f"Unknown layers={layers!r}: expected {names}a number from 0 (the token layer) to 2 (the "
        "top)."
    )


def test_a_mix_and_its_weights_belong_together(batch, pooled):
    assert message(pooled, *batch, layers="mix") == (
        "This model has no scalar mix of its own: give the weights of layers='mix' as mix_weights, "
        "one for each layer."
    )
    assert message(pooled, *batch, layers="top", mix_weights=[0, 1, 2]) == (
        "mix_weights and mix_gamma belong to layers='mix'; got layers='top' and "
        "mix_weights=[0, 1, 2]."
    )
    assert message(pooled, *batch, layers="mix", mix_weights=[0.0, 1.0]) == (
        "mix_weights has shape (2,), expected (3,): one weight for each layer, the token layer "
        "first."
    )
    assert message(pooled, *batch, layers="mix", mix_weights=[0, 1, 2], mix_gamma=[1, 2]) == (
        "mix_gamma has shape (2,), expected a single number."
    )


def test_unknown_names_are_an_error(elmo, batch, outputs, pooled, with_state):
    assert message(pooled, *batch, pooling="sum") == (
        "Unknown pooling='sum': expected one of 'mean', 'max'."
    )
    state = elmo_jax.initial_state(elmo.config, 4)
    for function in (outputs, pooled, functools.partial(with_state, state=state)):
        assert message(function, *batch, precision="half") == (
            "Unknown precision 'half': expected one of float32, tf32, bfloat16."
        )


def test_a_misspelled_name_is_answered_with_the_one_that_was_meant(batch, pooled):
    for name, typo, meant in (
        ("layers", "averge", "average"),
        ("pooling", "maen", "mean"),
        ("precision", "bfloat", "bfloat16"),
    ):
        assert message(pooled, *batch, **{name: typo}).endswith(f". Did you mean '{meant}'?")


def test_a_state_that_is_none_is_an_error(elmo, batch, with_state):
    good = elmo_jax.initial_state(elmo.config, 4)
    short = good._replace(backward=elmo_jax.initial_state(elmo.config, 3).backward)
    for state in (
        None,
        0,
        {},
        good.forward,
        short,
        tuple(good),
        elmo_jax.initial_state(random_elmo(1, dim=12).config, 4),
        elmo_jax.initial_state(random_elmo(1, n_layers=1).config, 4),
        jax.tree.map(lambda rows: rows[0], good),
    ):
        assert message(with_state, *batch, state).startswith(
            "Expected a BiLMState from initial_state(config, batch_size) or an earlier call, with "
            "one number of rows everywhere; got "
        )
