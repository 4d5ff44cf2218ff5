"""Words to character ids: those of the oracle, for any text whatever."""

import dataclasses

import numpy as np
import oracle
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elmo_jax import ElmoConfig, ElmoError, encode_batch
from elmo_jax.model import spelling
from elmo_jax.model.characters import encode_words, spelled_lengths
from elmo_jax.model.spelling import boundary_ids

CONFIG = ElmoConfig.preset("tiny")
WIDTH = CONFIG.max_characters_per_token

# Lone surrogates (category Cs) included, which Python strings may hold and UTF-8 may not.
anything = st.text(st.characters(exclude_categories=()))
words = st.one_of(anything, st.sampled_from(["<S>", "</S>", "<s>", "<S>x", "", "\x00"]))


@given(st.lists(words, max_size=6), st.integers(3, 60))
@example(["\ud800", "a\udfffb", "é", "日" * 30, "<S>", "</S>", ""], 3)
@example(["\N{GRINNING FACE}" * 13], 50)  # 52 bytes, cut inside the last character
def test_words_are_spelled_as_by_the_oracle(some_words, width):
    ids = encode_words(some_words, width)
    assert ids.dtype == np.int32
    assert ids.shape == (len(some_words), width)
    for row, word in zip(ids, some_words, strict=True):
        assert row.tolist() == oracle.character_ids(word, width)


@pytest.mark.parametrize("letter", ["x", "é", "日", "\N{GRINNING FACE}", "\ud800"])
def test_a_very_long_word_keeps_its_first_bytes_and_both_markers(letter):
    (row,) = encode_words([letter * 10_000], WIDTH)
    assert row.tolist() == oracle.character_ids(letter * 10_000, WIDTH)


def test_the_sentence_markers_are_two_words():
    ids = boundary_ids(CONFIG)
    assert ids.tolist() == [oracle.character_ids(word, WIDTH) for word in ("<S>", "</S>")]


@given(st.lists(words, min_size=1, max_size=6))
def test_the_spelled_length_is_where_padding_begins(some_words):
    ids = encode_words(some_words, WIDTH)
    for row, n in zip(ids, spelled_lengths(ids), strict=True):
        assert (row[n:] == 261).all() and (row[:n] != 261).all()


@pytest.mark.filterwarnings("ignore::elmo_jax.WhitespaceWarning")
@pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")
@given(st.lists(st.lists(words.filter(str.strip), max_size=5), max_size=5))
def test_a_batch_holds_the_words_of_each_sentence_and_zeros_after_them(sentences):
    char_ids, lengths = encode_batch(sentences, CONFIG)
    assert (char_ids.dtype, lengths.dtype) == (np.int32, np.int32)
    assert lengths.tolist() == [len(sentence) for sentence in sentences]
    assert char_ids.shape == (len(sentences), max(map(len, sentences), default=0), WIDTH)
    for rows, sentence in zip(char_ids, sentences, strict=True):
        expected = [oracle.character_ids(word, WIDTH) for word in sentence]
        assert rows[: len(sentence)].tolist() == expected
        assert not rows[len(sentence) :].any()


@pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")
def test_the_config_decides_how_long_a_word_may_be():
    short = dataclasses.replace(CONFIG, max_characters_per_token=8)
    char_ids, _ = encode_batch([["extraordinary"]], short)
    assert char_ids[0, 0].tolist() == oracle.character_ids("extraordinary", 8)


def test_a_word_is_spelled_once(monkeypatch):
    spelled = []

    def spy(some_words, width):
        spelled.extend(some_words)
        return encode_words(some_words, width)

    monkeypatch.setattr(spelling, "encode_words", spy)
    encode_batch([["the", "bank", "the"], [], ["The", "bank"]], CONFIG)
    assert sorted(spelled) == ["The", "bank", "the"]


def test_sentences_may_be_a_generator_or_arrays():
    expected, expected_lengths = encode_batch([["a", "b"], ["c", "d"]], CONFIG)
    for sentences in (
        (words for words in (("a", "b"), ("c", "d"))),
        np.array([["a", "b"], ["c", "d"]]),
        map(str.split, ["a b", "c d"]),
    ):
        char_ids, lengths = encode_batch(sentences, CONFIG)
        np.testing.assert_array_equal(char_ids, expected)
        np.testing.assert_array_equal(lengths, expected_lengths)


