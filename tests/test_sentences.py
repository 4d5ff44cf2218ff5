"""What counts as sentences, and what the errors say of everything else."""

import types

import numpy as np
import pyarrow
import pytest

from elmo_jax import Elmo, ElmoConfig, ElmoError, alignment, encode_batch, explore
from elmo_jax.errors import WhitespaceWarning
from elmo_jax.text.sentences import (
    check_collection,
    check_sentence,
    check_sentences,
    tokenize,
)
from elmo_jax.text.tokenizers import CheckedWords

GOOD = [[], ["a"], ("a", "b"), np.array(["a", "b"]), np.array(["a", "b"], object)]


def message(function, *arguments, **choices):
    with pytest.raises(ElmoError) as error:
        function(*arguments, **choices)
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
            "For one text, write [text.split()].",
        ),
        (
            b"The bank .",
            "Expected a list of sentences, got one bytes b'The bank .'. "
            "For one text, write [text.decode().split()].",
        ),
        (7, "Expected a list of sentences, got int 7."),
        (None, "Expected a list of sentences, got NoneType None."),
        (
            [["a"], "The bank ."],
            "Expected sentence 1 as a list of words, got the str 'The bank .'. "
            "Split it first: sentence.split(); or raw text with a tokenizer "
            "(elmo_jax.tokenizer_named).",
        ),
        (
            ["The", "bank"],  # one sentence without the list around it
            "Expected sentence 0 as a list of words, got the str 'The'. "
            "Split it first: sentence.split(); or raw text with a tokenizer "
            "(elmo_jax.tokenizer_named).",
        ),
        (
            [b"The bank ."],
            "Expected sentence 0 as a list of words, got the bytes b'The bank .'. "
            "Split it first: sentence.decode().split(); or raw text with a tokenizer "
            "(elmo_jax.tokenizer_named).",
        ),
        ([["a"], 7], "Expected sentence 1 as a list of words, got int 7."),
        (
            [["a"], None],
            "Expected sentence 1 as a list of words, got the missing value None. Leave it out, or "
            "put [] in its place, which is a sentence without words.",
        ),
        (
            [float("nan")],
            "Expected sentence 0 as a list of words, got the missing value nan. Leave it out, or "
            "put [] in its place, which is a sentence without words.",
        ),
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


def _transform(texts):
    return pytest.importorskip("elmo_jax.sklearn").ElmoTransformer().transform(texts)


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (
            lambda text: encode_batch(text, ElmoConfig.preset("tiny")),
            "encode_batch([text.split()], config)",
        ),
        (alignment.count_words, "count_words([text.split()])"),
        (
            lambda text: alignment.compute_anchors(None, text, []),
            "compute_anchors(elmo, [text.split()], words)",
        ),
        (
            lambda text: explore.find_occurrences("bank", text),
            "find_occurrences(word, [text.split()])",
        ),
        (
            lambda text: explore.sentence_similarity(None, text),
            "sentence_similarity(elmo, [text.split(), other.split()])",
        ),
        (_transform, "transformer.transform([text])"),
    ],
)
def test_a_single_text_is_answered_with_what_to_write(function, call):
    assert message(function, "The bank .") == (
        f"Expected a list of sentences, got one str 'The bank .'. For one text, write {call}."
    )


@pytest.mark.parametrize(
    ("method", "choices", "call"),
    [
        ("embed", {}, "elmo.embed([text.split()]), or elmo.encode(text) for raw text"),
        ("embed", {"tokenizer": "words"}, "elmo.embed([text], tokenizer=...)"),
        (
            "embed_padded",
            {},
            "elmo.embed_padded([text.split()]), or elmo.encode(text) for raw text",
        ),
        ("embed_sentences", {}, "elmo.embed_sentences([text])"),
        ("stream", {}, "elmo.stream([text.split()])"),
    ],
)
def test_an_elmo_answers_a_single_text_with_what_to_write(method, choices, call):
    said = message(getattr(Elmo(), method), "It's the bank", **choices)
    assert said.endswith(f'got one str "It\'s the bank". For one text, write {call}.')


def test_a_long_value_is_cut_in_the_error():
    text = message(check_collection, "word " * 1000)
    assert len(text) < 160
    assert "'word word" in text and "…'" in text


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
def test_texts_that_are_not_a_list_are_an_error_at_once(texts):
    assert message(tokenize, texts).startswith("Expected a list of sentences, got")


@pytest.mark.parametrize("wrong", [7, None, b"a b", ["a", 7]], ids=repr)
def test_other_values_than_texts_are_left_to_the_check_of_sentences(wrong):
    (_, words) = tokenize(["a", wrong])
    assert words is wrong
    assert "sentence 1" in message(check_sentences, tokenize(["a", wrong]))


def test_a_tokenizer_that_does_not_return_words_fails_the_check_of_sentences():
    assert message(check_sentences, tokenize(["a b"], tokenizer=str.upper)) == (
        "Expected sentence 0 as a list of words, got the str 'A B'. "
        "Split it first: sentence.split(); or raw text with a tokenizer (elmo_jax.tokenizer_named)."
    )


# Spaces, empty strings, tables


