"""The oracle itself: against the original's own vectors, and against what a hand can check."""

import h5py
import numpy as np
import oracle
import pytest
from random_models import VARIANTS, random_lexicon_model, random_model, write_model

from elmo_jax.checkpoint.containers.torch_file import read_state_dict

# The original computed and stored its vectors in float32. Its own test allows 1e-6; one unit in
# the last place of the largest values, which lie between 1 and 2, is 1.2e-7 more.
BILM_TF_TOLERANCE = 1.2e-6

# The same for the vectors of other originals in float32. Those of ELMoForManyLangs are known to
# differ from its own in float64 by up to 2e-6; they reach 6, where one unit is 4.8e-7.
FLOAT32_TOLERANCE = 2e-6

# Both sides in float64, in another order of sums: a few units of 4.4e-16 (of values up to 4).
FLOAT64_TOLERANCE = 1e-14

SENTENCE = ["The", "bank", "of", "the", "river", "."]


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


# Against the original


def test_the_vectors_are_those_of_the_original_code(bilm_tf):
    model = oracle.Oracle(
        oracle.read_json(bilm_tf / "options.json"), oracle.read_weights(bilm_tf / "lm_weights.hdf5")
    )
    lists = oracle.read_json(bilm_tf / "lm_embeddings_sentences.json")
    state, compared = None, 0
    for i in range(10):
        batch = [sentences[i].split() for sentences in lists]
        results, state = model.layers_with_state(batch, state)
        for row, layers in enumerate(results):
            with h5py.File(bilm_tf / f"lm_embeddings_{row}.hdf5") as file:
                forward, backward = file[str(i)][()]
            expected = np.concatenate([forward, backward], axis=-1)
            np.testing.assert_allclose(layers[-1], expected, rtol=0, atol=BILM_TF_TOLERANCE)
            compared += 1
    assert compared == 30


def read_lexicon(path):
    """The tokens of a lexicon whose ids are its line numbers; one is a space that is not ASCII."""
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    assert [line.rpartition("\t")[2] for line in lines] == [str(i) for i in range(len(lines))]
    return [line.rpartition("\t")[0] for line in lines]


def manylangs_oracle(folder):
    """A model of ELMoForManyLangs from its files."""
    tensors = {}
    for name in ("token_embedder", "encoder"):
        tensors |= read_state_dict(folder / f"{name}.pkl", name)
    options = oracle.read_json(next(folder.glob("cnn_*.json")))
    lexicons = [read_lexicon(folder / name) for name in ("word.dic", "char.dic")]
    return oracle.LexiconOracle(options, tensors, *lexicons)


@pytest.mark.parametrize("name", ["words-and-chars", "chars-only", "words-only"])
def test_the_vectors_are_those_of_elmoformanylangs(foreign, name):
    model = manylangs_oracle(foreign / "emfml" / name)
    sentences = oracle.read_json(foreign / "emfml" / f"{name}.sentences.json")
    golden = np.load(foreign / "emfml" / f"{name}.golden.npz")
    assert len(sentences) == 8
    for i, sentence in enumerate(sentences):
        layers = model.layers(sentence)
        expected = golden[f"float64_s{i}"]
        np.testing.assert_allclose(layers, expected, rtol=0, atol=FLOAT64_TOLERANCE)
        np.testing.assert_allclose(layers, golden[f"s{i}"], rtol=0, atol=FLOAT32_TOLERANCE)
    (first,), state = model.layers_with_state(sentences[:1], None)
    (second,), _ = model.layers_with_state(sentences[1:2], state)
    for layers, key in ((first, "carried_first"), (second, "carried_second")):
        np.testing.assert_allclose(layers, golden[key], rtol=0, atol=FLOAT32_TOLERANCE)


def test_the_vectors_are_those_of_bilm_tf_with_a_table_of_words(foreign):
    folder = foreign / "words" / "plain"
    model = oracle.TableOracle(
        oracle.read_json(folder / "checkpoint_dir" / "options.json"),
        oracle.read_weights(folder / "dumped.hdf5"),
        (folder / "vocab.txt").read_text(encoding="utf-8").splitlines(),
    )
    sentences = oracle.read_json(folder / "sentences.json")
    golden = np.load(folder / "golden.npz")
    for i, sentence in enumerate(sentences):
        layers = model.layers(sentence)
        np.testing.assert_allclose(layers, golden[f"s{i}"], rtol=0, atol=FLOAT32_TOLERANCE)
    _, state = model.layers_with_state(sentences, None)
    results, _ = model.layers_with_state(sentences, state)
    expected = golden["carried_second"]
    np.testing.assert_allclose(results[1], expected, rtol=0, atol=FLOAT32_TOLERANCE)