@pytest.mark.parametrize(
    ("sentences", "start"),
    [
        ("The bank .", "Expected a list of sentences, got one str 'The bank .'."),
        (b"The", "Expected a list of sentences, got one bytes b'The'."),
        (7, "Expected a list of sentences, got int 7."),
        (["The bank ."], "Expected sentence 0 as a list of words, got the str 'The bank .'."),
        ([["a"], None], "Expected sentence 1 as a list of words, got the missing value None."),
        ([["a", None]], "Expected a word as str at position 1 of sentence 0, got NoneType None."),
        ([["a"], [b"b"]], "Expected a word as str at position 0 of sentence 1, got bytes b'b'."),
        ([[["a"]]], "Expected a word as str at position 0 of sentence 0, got list ['a']."),
    ],
    ids=repr,
)
def test_what_is_not_a_list_of_lists_of_words_is_an_error(sentences, start):
    with pytest.raises(ElmoError) as error:
        encode_batch(sentences, CONFIG)
    assert str(error.value).startswith(start)


# The shape of a batch


@pytest.mark.parametrize(
    ("pad_to", "n_tokens"),
    [
        (None, 3),
        (3, 3),
        (np.int64(8), 8),
        ([8], 8),
        ([2, 3, 4], 3),
        ((64, 2, 16), 16),
        (np.array([4, 8]), 4),
        (range(2, 9, 4), 6),
    ],
    ids=repr,
)
def test_the_number_of_tokens_is_the_smallest_choice_that_holds_the_longest(pad_to, n_tokens):
    sentences = [["a", "b", "c"], ["d"]]
    char_ids, lengths = encode_batch(sentences, CONFIG, pad_to=pad_to, batch_size=4)
    assert char_ids.shape == (4, n_tokens, WIDTH) and lengths.tolist() == [3, 1, 0, 0]
    assert lengths.dtype == char_ids.dtype == np.int32
    expected, _ = encode_batch(sentences, CONFIG)
    np.testing.assert_array_equal(char_ids[:2, :3], expected)
    assert not char_ids[:2, 3:].any() and not char_ids[2:].any()


def test_a_batch_without_sentences_has_the_shape_that_was_asked_for():
    char_ids, lengths = encode_batch([], CONFIG, pad_to=[4, 8], batch_size=2)
    assert char_ids.shape == (2, 4, WIDTH) and lengths.tolist() == [0, 0]
    assert encode_batch([], CONFIG)[0].shape == (0, 0, WIDTH)


NO_SIZE = "expected a whole number of at least 1, or a list of such numbers."


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (
            {"pad_to": [2, 1]},
            "Sentence 1 has 3 words; pad_to=[2, 1] allows at most 2. Add a larger length to "
            "pad_to, or divide the sentence.",
        ),
        (
            {"batch_size": 1},
            "Got 2 sentences for batch_size=1. Divide them into batches of at most that many.",
        ),
        ({"pad_to": 0}, f"pad_to is 0, {NO_SIZE}"),
        ({"pad_to": True}, f"pad_to is True, {NO_SIZE}"),
        ({"pad_to": "64"}, f"pad_to is '64', {NO_SIZE}"),
        ({"pad_to": 8.0}, f"pad_to is 8.0, {NO_SIZE}"),
        ({"pad_to": {8}}, f"pad_to is {{8}}, {NO_SIZE}"),
        ({"pad_to": [8, -1]}, "pad_to[1] is -1, expected a whole number of at least 1."),
        ({"pad_to": []}, "pad_to is [], expected at least one length."),
        ({"batch_size": 0}, "batch_size is 0, expected a whole number of at least 1."),
        ({"batch_size": 2.0}, "batch_size is 2.0, expected a whole number of at least 1."),
    ],
    ids=repr,
)
def test_a_shape_that_does_not_fit_is_an_error(sizes, expected):
    with pytest.raises(ElmoError) as error:
        encode_batch([["a"], ["b", "c", "d"]], CONFIG, **sizes)
    assert str(error.value) == expected
