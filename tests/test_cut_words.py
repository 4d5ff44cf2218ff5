"""Words that the model does not read whole: they are counted, and the caller is warned."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from fake_elmo import FakeElmo
from hypothesis import example, given
from hypothesis import strategies as st

import elmo_jax
from elmo_jax import ElmoConfig, ElmoError, WordsCutWarning, encode_batch, explore
from elmo_jax.corpus import embed_corpus, merge_parts
from elmo_jax.engine import engine, plan, run
from elmo_jax.errors import DeviceMemoryWarning
from elmo_jax.model.bilm import init_params
from elmo_jax.model.characters import BOS, EOS, encode_words, spelled_lengths
from elmo_jax.model.spelling import word_limit
from elmo_jax.text.cut_words import CutWords, WordLimit, are_cut
from elmo_jax.text.readers import Record

CONFIG = ElmoConfig.preset("tiny")
MOST = CONFIG.max_characters_per_token - 2
FITS, CUT, CHINESE = "x" * MOST, "x" * (MOST + 1), "日本" * 16
PROTEIN = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ"


def elmo_of(**sizes):
    """A model in many small calls."""
    params = init_params(CONFIG, seed=0)
    elmo = elmo_jax.Elmo.from_params(CONFIG, params)
    sizes = {"lane_shapes": (1, 4, 16), "window_tokens": 64, "lanes_first_from": 1} | sizes
    elmo._engine = engine.Engine(
        CONFIG, params, "float32", plan=dataclasses.replace(plan.CPU, **sizes)
    )
    return elmo


@pytest.fixture(scope="module")
def elmo():
    return elmo_of()


def spelled(word, width):
    """The word that the character ids stand for."""
    (ids,) = encode_words([word], width)
    return bytes(ids[1 : spelled_lengths(ids[None])[0] - 1].astype(np.uint8) - 1)


@given(st.text(st.characters(exclude_categories=())), st.integers(3, 60))
@example("\ud800", 50)
@example("é" * 24, 50)
@example("é" * 24 + "x", 50)
@example("a\udfffb", 50)
def test_a_word_is_cut_if_it_cannot_be_read_back(word, width):
    if word not in (BOS, EOS):
        whole = word.encode("utf-8", "surrogatepass")
        assert are_cut([word], WordLimit(width - 2)).tolist() == [spelled(word, width) != whole]


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=12), max_size=4))
def test_a_sentence_has_as_many_cut_words_as_it_has_words_that_are_cut(words):
    count = CutWords(WordLimit(7))
    assert count.add_sentence(words) == are_cut(words, WordLimit(7)).sum() == count.n_cut
    assert count.n_words == len(words)


WAYS = {
    "embed": lambda elmo, sentences: elmo.embed(sentences),
    "embed pooled": lambda elmo, sentences: elmo.embed_sentences(sentences),
    "stream": lambda elmo, sentences: list(elmo.stream(sentences)),
    "token layer": lambda elmo, sentences: elmo.embed(sentences, 0),
    "encode_batch": lambda elmo, sentences: encode_batch(sentences, elmo.config),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_call_warns_once_with_the_number_and_an_example(elmo, way):
    sentences = [["The", PROTEIN, "."], [], [CHINESE, PROTEIN], ["Hi"]]
    for _ in range(2):  # the second time the words are no longer new
        with pytest.warns(WordsCutWarning) as warned:
            WAYS[way](elmo, sentences)
        assert len(warned) == 1 and warned[0].filename == __file__
        text = str(warned[0].message)
        assert "3 of " in text and "6 words" in text
        assert "'MKTAYIAKQRQISFVKSHFSRQLE…' (56 bytes)" in text
        assert "at most 48 bytes" in text and "tokenizer=" in text and ".fasta" in text


@pytest.mark.parametrize("way", WAYS)
def test_words_that_just_fit_need_no_warning(elmo, way):
    WAYS[way](elmo, [[FITS, "é" * (MOST // 2)], [FITS]])


def test_a_lone_surrogate_is_left_out_and_the_caller_is_warned(elmo):
    with pytest.warns(WordsCutWarning, match=r"1 of 2 words .* 'a\\ud800' .*lone surrogate"):
        with_it, without = elmo.embed([["a\ud800"], ["a"]])
    np.testing.assert_array_equal(with_it, without)


def test_words_of_one_sentence_warn_too(elmo):
    with pytest.warns(WordsCutWarning, match="1 of 2 words"):
        elmo.get_word_embeddings(["bank", CUT])


def test_a_stream_warns_once_however_many_follow(elmo):
    stream = elmo.stream([["a", "b"]] * 300 + [["a", CUT]] * 100)
    next(stream)  # sentences are read ahead, but not so far
    with pytest.warns(WordsCutWarning, match=r"of the first \d+ words") as warned:
        assert len(list(stream)) == 399
    assert len(warned) == 1


def test_a_caller_who_counts_the_words_of_a_stream_is_not_warned(elmo):
    count = CutWords(word_limit(CONFIG))
    list(elmo.stream([["a", CUT], [CUT]] * 50, cut_words=count))
    assert (count.n_words, count.n_cut, count.example) == (150, 100, CUT)


def test_a_row_of_the_word_table_that_gets_another_word_is_no_longer_cut():
    small = elmo_of(word_rows=(8, 8), window_tokens=4)
    with pytest.warns(WordsCutWarning, match="3 of 3 words"):
        small.embed([[CUT + "a"], [CUT + "b"], [CUT + "c"]])
    for i in range(10):
        small.embed([[f"w{i}", f"v{i}"]])
    with pytest.warns(WordsCutWarning, match="1 of 2 words"):
        small.embed([[CUT + "a", "w1"]])


def test_sentences_that_are_run_again_are_counted_once(monkeypatch):
    read_lanes, calls = run.read_lanes, iter(range(1000))

    def without_memory(*arguments):
        if next(calls) in (0, 3):
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory (forced)")
        return read_lanes(*arguments)

    monkeypatch.setattr(run, "read_lanes", without_memory)
    with pytest.warns(DeviceMemoryWarning), pytest.warns(WordsCutWarning, match="30 of 90 words"):
        elmo_of().embed([["a", CUT, "b"]] * 30)


def test_neighbors_warn_once_for_query_and_text_and_count_each_sentence_once(elmo):
    query = explore.Occurrence(("a", CUT), 0)
    for text, message in [
        ([["a", CUT], ["a", CHINESE]], "2 of 4 words are"),
        ([["a", CHINESE]], "2 of 4 words are"),
        ([["a", "b"]], "1 of 4 words is"),
    ]:
        with pytest.warns(WordsCutWarning, match=message) as warned:
            explore.neighbors(elmo, [query], text, word="a")
        assert len(warned) == 1


# Corpora

SENTENCES = [["a", CUT], [CHINESE, "b", PROTEIN], [], ["c"] * 9, [CUT], ["é"]]
RECORDS = [Record(words, " ".join(words), f"s{i}") for i, words in enumerate(SENTENCES)]


def corpus(out, **choices):
    with pytest.warns(WordsCutWarning, match="4 of 16 words") as warned:
        summary = embed_corpus(FakeElmo(), RECORDS, out, part_tokens=4, **choices)
    assert len(warned) == 1 and warned[0].filename == __file__
    assert summary["parts"] > 2
    return summary["words_cut"]


def test_the_summary_of_a_corpus_counts_cut_words(tmp_path):
    assert corpus(tmp_path / "out.npz") == 4


def test_a_resumed_run_and_shards_count_those_of_the_whole_corpus(tmp_path):
    shards = [corpus(tmp_path / "out.npz", shard=(i, 2)) for i in (1, 2)]
    merged = merge_parts(tmp_path / "out.npz", tmp_path / "merged.npz")
    resumed = corpus(tmp_path / "out.npz")
    assert [*shards, merged["words_cut"], resumed] == [4] * 4


@pytest.mark.parametrize("n_parts", [1, 3])
def test_a_real_model_warns_once_for_a_corpus(elmo, tmp_path, n_parts):
    records = [Record(["a", CUT], f"a {CUT}") for _ in range(n_parts)]
    with pytest.warns(WordsCutWarning) as warned:
        summary = embed_corpus(elmo, records, tmp_path / "out.npz", part_tokens=2)
    assert (len(warned), summary["parts"], summary["words_cut"]) == (1, n_parts, n_parts)


def test_a_text_with_a_lone_surrogate_is_refused_with_its_place(tmp_path):
    records = [Record(["a"], "a\ud800", None, "corpus.txt", 7)]
    with pytest.raises(ElmoError, match=r"corpus\.txt, line 7: .*lone surrogate"):
        embed_corpus(FakeElmo(), records, tmp_path / "out.npz")


def test_the_commands_say_it(make_model, tmp_path, capsys):
    from elmo_jax.cli import main

    text, out = tmp_path / "text.txt", tmp_path / "out.npz"
    text.write_text(f"a {CUT}\n{CHINESE}\nb\n", encoding="utf-8")
    model = str(make_model(3)[0])
    assert main(["embed", str(text), "-o", str(out), "--model", model, "--quiet", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["words_cut"] == 2
    assert printed.err.startswith("elmo-jax embed: warning: 2 of 4 words are not read whole")
    assert printed.err.count("\n") == 1
    shard = ["--shard", "1/1", "--overwrite"]
    assert main(["embed", str(text), "-o", str(out), "--model", model, "--quiet", *shard]) == 0
    assert "4 tokens (2 longer than the model reads)" in capsys.readouterr().out
    assert main(["merge", str(out), "--overwrite", "--quiet"]) == 0
    assert "4 tokens (2 longer than the model reads)" in capsys.readouterr().out