# Characters


def test_a_word_is_its_bytes_between_markers_shifted_by_one():
    assert oracle.character_ids("cat", 50) == [259, 100, 98, 117, 260] + [261] * 45


def test_the_literal_boundaries_are_the_special_tokens():
    assert oracle.character_ids("<S>", 50) == [259, 257, 260] + [261] * 47
    assert oracle.character_ids("</S>", 50) == [259, 258, 260] + [261] * 47
    assert oracle.character_ids("<s>", 50)[1:4] == [ord(c) + 1 for c in "<s>"]


def test_a_long_word_keeps_its_first_48_bytes_and_both_markers():
    ids = oracle.character_ids("abcdefgh" * 10, 50)
    assert ids == [259, *[ord(c) + 1 for c in "abcdefgh" * 6], 260]


def test_the_cut_may_fall_inside_a_character():
    first, second = "é".encode()
    assert oracle.character_ids("é", 4) == [259, first + 1, second + 1, 260]
    assert oracle.character_ids("é", 3) == [259, first + 1, 260]


def test_what_utf8_cannot_encode_is_left_out():
    assert oracle.character_ids("a\ud800b", 6) == oracle.character_ids("ab", 6)


# Token layer


def one_filter_model(activation, bias):
    """E = F = P = 1, one filter two wide that adds its two characters; "a" is 5, a pad -3."""
    options, weights = random_model(
        0,
        filters=[[2, 1]],
        char_embedding_dim=1,
        n_highway=0,
        activation=activation,
        projection_dim=1,
        dim=1,
        max_characters_per_token=6,
    )
    table = np.zeros((261, 1))
    table[ord("a")], table[oracle.BEGIN_WORD], table[oracle.PAD] = 5.0, -7.0, -3.0
    weights |= {"char_embed": table, "CNN/W_cnn_0": np.ones((1, 2, 1, 1))}
    weights |= {"CNN/b_cnn_0": np.array([bias])}
    return options, weights


@pytest.mark.parametrize(
    ("word", "activation", "bias", "expected"),
    [
        ("a", "relu", 0.0, 5.0),  # windows -2, 5, -3, -6, -6
        ("a", "tanh", -4.5, np.tanh(0.5)),
        ("", "relu", 0.0, 0.0),  # -7, -3, -6, -6, -6
        ("", "tanh", 2.0, np.tanh(-1.0)),
        ("aa", "relu", -4.0, 6.0),  # -2, 10, 5, -3, -6
    ],
)
def test_a_filter_gives_its_highest_window_and_then_the_activation(
    word, activation, bias, expected
):
    options, weights = one_filter_model(activation, bias)
    close(oracle.token_vector(options, weights, oracle.character_ids(word, 6)), [expected])


def test_the_maximum_is_taken_over_the_pad_characters_too():
    options, weights = one_filter_model("relu", 0.0)
    weights["char_embed"][oracle.PAD] = 4.0
    close(oracle.token_vector(options, weights, oracle.character_ids("a", 6)), [8.0])


def test_the_last_window_counts():
    options, weights = one_filter_model("relu", 0.0)
    weights["char_embed"][oracle.END_WORD] = 20.0
    close(oracle.token_vector(options, weights, oracle.character_ids("bbba", 6)), [25.0])


def test_a_padded_token_reads_zeros():
    options, weights = one_filter_model("tanh", 0.25)
    weights["char_embed"] += 3.0
    close(oracle.token_vector(options, weights, [0] * 6), [np.tanh(0.25)])


def test_a_highway_carries_its_input_where_the_gate_is_shut():
    options, weights = one_filter_model("tanh", -4.5)
    options["char_cnn"]["n_highway"] = 1
    weights |= {"CNN_high_0/W_carry": np.zeros((1, 1)), "CNN_high_0/b_carry": np.zeros(1)}
    weights |= {"CNN_high_0/W_transform": np.array([[4.0]])}
    weights |= {"CNN_high_0/b_transform": np.array([3.0])}
    ids, x = oracle.character_ids("a", 6), np.tanh(0.5)
    close(oracle.token_vector(options, weights, ids), [0.5 * (4 * x + 3) + 0.5 * x])
    weights["CNN_high_0/b_carry"] = np.array([-800.0])
    close(oracle.token_vector(options, weights, ids), [x])
    weights["CNN_high_0/b_carry"] = np.array([800.0])
    weights["CNN_high_0/W_transform"] = np.array([[-40.0]])
    close(oracle.token_vector(options, weights, ids), [0.0])  # relu, whatever the CNN's is


