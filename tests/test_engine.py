"""The machinery behind Elmo: plans, layouts, the word table and the order of results."""

import itertools

import numpy as np
import pytest
import random_models
from hypothesis import given
from hypothesis import strategies as st

import elmo_jax
from elmo_jax.characters import encode_words
from elmo_jax.engine import engine, plan, word_table
from elmo_jax.engine.layout import lay_out
from elmo_jax.functional import layer_outputs
from elmo_jax.model import BiLM, init_params

# Float32 sums in another order: a word's filters in a batch of another size.
SAME_WORD_TOLERANCE = 1e-6

LENGTHS = st.lists(
    st.one_of(st.integers(0, 40), st.sampled_from([64, 65, 256, 257, 700])), max_size=120
)


@pytest.fixture(scope="module")
def tiny():
    config = elmo_jax.ElmoConfig.preset("tiny")
    return config, init_params(config, seed=0)


@given(LENGTHS)
def test_a_plan_holds_every_sentence_with_a_word_once(lengths):
    lengths = np.array(lengths, np.int64)
    planned = [batch.sentences for batch in plan.plan_window(lengths)]
    planned = np.sort(np.concatenate(planned)) if planned else np.zeros(0, np.int64)
    np.testing.assert_array_equal(planned, np.flatnonzero(lengths))


@given(LENGTHS)
def test_a_layout_holds_every_token_once_and_marks_both_ends(lengths):
    lengths = np.array(lengths, np.int64)
    slots = 1 + np.arange(lengths.sum(), dtype=np.int32)
    for batch in plan.plan_window(lengths):
        assert batch.n_lanes in plan.LANE_SHAPES
        layout = lay_out(batch, lengths, slots)
        assert layout.slots.shape == (batch.n_lanes, batch.lane_length)
        origin = np.cumsum(lengths) - lengths
        for nth, sentence in enumerate(batch.sentences):
            lane, start = layout.lanes[nth], layout.starts[nth]
            place = slice(start, start + lengths[sentence])
            expected = slots[origin[sentence] : origin[sentence] + lengths[sentence]]
            np.testing.assert_array_equal(layout.slots[lane, place], expected)
            assert layout.first[lane, start] and layout.last[lane, place.stop - 1]
            assert (layout.sentence[lane, place] == nth).all()
        n = len(batch.sentences)
        assert layout.first.sum() == layout.last.sum() == n
        assert (layout.slots > 0).sum() == lengths[batch.sentences].sum()
        assert ((layout.sentence < n) == (layout.slots > 0)).all()


@given(LENGTHS)
def test_the_stretches_of_a_layout_give_back_whole_sentences(lengths):
    lengths = np.array(lengths, np.int64)
    slots = 1 + np.arange(lengths.sum(), dtype=np.int32)
    for batch in plan.plan_window(lengths):
        layout = lay_out(batch, lengths, slots)
        found = {nth: [] for nth in range(len(batch.sentences))}
        for stretch in range(batch.n_calls):
            lanes = layout.stretch(layout.slots, stretch)
            for nth, inside, outside in layout.overlaps(stretch):
                assert outside.start == len(found[nth])
                found[nth] += list(lanes[layout.lanes[nth], inside])
        origin = np.cumsum(lengths) - lengths
        for nth, sentence in enumerate(batch.sentences):
            first = slots[origin[sentence]]
            assert found[nth] == list(range(first, first + lengths[sentence]))


def test_a_full_window_of_real_sentences_wastes_little(real_sentences):
    lengths = np.array([len(sentence) for sentence in real_sentences])
    window = lengths[np.cumsum(lengths) <= plan.WINDOW_TOKENS]
    batches = list(plan.plan_window(window))
    places = sum(batch.n_lanes * batch.lane_length for batch in batches)
    assert window.sum() / places > 0.95


def test_windows_are_bounded_in_tokens_and_in_empty_sentences():
    sentences = [["w"] * 1000] * 40 + [["w"] * 20_000] + [[]] * 40_000
    windows = list(engine._windows(sentences))
    assert list(itertools.chain(*windows)) == sentences
    for window in windows:
        assert sum(map(len, window)) <= plan.WINDOW_TOKENS or len(window) == 1
        assert len(window) <= plan.WINDOW_TOKENS


def table_vectors(table, words):
    slots = table.slots(words)  # first: it fills the table
    return np.asarray(table.vectors)[slots]


def encoded(config, params, words):
    ids = encode_words(words, config.max_characters_per_token)
    return np.asarray(BiLM(config).apply({"params": params}, ids, method="encode_words"))


def test_the_word_table_holds_token_vectors(tiny):
    config, params = tiny
    words = ["a", "bank", "", "naïve", "x" * 60, "<S>", "a", "internationalisation" * 2]
    table = word_table.WordTable(config, params, "float32")
    np.testing.assert_allclose(
        table_vectors(table, words), encoded(config, params, words), atol=SAME_WORD_TOLERANCE
    )
    assert not np.asarray(table.vectors)[word_table.PADDING_SLOT].any()


def test_each_distinct_word_is_spelled_once(tiny, monkeypatch):
    spelled = []

    def spy(words, width):
        spelled.extend(words)
        return encode_words(words, width)

    monkeypatch.setattr(word_table, "encode_words", spy)
    table = word_table.WordTable(*tiny, "float32")
    table.slots(["the", "bank", "the"])
    table.slots(["bank", "river", "the"])
    assert spelled == ["the", "bank", "river"]


def test_a_full_word_table_starts_again_and_a_call_too_large_for_it_enlarges_it(tiny):
    config, params = tiny
    table = word_table.WordTable(config, params, "float32", n_rows=8)
    for words in (["a", "b", "c", "d"], ["e", "f", "g", "a"], ["a", "h"], list("abcdefghijkl")):
        np.testing.assert_allclose(
            table_vectors(table, words), encoded(config, params, words), atol=SAME_WORD_TOLERANCE
        )
    assert len(table.vectors) == 16


def test_layers_that_nobody_asked_for_do_not_run(tiny, monkeypatch):
    config, params = tiny
    elmo = elmo_jax.Elmo.from_params(config, params)
    runs = []
    read_lanes = engine.read_lanes

    def spy(params, words, start, *rest):
        runs.append((len(start.forward), len(start.backward)))
        return read_lanes(params, words, start, *rest)

    monkeypatch.setattr(engine, "read_lanes", spy)
    for layers, n_lstm_layers in ((0, 0), (1, 1), ("top", 2), (-2, 1)):
        runs.clear()
        elmo.embed([["a", "b"]], layers)
        assert set(runs) == {(n_lstm_layers, n_lstm_layers)}


@pytest.mark.parametrize("choices", random_models.VARIANTS.values(), ids=random_models.VARIANTS)
def test_every_variant_gives_the_vectors_of_the_plain_path(make_model, choices):
    folder, _ = make_model(**choices)
    config, params = elmo_jax.load(folder)
    sentences = [["The", "bank", "."], [], ["naïve"] * 70, ["x" * 30, "<S>"]]
    packed = elmo_jax.Elmo.from_params(config, params).embed(sentences)
    char_ids, lengths = elmo_jax.encode_batch(sentences, config)
    plain = np.asarray(layer_outputs(params, char_ids, lengths, config=config))
    for vectors, layers, length in zip(packed, plain, lengths, strict=True):
        np.testing.assert_allclose(vectors, layers[:, :length], atol=SAME_WORD_TOLERANCE * 4)
