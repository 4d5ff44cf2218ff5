"""Elmo: what users call, against the oracle and against itself in other company."""

import dataclasses
import threading

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elmo_jax
from elmo_jax.engine import plan, step, word_table
from elmo_jax.errors import WhitespaceWarning
from elmo_jax.model.bilm import init_params

# Float32 against float64; the oracle's values are of order 1 (a few reach 6).
ORACLE_TOLERANCE = 2e-6

# Float32 sums in another order, when a sentence runs in another shape or in other company.
SAME_SENTENCE_TOLERANCE = 1e-5

SENTENCES = [["The", "bank", "of", "the", "river", "."], [], ["Hi"], ["naïve", "<S>", "😀"]]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    import random_models

    options, weights = random_models.random_model(3)
    folder = tmp_path_factory.mktemp("elmo") / "model"
    random_models.write_model(folder, options, weights)
    return elmo_jax.Elmo(folder), oracle.Oracle(options, weights)


def close(actual, expected, tolerance=ORACLE_TOLERANCE):
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def test_embed_gives_the_oracles_layers_in_the_order_of_the_sentences(model):
    elmo, truth = model
    results = elmo.embed(SENTENCES)
    assert [r.shape for r in results] == [(3, len(s), elmo.config.output_dim) for s in SENTENCES]
    for result, sentence in zip(results, SENTENCES, strict=True):
        assert result.dtype == np.float32
        close(result, truth.layers(sentence))


def mixed(layers, how):
    choices = {
        "average": layers.mean(axis=0),
        "top": layers[-1],
        "mix": oracle.scalar_mix(np.array([0.5, -1.0, 2.0]), 1.5, layers[None])[0],
    }
    return choices[how] if isinstance(how, str) else layers[how]


def options(how):
    return {"mix_weights": [0.5, -1.0, 2.0], "mix_gamma": 1.5} if how == "mix" else {}


@pytest.mark.parametrize("how", ["average", "top", "mix", 0, 1, 2, -1, np.int64(1)])
def test_layers_are_selected_by_name_or_number(model, how):
    elmo, truth = model
    for result, sentence in zip(
        elmo.embed(SENTENCES, layers=how, **options(how)), SENTENCES, strict=True
    ):
        assert result.shape == (len(sentence), elmo.config.output_dim)
        close(result, mixed(truth.layers(sentence), how))


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("how", ["average", "top", "mix", 1])
def test_sentences_are_pooled_over_their_own_tokens(model, how, pooling):
    elmo, truth = model
    texts = [" ".join(SENTENCES[0]), *SENTENCES[1:]]
    result = elmo.embed_sentences(texts, how, pooling, **options(how))
    expected = [oracle.pool(mixed(truth.layers(s), how), pooling) for s in SENTENCES]
    assert result.dtype == np.float32 and not result[1].any()
    close(result, np.array(expected))


def test_all_layers_can_be_pooled(model):
    elmo, truth = model
    result = elmo.embed_sentences(SENTENCES, layers="all")
    close(result, np.array([oracle.pool(truth.layers(s), "mean") for s in SENTENCES]))


def test_no_sentences_give_no_results(model):
    elmo, _ = model
    dim = elmo.config.output_dim
    assert elmo.embed([]) == []
    assert list(elmo.stream([])) == []
    assert elmo.embed_sentences([]).shape == (0, dim)
    assert elmo.embed_sentences([], layers="all").shape == (0, 3, dim)
    assert elmo.get_word_embeddings([]).shape == (0, 3, dim)


def test_a_tokenizer_decides_what_words_are(model):
    elmo, _ = model
    commas = elmo.embed_sentences(["a,b", "c"], tokenizer=lambda text: text.split(","))
    close(commas, elmo.embed_sentences([["a", "b"], ["c"]]))


def test_words_of_one_sentence_come_word_by_word(model):
    elmo, truth = model
    words = "The quick brown fox jumps over the lazy dog.".split()
    result = elmo.get_word_embeddings(words)
    assert result.shape == (9, 3, elmo.config.output_dim)
    close(result[8][1], truth.layers(words)[1][8])


def test_strings_with_whitespace_are_sentences_of_their_own(model):
    elmo, truth = model
    result = elmo.get_word_embeddings(["The quick fox", "Hi there"])
    assert [r.shape[:2] for r in result] == [(3, 3), (3, 2)]
    close(result[1], truth.layers(["Hi", "there"]))