# Token layer of a lexicon


def lexicon_model(**choices):
    return oracle.LexiconOracle(*random_lexicon_model(0, **choices))


def spelled(model, word):
    return [model.characters[row] for row in model.spelling(word)]


def test_a_word_is_its_characters_between_swapped_marks():
    model = lexicon_model(max_characters_per_token=8)
    assert spelled(model, "bank") == ["<eow>", *"bank", "<bow>", "<pad>", "<pad>"]
    assert spelled(model, "b水🙂é") == ["<eow>", *"b水🙂", "<oov>", "<bow>", "<pad>", "<pad>"]
    assert spelled(model, "<bos>") == ["<eow>", "<bos>", "<bow>", *["<pad>"] * 5]
    assert spelled(model, "<pad>")[1:6] == ["<oov>", *"<oov> a <oov> <oov>".split()]


def test_a_long_word_is_cut_to_code_points_before_it_is_looked_up():
    model = lexicon_model(max_characters_per_token=6)
    assert spelled(model, model.visible("bankbank")) == ["<eow>", *"bank", "<bow>"]
    bank, long, boundary = model.layers(["bank", "bankbank", "<bos>"])[0]
    close(bank, long)
    other = lexicon_model(max_characters_per_token=6, word_dim=0)
    assert other.visible("🙂🙂🙂🙂🙂") == "🙂🙂🙂🙂"
    # A literal boundary is a word and is cut; the boundary itself is not.
    assert np.abs(boundary - model.layers([], boundaries=True)[0, 0]).max() > 1e-3


def test_the_vector_of_a_word_comes_before_that_of_its_characters():
    options, tensors, words, characters = random_lexicon_model(0)
    tensors["projection.weight"][:, 5:] = 0
    model = oracle.LexiconOracle(options, tensors, words, characters)
    row = tensors["word_emb_layer.embedding.weight"][words.index("bank")]
    expected = tensors["projection.weight"].astype(float)[:, :5] @ row
    close(model.vector("bank"), expected + tensors["projection.bias"])
    close(model.vector("bench"), model.vector("<oov>"))
    assert np.abs(model.vector("the") - model.vector("The")).max() > 1e-3


def test_a_highway_of_a_lexicon_carries_its_input_where_the_gate_is_open():
    options, tensors, words, characters = random_lexicon_model(0, word_dim=0)
    for name in ("highways._layers.0.weight", "highways._layers.0.bias"):
        tensors[name] = np.zeros_like(tensors[name])

    def vector():
        return oracle.LexiconOracle(options, tensors, words, characters).vector("bank")

    half = vector()
    tensors["highways._layers.0.bias"][16:] = 800.0
    whole = vector()
    bias = tensors["projection.bias"]
    close(whole - bias, 2 * (half - bias))
    tensors["highways._layers.0.bias"][16:] = -800.0
    close(vector(), bias)
    tensors["highways._layers.0.bias"][:16] = 2.0
    close(vector() - bias, tensors["projection.weight"].astype(float) @ np.full(16, 2.0))


def test_the_projections_of_a_lexicon_are_there_whatever_the_sizes():
    model = lexicon_model(word_dim=6, char_dim=0, projection_dim=6, dim=6)
    row = model.tensors["word_emb_layer.embedding.weight"][4]
    assert np.abs(model.vector("the") - row).max() > 0.1
    _, (state,) = model.layers_with_state([SENTENCE], None)
    hidden = np.array([h for direction in state for _, h in direction])
    assert 0 < np.mean(np.abs(hidden) == 3.0) < 1  # proj_clip comes with the projection


def test_a_clip_of_zero_is_none():
    model, without = lexicon_model(cell_clip=0), lexicon_model(cell_clip=None)
    assert model.options["lstm"]["cell_clip"] is None
    close(model.layers(SENTENCE), without.layers(SENTENCE))


