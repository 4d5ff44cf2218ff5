"""Raw text to words and sentences: by name, by the library's rule, by other packages."""

import importlib.util
import string
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import elmo_jax
from elmo_jax import ElmoError, split_sentences, tokenizer_named
from elmo_jax.errors import WhitespaceWarning, optional_module
from elmo_jax.text.sentences import check_sentences, tokenize
from elmo_jax.text.splitting import stream_sentences
from elmo_jax.text.tokenizers import words


def needs(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"{package} is not installed"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's the well-known bank.", ["It's", "the", "well-known", "bank", "."]),
        ("“L’eau”, dit-il…", ["“", "L’eau", "”", ",", "dit-il", "…"]),
        ("3.14 of 1,000 at 12:30, 5%.", "3.14 of 1,000 at 12:30 , 5 % .".split()),
        ("The U.S. way, e.g. this.", ["The", "U.S.", "way", ",", "e.g.", "this", "."]),
        ("See https://a.org/b?c=1. Or me@b.co.uk!", "See https://a.org/b?c=1 . Or me@b.co.uk !"),
        ("'quoted' - and--dashes", "' quoted ' - and - - dashes".split()),
        ("हिन्दी में", ["हिन्दी", "में"]),  # with combining vowel signs
        ("nai\u0308ve", ["nai\u0308ve"]),
        ("שלום, עולם", ["שלום", ",", "עולם"]),
        ("👩\u200d🔬👍🏽!", ["👩\u200d🔬", "👍🏽", "!"]),
        (" \n\t", []),
    ],
)
def test_words_keeps_words_together_and_splits_off_the_rest(text, expected):
    assert words(text) == (expected.split() if isinstance(expected, str) else expected)


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(string.punctuation + "a1 "))))
def test_words_lose_nothing_but_whitespace(text):
    split = words(text)
    assert "".join(split) == "".join(text.split()) and all(split)


def test_a_name_may_stand_for_a_function():
    assert list(tokenize(["It's it.", ["New York"]], "words")) == [
        ["It's", "it", "."],
        ["New York"],
    ]
    assert list(tokenize(["It's it !"], "whitespace")) == [["It's", "it", "!"]]


def test_words_between_tabs_keep_the_spaces_inside_them_without_a_warning():
    texts = ["New York\t is \tbig\n", "Việt Nam", " \n", ["a b"]]
    sentences = list(tokenize(texts, "tabs"))
    assert sentences == [["New York", "is", "big"], ["Việt Nam"], [], ["a b"]]
    check_sentences(sentences[:3])
    with pytest.warns(WhitespaceWarning, match="'a b' of sentence 3 "):
        check_sentences(sentences)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a\t\tb", r"^Word 2 of the 3 between tabs is empty in 'a\\t\\tb'"),
        ("\ta", "^Word 1 of the 2 "),
        ("a\t \n", "^Word 2 of the 2 "),
    ],
)
def test_every_tab_stands_between_two_words(text, problem):
    with pytest.raises(ElmoError, match=problem):
        tokenizer_named("tabs")(text)
    with pytest.raises(ElmoError, match=problem.replace("^", "^text 1: ")):
        list(tokenize(["fine", text], "tabs"))


@pytest.mark.parametrize("name", ["nosuch", "", "words:en", "nltk:punkt"])
def test_an_unknown_name_is_an_error_at_once(name):
    with pytest.raises(ElmoError, match=r"Unknown tokenizer .*: expected"):
        tokenize(["a"], name)


def test_other_values_than_tokenizers_are_an_error():
    with pytest.raises(ElmoError, match="tokenizer= as a function or one of the names"):
        tokenize(["a"], 7)


@pytest.mark.slow  # to import
@needs("nltk")
def test_nltk_splits_as_the_treebank_does():
    assert tokenizer_named("nltk")("I don't.") == ["I", "do", "n't", "."]
    assert tokenizer_named("nltk:wordpunct")("I don't.") == ["I", "don", "'", "t", "."]
    assert tokenizer_named("nltk:casual")("yes :-)") == ["yes", ":-)"]


@pytest.mark.slow  # to import
@needs("spacy")
@pytest.mark.filterwarnings("default")  # spaCy's own
def test_spacy_takes_a_language_or_an_installed_pipeline():
    assert tokenizer_named("spacy")("I  don't.\n") == ["I", "do", "n't", "."]
    assert tokenizer_named("spacy:de")("z.B. heute.") == ["z.B.", "heute", "."]
    for unknown in ("qq", "no_such_pipeline"):
        with pytest.raises(ElmoError, match=f"spaCy has no '{unknown}'"):
            tokenizer_named(f"spacy:{unknown}")


@pytest.mark.parametrize(
    ("package", "use", "extra"),
    [
        ("spacy", lambda: tokenizer_named("spacy"), "spacy"),
        ("nltk", lambda: tokenizer_named("nltk"), "nltk"),
        ("sentencex", lambda: split_sentences("a"), "sentences"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(package, use, extra, monkeypatch):
    submodules = [name for name in sys.modules if name.split(".")[0] == package]
    for name in [package, *submodules]:  # what another test has imported, too
        monkeypatch.setitem(sys.modules, name, None)
    for kind in (ElmoError, ImportError):  # as other libraries raise it
        with pytest.raises(
            kind, match=rf'{package} is not installed; .*: pip install "elmo-jax\[{extra}\]"'
        ) as caught:
            use()
        assert caught.value.name == package


def test_a_package_that_is_there_and_broken_is_not_said_to_be_missing(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("raise ImportError('built for another NumPy')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ElmoError, match=r"broken cannot be imported \(built for another NumPy\); a"
    ):
        optional_module("broken", "a test", "none")


# Sentences

TEXT = "Dr. Lee went to\nthe bank. It was closed.\nA headline\n\nShe  left."


@needs("sentencex")
def test_sentences_run_over_line_ends_and_stop_at_blank_lines():
    expected = ["Dr. Lee went to the bank.", "It was closed.", "A headline", "She left."]
    assert split_sentences(TEXT) == expected
    assert split_sentences("यह एक है। वह दो है।", "hi") == ["यह एक है।", "वह दो है।"]
    assert split_sentences("") == split_sentences(" \n\n ") == []


@needs("sentencex")
def test_a_long_text_is_split_as_it_comes():
    read = []

    def lines():
        for number in range(5000):
            read.append(number)
            yield f"This is sentence number {number} of many ."

    sentences = stream_sentences(lines())
    first = next(sentences)
    assert first == "This is sentence number 0 of many ." and len(read) < 1000
    assert [first, *sentences] == [f"This is sentence number {n} of many ." for n in range(5000)]
    assert split_sentences("word " * 20_000) == [" ".join(["word"] * 20_000)]


def test_a_bad_language_code_or_text_is_an_error():
    with pytest.raises(ElmoError, match="language code such as en or de, got 'English, please'"):
        split_sentences("a", "English, please")
    with pytest.raises(ElmoError, match="Expected a text as str, got list"):
        split_sentences(["a"])


def test_the_functions_are_public():
    assert {"tokenizer_named", "split_sentences", "explore"} <= set(elmo_jax.__all__)
