"""Text files to arrays: corpus, vocabulary, streams, windows."""

import bz2
import collections
import gzip
import itertools
import json
import logging
import lzma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elmo_jax import ElmoConfig, ElmoError
from elmo_jax.checkpoint.vocabulary import Vocabulary
from elmo_jax.errors import WhitespaceWarning
from elmo_jax.model.characters import encode_words
from elmo_jax.processes import ALONE
from elmo_jax.training import windows
from elmo_jax.training.lexicon import BEGIN, END, Lexicon
from elmo_jax.training.sentences import SplitSentences
from elmo_jax.training.settings import TrainingSettings
from elmo_jax.training.streams import (
    ShuffledSentences,
    StreamOffset,
    StreamPosition,
    TrainingStreams,
)
from elmo_jax.training.text_files import Corpus, survey
from elmo_jax.training.windows import DirectionLanes, LanePair, assemble, bucket
from elmo_jax.training.word_counts import count_words

CONFIG = ElmoConfig(filters=((1, 4), (3, 4)), projection_dim=6, cell_dim=8, char_embedding_dim=4)
SETTINGS = TrainingSettings(batch_size=3, unroll_steps=5, seed=1, shuffle_buffer=11)
VOCABULARY = Vocabulary.from_counts({"w1": 3, "w2": 2})


def next_sentences(stream, n):
    """The next sentences of a stream, as lists of words."""
    steps = list(itertools.islice(stream.steps, n))
    words, lengths = stream.take(n, np.arange(n))
    assert steps == [length + 1 for length in lengths]
    words = iter(words)
    return [list(itertools.islice(words, length)) for length in lengths]


def both_ways(*sentences):
    """A stream of the same sentences for each direction."""
    return tuple(SplitSentences(iter(sentences)) for _ in range(2))


def numbered(n, start=0):
    return [[f"w{i}"] * (1 + i % 4) for i in range(start, start + n)]


@pytest.fixture
def shards(tmp_path):
    """Three files of 40, 25 and 35 numbered sentences."""
    for name, (start, stop) in {"a": (0, 40), "b": (40, 65), "c": (65, 100)}.items():
        lines = "".join(" ".join(words) + "\n" for words in numbered(stop - start, start))
        (tmp_path / f"{name}.txt").write_text(lines)
    return Corpus.of(str(tmp_path / "*.txt"))


def test_plain_and_compressed_files_read_alike(tmp_path):
    text = "Ein Häuschen .\n\n  zwei Wörter  \n".encode()
    openers = {"p.txt": open, "g.txt.gz": gzip.open, "x.txt.xz": lzma.open, "b.txt.bz2": bz2.open}
    for name, opener in openers.items():
        with opener(tmp_path / name, "wb") as file:
            file.write(text)
        corpus = Corpus.of(tmp_path / name)
        assert list(corpus.sentences()) == [["Ein", "Häuschen", "."], ["zwei", "Wörter"]]


def test_a_glob_is_sorted_and_adds_what_is_not_named(tmp_path):
    for name in ("b.txt", "a.txt", "c.txt"):
        (tmp_path / name).write_text("x\n")
    corpus = Corpus.of([tmp_path / "b.txt", str(tmp_path / "*.txt")])
    assert [path.name for path in corpus.files] == ["b.txt", "a.txt", "c.txt"]
    with pytest.raises(ElmoError, match="No such file"):
        Corpus.of(str(tmp_path / "*.tsv"))
    with pytest.raises(ElmoError, match="folder"):
        Corpus.of(tmp_path)