def test_a_table_has_a_row_for_what_it_does_not_know():
    options, weights = random_model(0)
    words = ["<S>", "</S>", "<UNK>", "the", "bank", "bank"]
    table = np.arange(36.0).reshape(6, 6)
    model = oracle.TableOracle(options, {**weights, "embedding": table}, words)
    layers = model.layers(["bank", "shore"], boundaries=True)[0, :, :6]
    close(layers, table[[0, 5, 2, 1]])  # the last of two equal words


# LSTM step, with one cell whose gates are their biases i, j, f, o


def step(i=-800.0, j=0.0, f=-800.0, o=800.0, c=0.0, projection=None, **clips):
    lstm = {"dim": 1, "projection_dim": 1, **clips}
    cell = {"W_0": np.zeros((2, 4)), "B": np.array([i, j, f, o])}
    if projection is not None:
        lstm["projection_dim"] = 2
        cell |= {"W_0": np.zeros((4, 4)), "W_P_0": np.array([projection])}
    width = lstm["projection_dim"]
    return oracle.lstm_step({"lstm": lstm}, cell, np.zeros(width), np.full(1, c), np.zeros(width))


def test_the_gates_lie_in_the_order_input_candidate_forget_output():
    c, h = step(i=0.0, j=800.0, o=800.0)
    close([c, h], [[0.5], [np.tanh(0.5)]])
    c, h = step(f=800.0, c=2.0, o=0.0)
    close([c, h], [[2.0], [0.5 * np.tanh(2.0)]])


def test_the_forget_gate_has_a_bias_of_one_beyond_the_file():
    c, _ = step(f=0.0, c=1.0)
    close(c, [1 / (1 + np.exp(-1))])
    c, _ = step(f=-1.0, c=1.0)
    close(c, [0.5])


def test_the_cell_is_clipped_before_the_output_gate_reads_it():
    c, h = step(f=800.0, c=-2.0, cell_clip=0.5)
    close([c, h], [[-0.5], [np.tanh(-0.5)]])


def test_the_projection_is_clipped_and_the_clipped_value_is_carried():
    c, h = step(f=800.0, c=1.0, projection=[4.0, -0.1], cell_clip=3, proj_clip=2)
    close(c, [1.0])
    close(h, [2.0, -0.1 * np.tanh(1.0)])


@pytest.mark.parametrize("clips", [{}, {"cell_clip": None, "proj_clip": None}])
def test_an_absent_or_null_clip_bounds_nothing(clips):
    c, h = step(f=800.0, c=9.0, projection=[50.0, 0.0], **clips)
    close(c, [9.0])
    close(h, [50.0 * np.tanh(9.0), 0.0])


def test_without_a_projection_there_is_nothing_for_proj_clip_to_bound():
    _, h = step(f=800.0, c=2.0, proj_clip=0.5)
    close(h, [np.tanh(2.0)])


# Layers and state


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def model(request):
    return oracle.Oracle(*random_model(1, **request.param))


def test_layers_have_the_order_and_shape_of_the_format(model):
    layers = model.layers(SENTENCE)
    projection_dim = model.options["lstm"]["projection_dim"]
    assert layers.shape == (model.n_layers + 1, len(SENTENCE), 2 * projection_dim)
    assert layers.dtype == np.float64
    assert 0.1 < layers.std() < 3
    bank = model.layers(["bank"])
    close(layers[0, 1], bank[0, 0])
    close(layers[0, :, :projection_dim], layers[0, :, projection_dim:])


def test_boundaries_are_left_out_unless_asked_for(model):
    with_boundaries = model.layers(SENTENCE, boundaries=True)
    close(with_boundaries[:, 1:-1], model.layers(SENTENCE))
    begin, end = model.layers(["<S>", "</S>"])[0]
    close(with_boundaries[0, [0, -1]], [begin, end])


def test_a_forward_vector_knows_the_words_before_and_a_backward_vector_those_after():
    model = oracle.Oracle(*random_model(2))
    before, after = model.layers(["a", "b", "c"]), model.layers(["a", "x", "c"])
    changed = np.abs(before - after)[1:].max(axis=0) > 1e-9  # [T, D]
    forward, backward = changed[:, :6], changed[:, 6:]
    assert not forward[0].any() and forward[1].any() and forward[2].any()
    assert backward[0].any() and backward[1].any() and not backward[2].any()


def test_a_skip_connection_adds_the_input_from_the_second_layer_on():
    options, weights = random_model(3, cell_clip=None, proj_clip=None)
    for name in weights:
        if "Cell1" in name:
            weights[name] = np.zeros_like(weights[name])  # a cell that answers zeros
    layers = oracle.Oracle(options, weights).layers(SENTENCE)
    close(layers[2], layers[1])
    options["lstm"]["use_skip_connections"] = False
    close(oracle.Oracle(options, weights).layers(SENTENCE)[2], 0 * layers[1])


