"""What counts as sentences, and what the errors say of everything else."""

import numpy as np
import pytest

from elmo_jax import ElmoError
from elmo_jax.sentences import check_not_a_string, check_sentence, check_sentences, tokenize

GOOD = [[], ["a"], ("a", "b"), np.array(["a", "b"]), np.array(["a", "b"], object)]


def message(function, *arguments):
    with pytest.raises(ElmoError) as error:
        function(*arguments)
    return str(error.value)


@pytest.mark.parametrize("sentence", GOOD, ids=repr)
def test_a_sentence_is_any_sequence_of_strings(sentence):
    check_sentence(sentence)
    check_sentences([sentence, sentence])


def test_sentences_may_be_any_iterable():
    for sentences in ([], [["a"]], (["a"],), iter([["a"]]), np.array([["a", "b"], ["c", "d"]])):
        check_sentences(sentences)


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (
            "The bank .",
            "Expected a list of sentences, got one str 'The bank .'. "
            "For one sentence, write [sentence.split()].",
        ),
        (
            b"The bank .",
            "Expected a list of sentences, got one bytes b'The bank .'. "
            "For one sentence, write [sentence.split()].",
        ),
        (7, "Expected a list of sentences, got int 7."),
        (None, "Expected a list of sentences, got NoneType None."),
        (
            [["a"], "The bank ."],
            "Expected sentence 1 as a list of words, got the str 'The bank .'. "
            "Split it first: sentence.split().",
        ),
        (
            ["The", "bank"],  # one sentence without the list around it
            "Expected sentence 0 as a list of words, got the str 'The'. "
            "Split it first: sentence.split().",
        ),
        (
            [b"The bank ."],
            "Expected sentence 0 as a list of words, got the bytes b'The bank .'. "
            "Split it first: sentence.split().",
        ),
        ([["a"], 7], "Expected sentence 1 as a list of words, got int 7."),
        ([None], "Expected sentence 0 as a list of words, got NoneType None."),
        ([{"a"}], "Expected sentence 0 as a list of words, got set {'a'}."),
        (
            [["a"], ["b", None]],
            "Expected a word as str at position 1 of sentence 1, got NoneType None.",
        ),
        ([[b"a"]], "Expected a word as str at position 0 of sentence 0, got bytes b'a'."),
        (
            [[["a", "b"], ["c"]]],
            "Expected a word as str at position 0 of sentence 0, got list ['a', 'b'].",
        ),
    ],
    ids=repr,
)
def test_anything_else_is_an_error_that_says_what_and_where(sentences, expected):
    assert message(check_sentences, sentences) == expected


def test_a_long_value_is_cut_in_the_error():
    text = message(check_not_a_string, "word " * 1000)
    assert len(text) < 160
    assert "'word word" in text and "..." in text


# Texts


def test_a_text_is_split_on_whitespace_and_a_list_of_words_stays():
    texts = ["The  bank\tof\nthe river .", ["New York", "is"], "", "   "]
    assert [list(words) for words in tokenize(texts)] == [
        ["The", "bank", "of", "the", "river", "."],
        ["New York", "is"],
        [],
        [],
    ]


def test_a_tokenizer_replaces_the_split_for_strings_only():
    texts = ["a b", ["c d"]]
    assert [list(words) for words in tokenize(texts, tokenizer=list)] == [["a", " ", "b"], ["c d"]]


def test_texts_are_read_one_at_a_time():
    def stream():
        yield "a b"
        raise AssertionError("read on before it was asked to")

    assert next(iter(tokenize(stream()))) == ["a", "b"]


@pytest.mark.parametrize("texts", ["The bank .", b"The bank .", 7, None], ids=repr)
def test_texts_that_are_no_list_are_an_error_at_once(texts):
    assert message(tokenize, texts).startswith("Expected a list of sentences, got")


@pytest.mark.parametrize("wrong", [7, None, b"a b", ["a", 7]], ids=repr)
def test_what_is_no_text_stays_for_the_check_of_sentences(wrong):
    (_, words) = tokenize(["a", wrong])
    assert words is wrong
    assert "sentence 1" in message(check_sentences, tokenize(["a", wrong]))


def test_a_tokenizer_that_gives_no_words_is_found_by_the_check_of_sentences():
    assert message(check_sentences, tokenize(["a b"], tokenizer=str.upper)) == (
        "Expected sentence 0 as a list of words, got the str 'A B'. "
        "Split it first: sentence.split()."
    )