def test_faults_are_reported_with_their_place_and_passed_over(tmp_path, caplog):
    (tmp_path / "bad.txt").write_bytes(b"one two\nth\xffree four\nfive\n")
    (tmp_path / "empty.txt").write_bytes(b"\n \n")
    whole = gzip.compress(b"six seven\n" * 5000)
    (tmp_path / "cut.txt.gz").write_bytes(whole[: len(whole) // 2])
    names = ("bad.txt", "empty.txt", "cut.txt.gz")
    with caplog.at_level(logging.WARNING):
        statistics = survey(Corpus.of([tmp_path / name for name in names]))
    assert statistics.counts["th\ufffdree"] == 1
    messages = [record.getMessage() for record in caplog.records]
    assert any("bad.txt, line 2, byte 3: 0xff" in m for m in messages)
    assert any("empty.txt is empty" in m for m in messages)
    assert any("cut.txt.gz breaks off after line" in m for m in messages)
    for name in names:
        with pytest.raises(ElmoError, match=name):
            survey(Corpus.of(tmp_path / name, strict=True))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("The bank .\n".encode("utf-16"), "is UTF-16, expected UTF-8.*iconv -f UTF-16"),
        ("一个 bank\n".encode("utf-16-le"), "is UTF-16LE"),
        (gzip.compress(b"a b\n", mtime=0), r"gzip data, not text.*\.gz"),
        (b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file"),
        (b"\x01\x02\0\0\x09\n", "is not text: byte 3 is NUL"),
        (
            ">x\nMKV\n",
            r"looks like FASTA, .*\. Training .* per line; input_format='text' reads it as it is",
        ),
        ("déjà vu\n".encode("latin-1") * 3, "3 of its 3 lines are not, and 0 .*iconv -f ENCODING"),
        ("日本語です\nはい\n".encode("shift-jis"), "2 of its 2 lines are not"),
        (b"GIF89a\x10\xf0", "a GIF image"),
        (b"a\xff\xff\xff\nb\nc\n", None),
        (("a b\n" * 60 + "é\n").encode("latin-1") * 5, "5 of its 305 lines"),
        (("a b\n" * 600 + "é\n").encode("latin-1") * 5, None),
        ("é\n".encode() * 4 + b"\xe9\n" * 3, None),
    ],
)
def test_what_is_no_text_or_in_another_encoding_is_never_trained_on(tmp_path, content, said):
    path = tmp_path / "a.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    if said is None:
        assert survey(Corpus.of(path)).n_words
        return
    with pytest.raises(ElmoError, match=f"a.txt.*{said}"):
        survey(Corpus.of(path))


def test_files_of_other_formats_are_no_corpus_unless_they_are_called_text(tmp_path):
    for name in ("a.csv", "a.tsv.gz", "a.conllu", "a.jsonl", "a.json", "a.fasta", "a.parquet"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(
            ElmoError, match=rf"{name} is read as .*Records\.of.*input_format='text'"
        ):
            Corpus.of(tmp_path / name)
    (tmp_path / "a.csv").write_text(">x\nMKV\n")
    corpus = Corpus.of(tmp_path / "a.csv", format="text")
    assert list(corpus.sentences()) == [[">x"], ["MKV"]]


def test_a_nul_byte_in_a_text_is_reported_like_other_bytes(tmp_path, caplog):
    (tmp_path / "a.txt").write_bytes(b"a b\n" * 2000 + b"c\0d\n")
    corpus = Corpus.of(tmp_path / "a.txt")
    assert survey(corpus).counts["c\ufffdd"] == 1
    assert "line 2001, byte 2: 0x00" in caplog.text


def test_a_corpus_is_split_by_a_named_tokenizer_and_warns_of_unusual_spaces_once(tmp_path):
    (tmp_path / "a.txt").write_text("a\n1\xa0000 km\n2\xa0000\n", encoding="utf-8")
    with pytest.warns(WhitespaceWarning, match=r"a\.txt, line 2: '1\\xa0000' is split") as warned:
        survey(Corpus.of(tmp_path / "a.txt"))
    assert len(warned) == 1
    corpus = Corpus.of(tmp_path / "a.txt", tokenizer="spaces")
    assert list(corpus.sentences()) == [["a"], ["1\xa0000", "km"], ["2\xa0000"]]
    stream = ShuffledSentences(corpus, (0, 0), 10)
    assert sorted(next_sentences(stream, 3)) == sorted(corpus.sentences())
    (tmp_path / "tabs.txt").write_text("New York\tis\n\na\t\tb\n")
    with pytest.raises(ElmoError, match=r"tabs\.txt, line 3: Word 2 of the 3 between tabs"):
        survey(Corpus.of(tmp_path / "tabs.txt", tokenizer="tabs"))
    with pytest.raises(ElmoError, match="Unknown tokenizer 'no'"):
        Corpus.of(tmp_path / "a.txt", tokenizer="no")
    with pytest.raises(ElmoError, match="Expected the name of a tokenizer"):
        Corpus.of(tmp_path / "a.txt", tokenizer=str.split)


def test_the_survey_counts(tmp_path):
    (tmp_path / "t.txt").write_text("a b a\n\nb c")
    statistics = survey(Corpus.of(tmp_path / "t.txt"))
    assert (statistics.n_sentences, statistics.n_words, statistics.n_predictions) == (2, 5, 7)
    assert list(statistics.counts.items()) == [("a", 2), ("b", 2), ("c", 1)]


@given(st.lists(st.text("ab é\t\r\x0b\x1c\x1f\x85\xa0\u2028\u3000", max_size=12), max_size=9))
def test_words_are_counted_where_they_would_be_split(lines):
    assert count_words(lines).tolist() == [len(line.split()) for line in lines]
    assert " ".join(lines).split() == [word for line in lines for word in line.split()]


def test_only_chosen_sentences_are_split_and_none_is_handed_out_twice(shards):
    stream, same = (ShuffledSentences(shards, (3, 0), 7) for _ in range(2))
    expected = next_sentences(same, 30)
    for start in (0, 10, 20):  # over the ends of blocks
        steps = list(itertools.islice(stream.steps, 10))
        assert steps == [len(words) + 1 for words in expected[start : start + 10]]
        words, lengths = stream.take(10, np.array([1, 4]))
        assert words == expected[start + 1] + expected[start + 4]
        assert lengths.tolist() == [len(expected[start + 1]), len(expected[start + 4])]


@pytest.mark.parametrize("buffer_size", [7, 1000])
def test_every_epoch_holds_every_sentence_once_in_another_order(shards, buffer_size):
    stream = ShuffledSentences(shards, (3, 0), buffer_size)
    epochs = [next_sentences(stream, 100) for _ in range(3)]
    expected = collections.Counter(map(tuple, numbered(100)))
    for epoch in epochs:
        assert collections.Counter(map(tuple, epoch)) == expected
    orders = {tuple(map(tuple, epoch)) for epoch in [numbered(100), *epochs]}
    assert len(orders) == 4
    again = ShuffledSentences(shards, (3, 0), buffer_size)
    assert next_sentences(again, 100) == epochs[0]
    other = ShuffledSentences(shards, (3, 1), buffer_size)
    assert next_sentences(other, 100) != epochs[0]


@pytest.mark.parametrize("n_given", [0, 1, 6, 7, 8, 99, 100, 101, 250])
def test_a_stream_is_resumed_from_its_offset(shards, n_given):
    stream = ShuffledSentences(shards, (5, 0), 7)
    next_sentences(stream, n_given)
    resumed = ShuffledSentences(shards, (5, 0), 7, StreamOffset(*stream.offset))
    assert next_sentences(resumed, 150) == next_sentences(stream, 150)


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9), min_size=1, max_size=20),
    st.integers(1, 4),
    st.integers(1, 7),
    st.booleans(),
)
def test_lanes_hold_every_prediction_once(sentences, n_rows, n_steps, backward):
    lexicon = Lexicon(VOCABULARY, CONFIG)
    lanes = DirectionLanes(SplitSentences(iter(sentences)), n_rows, lexicon, backward)
    rows = [([], []) for _ in range(n_rows)]
    while window := lanes.take(n_steps):
        for row, n_real in enumerate(window.n_real):
            rows[row][0].extend(lexicon.words(window.inputs[row, :n_real]))
            rows[row][1].extend(lexicon.words(window.targets[row, :n_real]))
    begin, end = ("</S>", "<S>") if backward else ("<S>", "</S>")
    sentences_read = []
    for inputs, targets in rows:
        # A row is whole sentences: cut at the begin markers, and at the end markers.
        starts = [i for i, word in enumerate(inputs) if word == begin]
        for start, stop in itertools.pairwise([*starts, len(inputs)]):
            assert targets[start : stop - 1] == inputs[start + 1 : stop]
            assert targets[stop - 1] == end
            words = inputs[start + 1 : stop]
            sentences_read.append(words[::-1] if backward else words)
    assert sorted(sentences_read) == sorted(sentences)