@pytest.mark.parametrize("sentence", [["The", ""], ("", "a"), np.array(["a", ""])], ids=repr)
def test_an_empty_string_is_not_a_word_and_padding_is_not_needed(sentence):
    position = list(sentence).index("")
    text = message(check_sentences, [["a"], sentence])
    assert f"position {position} of sentence 1 is an empty string" in text
    assert "leave empty strings out" in text


@pytest.mark.parametrize("word", ["New York", "a\tb", "a\n", " a", "a\r", "a\fb", "a\v"])
def test_a_word_that_holds_a_space_is_warned_of_once(word):
    with pytest.warns(WhitespaceWarning, match="of sentence 1 holds whitespace") as warned:
        check_sentences([["a"], ["b", word], [word]])
    assert [warning.filename for warning in warned] == [__file__], "and points at the caller"


@pytest.mark.parametrize("package", ["sklearn", "joblib", "ray"])
def test_a_warning_points_past_packages_that_call_this_one_for_the_user(package):
    names = {"__name__": f"{package}.inside", "check": check_sentences}
    call = eval("lambda: check([['New York']])", names)
    with pytest.warns(WhitespaceWarning) as warned:
        call()
    assert [warning.filename for warning in warned] == [__file__]


def test_no_break_spaces_in_a_word_are_its_own_and_checked_words_are_not_checked_again():
    check_sentences([["1\xa0000"], CheckedWords(["New York"])])


class Table:
    """As a table of pandas, polars or pyarrow."""

    def __init__(self, attribute):
        setattr(self, attribute, ["text", "label"])

    def __iter__(self):
        yield from ["text", "label"]


TABLES = [{"text": ["a b"]}, types.MappingProxyType({"text": 1}), Table("columns")]


@pytest.mark.parametrize("table", [*TABLES, Table("column_names")], ids=lambda t: type(t).__name__)
def test_a_table_or_mapping_is_an_error_that_says_what_to_pass(table):
    for function in (check_collection, check_sentences, tokenize):
        text = message(function, table)
        assert "keys 'text'" in text and "['text']" in text


def test_the_error_for_an_arrow_table_has_its_names_not_its_columns():
    text = message(tokenize, pyarrow.table({"text": ["a b"]}))
    assert "keys 'text'. Pass the one that holds the sentences: table['text']" in text


def test_an_arrow_column_is_no_list_of_strings():
    for column in (pyarrow.array(["a b"]), pyarrow.chunked_array([["a b"]])):
        assert "Pass its strings: .to_pylist()" in message(tokenize, column)
        assert list(tokenize(column.to_pylist())) == [["a", "b"]]


def test_a_gap_in_a_column_is_an_error_at_its_place():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    columns = [["a b", gap] for gap in (None, float("nan"), np.ma.masked, pandas.NA, pandas.NaT)]
    columns += [pandas.Series(["a b", None], index=[7, 3]), pandas.array(["a b", pandas.NA])]
    for column in columns:
        text = message(check_sentences, tokenize(column))
        assert text.startswith("Expected sentence 1 as a list of words, got the missing value")


def test_a_column_has_the_order_of_its_rows_not_of_its_index():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    texts = pandas.Series(["a b", "c"], index=[1, 0])
    assert list(tokenize(texts)) == [["a", "b"], ["c"]]


@pytest.mark.parametrize("items", [{"a b"}, frozenset(["a b"])], ids=repr)
def test_a_set_is_refused_because_it_has_no_order(items):
    assert "no order" in message(tokenize, items)


def test_the_keys_or_values_of_a_dict_are_sentences_but_its_items_are_pairs():
    texts = {"a b": "c d"}
    assert list(tokenize(texts.keys())) == [["a", "b"]]
    assert list(tokenize(texts.values())) == [["c", "d"]]
    assert "pairs of keys and values" in message(tokenize, texts.items())


@pytest.mark.parametrize(
    "items",
    [bytearray(b"a"), memoryview(b"a"), np.array("a b")],
    ids=["bytearray", "memoryview", "array"],
)
def test_one_value_is_not_a_list_of_sentences(items):
    assert message(tokenize, items).startswith("Expected a list of sentences, got")


def test_a_column_of_a_table_is_a_list_of_texts():
    class Series(list):
        """As pandas has it: with keys, but without columns."""

        ndim = 1

        def keys(self):
            return range(len(self))

    assert list(tokenize(Series(["a b", "c"]))) == [["a", "b"], ["c"]]
    assert list(tokenize(np.array(["a b", "c"]))) == [["a", "b"], ["c"]]


def test_a_text_that_is_split_at_an_unusual_space_is_warned_of_once():
    texts = ["a b", "1\xa0000 km", "2\xa0000"]
    with pytest.warns(
        WhitespaceWarning, match=r"text 1: '1\\xa0000' is split at U\+00A0"
    ) as warned:
        assert list(tokenize(texts)) == [["a", "b"], ["1", "000", "km"], ["2", "000"]]
    assert len(warned) == 1
    assert list(tokenize(texts, "spaces")) == [["a", "b"], ["1\xa0000", "km"], ["2\xa0000"]]


def test_a_blank_text_has_no_words_whatever_the_tokenizer():
    assert list(tokenize(["", " "], lambda text: text.split(" "))) == [[], []]