@pytest.mark.parametrize("items", [["New York", "bank"], ["bank", "", "New\tYork"]], ids=repr)
def test_a_word_with_a_space_makes_sentences_of_all_others_with_a_warning(model, items):
    elmo, truth = model
    with pytest.warns(WhitespaceWarning, match="sentence of its own, also 'bank'") as warned:
        result = elmo.get_word_embeddings(items)
    assert warned[0].filename == __file__
    for item, vectors in zip(items, result, strict=True):
        close(vectors, truth.layers(item.split()))


def test_sentences_among_which_one_is_empty_need_no_warning(model):
    elmo, _ = model
    assert [r.shape[1] for r in elmo.get_word_embeddings(["The quick fox", ""])] == [3, 0]


def test_a_strange_space_in_a_word_is_warned_of(model):
    elmo, _ = model
    with pytest.warns(WhitespaceWarning, match=r"'The\\xa0quick' is split at U\+00A0"):
        result = elmo.get_word_embeddings(["The\xa0quick", "Hi there"])
    assert [vectors.shape[1] for vectors in result] == [2, 2]
    with pytest.warns(WhitespaceWarning, match="'New York' of sentence 1 holds whitespace"):
        result = elmo.embed([["Hi"], ["The", "New York"], ["New York"]])
    assert [vectors.shape[1] for vectors in result] == [1, 2, 1]


def test_half_precision_is_rounded_once(model):
    elmo, _ = model
    full, half = elmo.embed(SENTENCES), elmo.embed(SENTENCES, dtype="float16")
    for whole, rounded in zip(full, half, strict=True):
        assert rounded.dtype == np.float16
        np.testing.assert_array_equal(rounded, whole.astype(np.float16))


WORDS = st.sampled_from(["a", "the", "bank", "of", "rivers", ".", "supercalifragilistic", "é"])


@given(
    sentences=st.lists(st.lists(WORDS, max_size=40), min_size=1, max_size=30),
    order=st.randoms(use_true_random=False),
)
def test_a_sentences_vectors_depend_on_that_sentence_alone(model, sentences, order):
    elmo, _ = model
    alone = {tuple(s): elmo.embed([s])[0] for s in sentences}
    order.shuffle(sentences)
    for sentence, vectors in zip(sentences, elmo.embed(sentences), strict=True):
        close(vectors, alone[tuple(sentence)], SAME_SENTENCE_TOLERANCE)


def test_the_same_call_gives_the_same_bits(model):
    elmo, _ = model
    first = elmo.embed(SENTENCES * 50)
    elmo.embed([["something", "else"]] * 7)
    for before, now in zip(first, elmo.embed(SENTENCES * 50), strict=True):
        np.testing.assert_array_equal(before, now)


@pytest.mark.parametrize("lanes_used", [(1,), (4, 64), (16,)])
def test_the_number_of_lanes_changes_nothing(model, monkeypatch, lanes_used, real_sentences):
    elmo, _ = model
    sentences = real_sentences[:150]
    expected = elmo.embed(sentences, "top")
    other = dataclasses.replace(plan.CPU, lane_shapes=lanes_used)
    monkeypatch.setattr(elmo._engine, "plan", other)
    for before, now in zip(expected, elmo.embed(sentences, "top"), strict=True):
        close(now, before, SAME_SENTENCE_TOLERANCE)


@pytest.mark.slow
def test_a_protein_of_35000_tokens_equals_the_plain_path(model):
    elmo, _ = model
    rng = np.random.default_rng(0)
    protein = list(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), 35_000))
    packed = elmo.embed([protein, ["M"], protein[:700]])
    char_ids, lengths = elmo_jax.encode_batch([protein], elmo.config)
    plain = elmo_jax.layer_outputs(elmo.params, char_ids, lengths, config=elmo.config)
    close(packed[0], np.asarray(plain)[0], SAME_SENTENCE_TOLERANCE)
    close(
        packed[2][1][:500, : elmo.config.projection_dim],
        packed[0][1][:500, : elmo.config.projection_dim],
        SAME_SENTENCE_TOLERANCE,
    )
    pooled = elmo.embed_sentences([protein], layers="top", pooling="max")
    close(pooled[0], packed[0][2].max(axis=0), SAME_SENTENCE_TOLERANCE)