def words_of(streams):
    """The words of the next window: inputs and targets of both directions."""
    return [streams.lexicon.words(x.ravel()) for window in streams.take() for x in window[:2]]


def new_streams(corpus, position=None):
    lexicon = Lexicon(VOCABULARY, CONFIG)
    return TrainingStreams(corpus, lexicon, SETTINGS, position)


def test_training_streams_are_resumed_from_their_position(shards):
    streams = new_streams(shards)
    for _ in range(17):
        streams.take()
    position = StreamPosition.joined(streams.mark, ALONE)
    position = StreamPosition.from_json(json.loads(json.dumps(position.to_json())))
    resumed = new_streams(shards, position)
    for _ in range(60):
        assert words_of(resumed) == words_of(streams)


def test_a_position_of_another_form_is_refused_with_what_to_do():
    with pytest.raises(ElmoError, match=r"earlier version of elmo-jax.*start a new one"):
        StreamPosition.from_json({"places": [[0, 0, 0, 0]] * 2, "pending": [[[["a"], ["b"]]]] * 2})


def test_words_that_no_row_needs_are_forgotten_when_there_are_too_many(shards, monkeypatch):
    whole, bounded = new_streams(shards), new_streams(shards)
    for _ in range(60):
        monkeypatch.setattr(windows, "_MOST_WORDS", 10**9)
        pair = whole.take()
        wanted = whole.lexicon.entries.ids_UC[pair[0].inputs]
        targets = whole.lexicon.entries.targets_U[pair[1].targets]
        monkeypatch.setattr(windows, "_MOST_WORDS", 20)
        pair = bounded.take()
        assert (bounded.lexicon.entries.ids_UC[pair[0].inputs] == wanted).all()
        assert (bounded.lexicon.entries.targets_U[pair[1].targets] == targets).all()
    assert len(bounded.lexicon) < 60 < len(whole.lexicon)


