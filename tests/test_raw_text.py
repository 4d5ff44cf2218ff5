"""Text that is split at whitespace and looks raw gets one warning; tokenized text gets none."""

import warnings

import numpy as np
import pytest
from conftest import shared_folder
from test_treebank import as_written

from elmo_jax import Elmo, ElmoConfig, RawTextWarning
from elmo_jax.model.bilm import init_params
from elmo_jax.text.raw_text import MOST_TEXTS, RawTextWatch
from elmo_jax.text.readers import Records
from elmo_jax.text.sentences import tokenize
from elmo_jax.training import Corpus

GERMAN = """Er sagte: „Ich gehe jetzt zur Bank.“
Die Bank am Fluss war frei, aber kalt.
Das kostet z.B. 5 Euro; Dr. Müller wusste es."""

FRENCH = """Il dit : « Je vais à la banque. »
— Bonjour ! Comment allez-vous ?
L'eau de la rivière est froide, mais claire.
Elle rit : « Vous êtes fou ! »"""


def looks_raw(lines):
    watch = RawTextWatch("", n_left=len(lines))
    for line in lines:
        with warnings.catch_warnings(action="ignore", category=RawTextWarning):
            watch.add(line.split())
    return watch.looks_raw


def thousands(lines):
    return [lines[start : start + MOST_TEXTS] for start in range(0, len(lines), MOST_TEXTS)]


def test_tokenized_text_is_never_taken_for_raw(heldout, real_sentences):
    lines = heldout.read_text("utf-8").splitlines() + [" ".join(words) for words in real_sentences]
    assert not any(map(looks_raw, thousands(lines)))


def test_tokenized_tweets_and_reviews_are_not_taken_for_raw():
    tasks = shared_folder() / "data" / "tasks"
    if not tasks.exists():
        pytest.skip("no shared data; ELMO_JAX_SHARED names the folder that holds it")
    tweets = (tasks / "ner_wnut17" / "train.tsv").read_text("utf-8").split("\n\n")
    tweets = [" ".join(row.split("\t")[0] for row in tweet.splitlines()) for tweet in tweets]
    reviews = (tasks / "sentiment_mr" / "train.tsv").read_text("utf-8").splitlines()
    assert not any(map(looks_raw, thousands(tweets)))
    assert not any(map(looks_raw, thousands([line.split("\t")[1] for line in reviews])))
    assert all(map(looks_raw, thousands([as_written(tweet).lower() for tweet in tweets])))


def test_the_same_text_as_people_write_it_is_raw(heldout, real_sentences):
    lines = heldout.read_text("utf-8").splitlines() + [" ".join(words) for words in real_sentences]
    raw = list(map(as_written, lines))
    assert all(map(looks_raw, thousands(raw)))
    assert all(map(looks_raw, thousands([line.lower() for line in raw])))


@pytest.mark.parametrize("text", [GERMAN, FRENCH, "The bank is closed.", "ok, see u there, lol!!"])
def test_a_few_lines_are_enough(text):
    assert looks_raw(text.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "The bank of the river .",
        "Mr. Lee of Acme Inc. in the U.S. left , e.g. at 5 p.m. .",
        "`` It 's , '' he said , `` the '90s . ''",
        'He said : " Do n\'t ! " ( twice ) ...',
        "no punctuation at all",
        "&lt; &amp; &quot; C++ F# .NET http://a.b/c?d=e",
        "One bank. in a text , where ( nearly ) all other marks stand alone .",
        "1. 2, 3; ... !!!",
        "",
    ],
)
def test_marks_and_abbreviations_of_tokenized_text_are_not_raw(text):
    assert not looks_raw([text])


@pytest.mark.parametrize("word", ["a." * 10**5, "(" * 10**5 + "a", "'a" * 10**5 + "-"])
def test_a_hostile_word_takes_linear_time(word):
    looks_raw([word])


# Who warns


@pytest.fixture(scope="module")
def elmo():
    config = ElmoConfig.preset("tiny")
    return Elmo.from_params(config, init_params(config, 0))


@pytest.fixture
def raw_file(tmp_path):
    path = tmp_path / "raw.txt"
    path.write_text("She sat by the bank. It was a river bank.\nHe left, too.\n")
    return path


def test_strings_split_at_whitespace_warn_once(elmo):
    message = (
        r"^50% of the words of 2 texts have punctuation attached, such as 'bank\.', as in raw "
        r"text; models are trained on 'bank \.'\. .*tokenizer=elmo\.tokenizer, or elmo\.encode\.$"
    )
    texts = ["The bank.", "A bank."]
    with pytest.warns(RawTextWarning, match=message) as caught:
        elmo.embed_sentences(texts)
    assert len(caught) == 1 and caught[0].filename == __file__
    with pytest.warns(RawTextWarning):
        list(tokenize(texts, "spaces"))


def test_other_tokenizers_and_lists_of_words_do_not_warn(elmo):
    texts = ["The bank is closed."]
    for tokenizer in ("auto", "words", "treebank", lambda text: text.split(" ")):
        list(tokenize(texts, tokenizer, auto="treebank"))
    elmo.embed_sentences([["The", "bank."], ["A", "bank."]])
    assert np.array_equal(
        elmo.embed_sentences(texts, tokenizer="auto"),
        elmo.embed_sentences(["The bank is closed ."]),
    )


def test_only_the_first_thousand_texts_are_looked_at():
    tokenized, raw = ["The bank is closed ."] * MOST_TEXTS, ["The bank is closed."] * MOST_TEXTS
    assert len(list(tokenize(tokenized + raw))) == 2 * MOST_TEXTS
    with pytest.warns(RawTextWarning, match="of the first 1,000 texts"):
        list(tokenize(raw + tokenized))


def test_a_corpus_warns_once_however_often_it_is_read(raw_file):
    records = Records.of(raw_file)
    assert next(iter(records)).words[0] == "She"  # a pass that is given up decides nothing
    with pytest.warns(RawTextWarning, match=rf"^{raw_file}: 31% of the words of 2 lines"):
        list(records)
    assert len(list(records)) == 2


def test_a_corpus_of_word_lists_does_not_warn(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"words": ["The", "bank."]}\n')
    assert len(list(Records.of(path, column="words"))) == 1


def test_training_text_that_looks_raw_should_be_tokenized_first(raw_file):
    corpus = Corpus.of(raw_file)
    with pytest.warns(RawTextWarning, match="elmo-jax tokenize INPUT -o OUT"):
        list(corpus.sentences())
    assert len(list(corpus.without_reports().sentences())) == 2
    assert len(list(Corpus.of(raw_file, tokenizer="treebank").sentences())) == 2