def test_a_few_compiled_shapes_take_whatever_comes(real_sentences):
    config = elmo_jax.ElmoConfig.preset("tiny")
    config = elmo_jax.ElmoConfig(**{**vars(config), "cell_dim": 65})  # compiled by no other test
    elmo = elmo_jax.Elmo.from_params(config, init_params(config, 0))
    traced = {"lanes": step.read_lanes, "words": word_table._write_words}
    before = {name: function._cache_size() for name, function in traced.items()}
    rng = np.random.default_rng(0)
    for n_sentences in (1, 2, 3, 5, 8, 13, 40, 100, 400, 1000):
        first = rng.integers(0, 15_000)
        elmo.embed(real_sentences[first : first + n_sentences], "top")
    for length in (1, 7, 64, 65, 300, 3000):
        elmo.embed([["x" * (1 + length % 60)] * length], "top")
    new = {name: f._cache_size() - before[name] for name, f in traced.items()}
    # Each for a new word table and for one that has grown.
    assert 0 < new["lanes"] <= 2 * len(plan.CPU.lane_shapes)
    assert 0 < new["words"] <= 2 * 4


def test_a_stream_reads_no_further_than_it_must(model):
    elmo, _ = model
    read = []

    def endless():
        while True:
            read.append(1)
            yield ["word"] * 100

    stream = elmo.stream(endless(), layers=0)
    for _ in range(500):
        next(stream)
    # The lanes hold parts of two windows, and two are read ahead.
    assert len(read) <= 500 + 4 * plan.CPU.window_tokens / 100


def test_threads_may_share_an_elmo(model):
    elmo, _ = model
    sentences = [[["thread", str(i), "word"] * 5] * 20 for i in range(4)]
    expected = [elmo.embed(s) for s in sentences]
    results = [None] * 4

    def work(i):
        results[i] = [elmo.embed(sentences[i]) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        for vectors in results[i]:
            np.testing.assert_array_equal(vectors, expected[i])


def test_from_params_refuses_parameters_of_another_config(model):
    elmo, _ = model
    with pytest.raises(elmo_jax.ElmoError, match="does not fit the configuration"):
        elmo_jax.Elmo.from_params(elmo_jax.ElmoConfig.preset("tiny"), elmo.params)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.embed("a sentence"), "list of sentences, got one str 'a sentence'"),
        (lambda e: e.embed(["a sentence"]), "sentence 0 as a list of words, got the str"),
        (lambda e: e.embed([["a"], 3]), "sentence 1 as a list of words, got int 3"),
        (lambda e: e.embed(7), "list of sentences, got int 7"),
        (lambda e: e.embed(None), "list of sentences, got NoneType"),
        (lambda e: e.embed([["a", None]]), "str at position 1 of sentence 0, got NoneType"),
        (lambda e: e.embed([["a", 2.5]]), "str at position 1 of sentence 0, got float 2.5"),
        (
            lambda e: list(e.stream([["a"], None])),
            "sentence 1 as a list of words, got the missing value None",
        ),
        (lambda e: e.embed([["a"]], "bottom"), "Unknown layers='bottom'"),
        (lambda e: e.embed([["a"]], 3), "Unknown layers=3"),
        (lambda e: e.embed([["a"]], "mix"), "no scalar mix of its own"),
        (lambda e: e.embed([["a"]], dtype="int8"), "Unknown dtype 'int8'"),
        (lambda e: e.embed_sentences("text"), "list of sentences, got one str"),
        (lambda e: e.embed_sentences(["a"], pooling="sum"), "Unknown pooling='sum'"),
        (lambda e: e.embed_sentences([3]), "sentence 0 as a list of words, got int 3"),
        (lambda e: e.embed_sentences({"text": ["a b"]}), "dict with the columns or keys 'text'"),
        (lambda e: e.stream({"a b"}), "the set {'a b'}, which has no order"),
        (lambda e: e.embed([["a", ""]]), "position 1 of sentence 0 is an empty string"),
        (lambda e: list(e.stream([[""]])), "position 0 of sentence 0 is an empty string"),
        (
            lambda e: e.get_word_embeddings(["The", ""]),
            "position 1 of sentence 0 is an empty string",
        ),
        (lambda e: e.get_word_embeddings("words"), "list of words, got the str 'words'"),
        (lambda e: e.get_word_embeddings([["a"]]), "str at position 0 of the words, got list"),
    ],
)
def test_bad_input_is_reported_what_was_expected(model, call, message):
    with pytest.raises(elmo_jax.ElmoError) as error:
        call(model[0])
    assert message in str(error.value)