def test_a_word_that_looks_like_a_marker_begins_no_sentence():
    lexicon = Lexicon(VOCABULARY, CONFIG)
    sentences = [["a", "<S>", "b"]]
    pair = LanePair(both_ways(*sentences), 1, lexicon)
    forward, _ = pair.take(3)
    assert lexicon.words(forward.inputs[0]) == ["<S>", "a", "<S>"]
    assert (forward.inputs[0] == BEGIN).tolist() == [True, False, False]
    assert lexicon.words(forward.targets[0]) == ["a", "<S>", "b"]
    # The same after a resume, with one word left of each direction's sentence.
    lexicon = Lexicon(VOCABULARY, CONFIG)
    rest = LanePair(both_ways(), 1, lexicon, [one.pending() for one in pair.waiting]).take(1)
    assert [lexicon.words(window.inputs[0]) for window in rest] == [["b"], ["a"]]
    assert [window.targets[0, 0] for window in rest] == [END, BEGIN]


def test_a_window_spells_each_word_once(shards):
    vocabulary = Vocabulary.from_counts(survey(shards).counts, size=50)
    lexicon = Lexicon(vocabulary, CONFIG)
    streams = TrainingStreams(shards, lexicon, SETTINGS)
    pair = streams.take()
    window = assemble(pair, lexicon)
    table = {0: window.short_UC, 1: window.long_UC}
    assert table[0].shape == (64, 16) and table[1].shape == (64, 50)
    read = set()
    for number, direction in enumerate(pair):
        inputs, expected = (lexicon.words(x.ravel()) for x in direction[:2])
        read.update(inputs)
        order = slice(None) if number == 0 else slice(None, None, -1)
        slots = window.slots[number][:, order].ravel()
        assert (window.short_UC[slots] == encode_words(inputs, 50)[:, :16]).all()
        targets = window.targets[number][:, order].ravel()
        assert (targets == vocabulary.ids(expected)).all()
        begins = [word == ("<S>", "</S>")[number] for word in inputs]
        assert window.fresh[number][:, order].ravel().tolist() == begins
    assert window.real.all()
    n_used = len(np.unique(window.slots))
    assert n_used == len(read)
    assert not window.short_UC[n_used:].any()


def test_long_words_have_rows_of_their_own():
    words = ["short", "a" * 30, "b" * 60, "é" * 7]
    lexicon = Lexicon(VOCABULARY, CONFIG)
    window = assemble(LanePair(both_ways(words), 1, lexicon).take(5), lexicon)
    wide = np.pad(window.short_UC, ((0, 0), (0, 34)), constant_values=261)
    table = np.concatenate([wide, window.long_UC])
    spelled = encode_words(["<S>", *words], 50)
    assert (table[window.slots[0, 0]] == spelled).all()


@given(st.integers(0, 100_000), st.sampled_from([1, 2, 4]), st.sampled_from([1, 3, 8]))
def test_buckets_are_few_and_not_much_too_large(size, steps, multiple):
    allowed = bucket(size, steps=steps, multiple=multiple)
    assert allowed >= size and allowed % multiple == 0
    assert allowed <= max(64, size * (1 + 1 / steps)) + multiple
    if multiple == 1:
        assert bucket(allowed, steps=steps) == allowed