def test_a_zero_state_is_the_start_and_the_state_given_is_left_as_it_was(model):
    (first,), state = model.layers_with_state([SENTENCE], None)
    close(first, model.layers(SENTENCE))
    (second,), _ = model.layers_with_state([SENTENCE], state)
    (again,), _ = model.layers_with_state([SENTENCE], state)
    assert np.abs(second - first)[1:].max() > 1e-3
    close(second, again)
    close(second[0], first[0])


def test_a_row_continues_from_its_own_row(model):
    a, b, c = ["one"], ["two", "words"], ["and", "three", "more"]
    _, state = model.layers_with_state([a, b], None)
    (first, second, third), _ = model.layers_with_state([c, c, c], state)
    _, alone = model.layers_with_state([b], None)
    close(second, model.layers_with_state([c], alone)[0][0])
    close(third, model.layers(c))  # a new row starts from zeros
    assert np.abs(first - second).max() > 1e-6


def test_rows_beyond_the_batch_keep_their_state():
    model = oracle.Oracle(*random_model(4))
    _, state = model.layers_with_state([["one"], ["two"]], None)
    _, after = model.layers_with_state([["three"]], state)
    assert len(after) == 2
    assert after[1] is state[1]
    assert np.abs(after[0][0][0][0] - state[0][0][0][0]).max() > 1e-6


def test_the_state_is_the_last_steps_own(model):
    _, (row,) = model.layers_with_state([SENTENCE], None)
    layers = model.layers(SENTENCE, boundaries=True)
    width = model.options["lstm"]["projection_dim"]
    close(row[0][0][1], layers[1, -1, :width])  # forward: after EOS
    close(row[1][0][1], layers[1, 0, width:])  # backward: after BOS


def test_the_carried_h_is_the_one_before_the_skip_connection():
    model = oracle.Oracle(*random_model(4))
    _, (row,) = model.layers_with_state([SENTENCE], None)
    layers = model.layers(SENTENCE, boundaries=True)
    close(row[0][1][1], layers[2, -1, :6] - layers[1, -1, :6])


def test_an_empty_sentence_still_reads_its_boundaries(model):
    (empty,), state = model.layers_with_state([[]], None)
    assert empty.shape == (model.n_layers + 1, 0, 2 * model.options["lstm"]["projection_dim"])
    (after,), _ = model.layers_with_state([SENTENCE], state)
    assert np.abs(after - model.layers(SENTENCE)).max() > 1e-6


# Mixing and pooling


@pytest.fixture
def layers():
    return np.random.default_rng(5).normal(0.3, 2.0, (2, 3, 4, 5))  # [B, L, T, D]


MASK = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], bool)


def test_equal_weights_give_gamma_times_the_mean_of_the_layers(layers):
    close(oracle.scalar_mix([0.7] * 3, 2.0, layers), 2.0 * layers.mean(axis=1))


def test_the_weights_are_a_softmax(layers):
    mixed = oracle.scalar_mix(np.log([0.5, 0.2, 0.3]), 1.0, layers)
    close(mixed, 0.5 * layers[:, 0] + 0.2 * layers[:, 1] + 0.3 * layers[:, 2])


def test_extreme_weights_pick_one_layer(layers):
    np.testing.assert_array_equal(oracle.scalar_mix([-9e10, 1, -9e10], 1.0, layers), layers[:, 1])


@pytest.mark.parametrize("layer_norm", [False, True])
def test_masked_positions_are_zeros_and_have_no_influence(layers, layer_norm):
    mixed = oracle.scalar_mix([0, 1, 2], 1.0, layers, MASK, layer_norm)
    np.testing.assert_array_equal(mixed[0, 2:], np.zeros((2, 5)))
    layers[0, :, 2:] = np.nan
    close(oracle.scalar_mix([0, 1, 2], 1.0, layers, MASK, layer_norm), mixed)


def test_layer_norm_has_one_mean_and_variance_for_a_whole_layer(layers):
    mixed = oracle.scalar_mix([-9e10, 1, -9e10], 3.0, layers, MASK, layer_norm=True)
    values = np.array([*layers[0, 1, :2].ravel(), *layers[1, 1].ravel()])
    mean = sum(values) / 30
    variance = sum((values - mean) ** 2) / 30
    expected = 3.0 * (layers[:, 1] - mean) / np.sqrt(variance + 1e-12)
    close(mixed, expected * MASK[..., None])


def test_layer_norm_of_a_batch_without_a_token_is_zeros(layers):
    mixed = oracle.scalar_mix([0, 0, 0], 1.0, layers, np.zeros((2, 4)), layer_norm=True)
    np.testing.assert_array_equal(mixed, np.zeros((2, 4, 5)))


def test_pooling_is_over_tokens():
    vectors = [[1.0, -4.0], [3.0, -2.0]]
    close(oracle.pool(vectors, "mean"), [2.0, -3.0])
    close(oracle.pool(vectors, "max"), [3.0, -2.0])


@pytest.mark.parametrize("how", ["mean", "max"])
def test_an_empty_sentence_pools_to_zeros(how):
    np.testing.assert_array_equal(oracle.pool(np.zeros((3, 0, 4)), how), np.zeros((3, 4)))


# Models made and written


def test_a_random_model_has_the_names_and_shapes_of_the_format():
    _, weights = random_model(0, filters=[[1, 3], [2, 5]], projection_dim=6, dim=10)
    shapes = {name: value.shape for name, value in weights.items() if "RNN_1" not in name}
    cell = {"W_0": (12, 40), "B": (40,), "W_P_0": (10, 6)}
    assert shapes == {
        "char_embed": (261, 4),
        "CNN/W_cnn_0": (1, 1, 4, 3),
        "CNN/b_cnn_0": (3,),
        "CNN/W_cnn_1": (1, 2, 4, 5),
        "CNN/b_cnn_1": (5,),
        "CNN_high_0/W_carry": (8, 8),
        "CNN_high_0/b_carry": (8,),
        "CNN_high_0/W_transform": (8, 8),
        "CNN_high_0/b_transform": (8,),
        "CNN_proj/W_proj": (8, 6),
        "CNN_proj/b_proj": (6,),
    } | {
        f"RNN_0/RNN/MultiRNNCell/Cell{k}/LSTMCell/{name}": shape
        for k in range(2)
        for name, shape in cell.items()
    }
    assert {value.dtype for value in weights.values()} == {np.dtype(np.float32)}


def test_a_random_model_has_the_names_and_shapes_of_the_original(bilm_tf):
    _, weights = random_model(
        0,
        filters=oracle.read_json(bilm_tf / "options.json")["char_cnn"]["filters"],
        n_highway=2,
        projection_dim=16,
        dim=64,
    )
    original = oracle.read_weights(bilm_tf / "lm_weights.hdf5")
    assert {n: w.shape for n, w in weights.items()} == {n: w.shape for n, w in original.items()}


def test_a_projection_is_absent_where_it_would_change_no_width():
    _, weights = random_model(0, filters=[[1, 6]], projection_dim=6, dim=6)
    assert not [name for name in weights if "CNN_proj" in name or "W_P_0" in name]


def test_the_same_seed_gives_the_same_model():
    for (name, a), b in zip(random_model(7)[1].items(), random_model(7)[1].values(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("bound", [0.5, 3.0])
@pytest.mark.parametrize("seed", range(10))
def test_clips_hold_some_values_and_let_others_pass(bound, seed):
    options, weights = random_model(seed, cell_clip=bound, proj_clip=bound)
    model, cells, projected = oracle.Oracle(options, weights), [], []
    for n in range(11):
        _, (row,) = model.layers_with_state([(SENTENCE * 2)[:n]], None)
        cells += [c for direction in row for c, _ in direction]
        projected += [h for direction in row for _, h in direction]
    for values in (np.array(cells), np.array(projected)):
        assert 0 < np.mean(np.abs(values) == bound) < 0.75


def test_a_model_survives_being_written_and_read(tmp_path, model):
    write_model(tmp_path / "model", model.options, model.weights)
    weights = oracle.read_weights(tmp_path / "model" / "weights.hdf5")
    assert oracle.read_json(tmp_path / "model" / "options.json") == model.options
    assert weights.keys() == model.weights.keys()
    for name, value in weights.items():
        assert value.dtype == np.float64
        np.testing.assert_array_equal(value, model.weights[name])
    with h5py.File(tmp_path / "model" / "weights.hdf5") as file:
        assert file["char_embed"].dtype == np.float32
        assert file["char_embed"].chunks is None  # contiguous
