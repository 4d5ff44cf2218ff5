"""Anchors: which words, their mean vectors, their files, and the command."""

import json

import numpy as np
import pytest
from commands import failing, summary
from comparing import assert_close
from random_models import random_elmo

from elmo_jax import Elmo, ElmoError, alignment
from elmo_jax.alignment import Anchors
from elmo_jax.cli import main

D = 12
SENTENCES = [
    ["the", "bank", "of", "the", "river"],
    ["the", "bank", "lends"],
    [],
    ["naïve", "river", "日本"],
    ["of", "bank"],
]


@pytest.fixture(scope="module")
def elmo():
    model = random_elmo(0)
    return Elmo.from_params(model.config, model.params)


# Words


def test_words_are_counted_and_come_by_falling_frequency():
    counts = alignment.count_words(SENTENCES)
    assert counts["the"] == 3 and counts.total() == 13
    words = alignment.frequent_words(counts)
    assert words == ["the", "bank", "of", "river", "lends", "naïve", "日本"]
    assert alignment.frequent_words(counts, 3, min_count=2) == ["the", "bank", "of"]
    assert alignment.frequent_words(counts, min_count=3) == ["the", "bank"]
    among = ["river", "sea", "bank", "river"]
    assert alignment.frequent_words(counts, among=among) == ["bank", "river"]


def test_words_that_a_file_of_anchors_cannot_hold_are_left_out():
    odd = dict.fromkeys(["1 000", "a\tb", "a\nb", "a\0b", "\ufeffa", "half\ud83d", "1\u00a0000"], 9)
    assert alignment.frequent_words(odd) == ["1\u00a0000"]


@pytest.mark.parametrize(("n", "min_count"), [(0, 1), (1, 0)])
def test_numbers_of_words_are_positive(n, min_count):
    with pytest.raises(ElmoError, match="of at least 1"):
        alignment.frequent_words({}, n, min_count=min_count)


# Anchors


def plain_means(elmo, layer, words):
    """The mean vectors of words and the mean norm, as one would write them down."""
    vectors = {word: [] for word in words}
    for sentence, vectors_TD in zip(SENTENCES, elmo.embed(SENTENCES, layer), strict=True):
        for word, vector in zip(sentence, vectors_TD.astype(np.float64), strict=True):
            if word in vectors:
                vectors[word].append(vector)
    every = [vector for of_word in vectors.values() for vector in of_word]
    means = [sum(of_word) / len(of_word) for of_word in vectors.values()]
    return np.array(means), sum(np.sqrt((vector**2).sum()) for vector in every) / len(every)


def test_anchors_are_the_means_of_a_words_vectors_in_each_layer(elmo):
    words = ["river", "the", "bank"]
    done = []
    anchors = alignment.compute_anchors(
        elmo, iter(SENTENCES), [*words, "sea", "the"], (0, -1, 1), done=done.append
    )
    assert list(anchors) == [0, 2, 1] and done == list(map(len, SENTENCES))
    for layer, of_layer in anchors.items():
        means, norm = plain_means(elmo, layer, words)
        assert of_layer.words == tuple(words) and of_layer.layer == layer
        assert of_layer.vectors.dtype == np.float32
        assert_close(of_layer.vectors, means)
        assert_close(of_layer.mean_norm, norm)


def test_words_in_a_column_of_pandas_count_by_their_places_not_their_labels(elmo):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    sentences = [["a", "bank"], ["the", "bank", "of", "a"]]
    columns = [pandas.Series(words, index=range(len(words))[::-1]) for words in sentences]
    expected = alignment.compute_anchors(elmo, sentences, ["a", "bank"], [1])[1].vectors
    anchors = alignment.compute_anchors(elmo, columns, ["a", "bank"], [1])[1]
    assert (anchors.vectors == expected).all()


def test_the_layer_alone_has_the_anchors_that_it_has_among_all(elmo):
    words = ["bank", "of"]
    alone = alignment.compute_anchors(elmo, SENTENCES, words)
    among = alignment.compute_anchors(elmo, SENTENCES, words, range(3))
    assert list(alone) == [1]
    assert_close(alone[1].vectors, among[1].vectors)


def test_what_has_no_anchors_is_an_error(elmo):
    with pytest.raises(ElmoError, match="None of the 2 words occurs"):
        alignment.compute_anchors(elmo, SENTENCES, ["sea", "lake"])
    with pytest.raises(ElmoError, match="layers=3: expected a number from 0"):
        alignment.compute_anchors(elmo, SENTENCES, ["the"], [3])
    with pytest.raises(ElmoError, match="Unknown layer 'all'"):
        alignment.compute_anchors(elmo, SENTENCES, ["the"], ["all"])
    with pytest.raises(ElmoError, match="sentence 1 as a list of words"):
        alignment.compute_anchors(elmo, [["the"], "the bank"], ["the"])


# Files of anchors


def some_anchors(words, seed=0, layer=1, dim=D):
    vectors = np.random.default_rng(seed).normal(size=(len(words), dim)).astype(np.float32)
    return Anchors(tuple(words), vectors, 2.5 + layer, layer)


def test_anchors_are_the_same_after_they_were_written(tmp_path):
    words = ["the", "naïve", "日本", "1\u00a0000", "x\u2028y", "%s"]
    folder = tmp_path / "anchors"
    written = {layer: some_anchors(words, layer, layer) for layer in (0, 1)}
    alignment.write_anchors(folder, written)
    assert sorted(path.name for path in folder.iterdir()) == [
        "avg_embeds_0.txt",
        "avg_embeds_1.txt",
        "norms.json",
    ]
    assert json.loads((folder / "norms.json").read_text()) == {
        "avg_norm_layer_0": 2.5,
        "avg_norm_layer_1": 3.5,
    }
    first, second, *_ = (folder / "avg_embeds_1.txt").read_text("utf-8").split("\n")
    assert first == "6 12" and second.startswith("the ") and second.count(" ") == D
    for path, layer, number in (
        (folder, None, 1),
        (folder, 0, 0),
        (folder / "avg_embeds_0.txt", None, 0),
    ):
        read = alignment.read_anchors(path, layer)
        assert (read.words, read.layer) == (tuple(words), number)
        assert read.vectors.dtype == np.float32 and read.mean_norm == 2.5 + number
        np.testing.assert_array_equal(read.vectors, written[number].vectors)


def test_a_file_of_another_program_opens_without_a_norm(tmp_path):
    file = tmp_path / "wiki.de.vec"
    file.write_text("2 3\nder 1 -2e-1 .5 \ndie 0 0 1\n\n")
    anchors = alignment.read_anchors(file)
    assert anchors.words == ("der", "die") and anchors.mean_norm is None and anchors.layer is None
    assert_close(anchors.vectors, [[1, -0.2, 0.5], [0, 0, 1]])


def test_new_anchors_replace_those_in_the_folder_and_no_other_file(tmp_path):
    alignment.write_anchors(tmp_path / "a", {0: some_anchors("ab", layer=0)})
    (tmp_path / "a" / "notes.txt").write_text("mine")
    with pytest.raises(ElmoError, match="exists already"):
        alignment.write_anchors(tmp_path / "a", {1: some_anchors("ab")})
    alignment.write_anchors(tmp_path / "a", {1: some_anchors("ab")}, overwrite=True)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["avg_embeds_1.txt", "norms.json", "notes.txt"]
    with pytest.raises(ElmoError, match=r"no anchors of layer 0 .*there are avg_embeds_1\.txt"):
        alignment.read_anchors(tmp_path / "a", 0)
    with pytest.raises(ElmoError, match=r"no anchors of layer 1 .*there are none"):
        alignment.read_anchors(tmp_path)


def test_anchors_that_could_not_be_read_are_not_written(tmp_path):
    with pytest.raises(ElmoError, match=r"anchors of 'a b'; '\\ufeffc': expected words without"):
        alignment.write_anchors(tmp_path / "a", {1: some_anchors(["a b", "\ufeffc"])})
    with pytest.raises(ElmoError, match="no mean norm"):
        alignment.write_anchors(tmp_path / "a", {1: Anchors(("a",), np.ones((1, 2), "f"))})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "expected the number of words and of dimensions in line 1"),
        ("the 1 2\n", "got 'the 1 2'"),
        ("2 2\na 1 2\n", "it has 1 words, but line 1 says 2"),
        ("2 2\na 1\nb 1 2 3\n", "line 2: 1 numbers, expected 2; line 3: 3 numbers, expected 2"),
        ("2 2\na 1 2\na 2 3\n", "line 3: 'a' has a line before"),
        ("1 2\na 1 x\n", "line 2: could not convert string to float: 'x'"),
        ("2 1\na nan\nb 1e39\n", "line 2: a number that is not finite; line 3: a number"),
        ("5 1\n" + "a\n" * 5, "and 2 more"),
        ("1 1\n\xe9 1\n", "line 2: not UTF-8"),
    ],
)
def test_one_error_lists_the_problems_of_a_file_of_anchors(tmp_path, content, problem):
    file = tmp_path / "avg_embeds_1.txt"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(ElmoError, match=problem):
        alignment.read_anchors(file)


@pytest.mark.parametrize(
    "norms", ['{"avg_norm_layer_0": 1.0}', "[1]", "{", '{"avg_norm_layer_1": 0}']
)
def test_norms_that_lack_the_layer_are_an_error(tmp_path, norms):
    alignment.write_anchors(tmp_path / "a", {1: some_anchors("ab")})
    (tmp_path / "a" / "norms.json").write_text(norms)
    with pytest.raises(ElmoError, match=r"norms\.json"):
        alignment.read_anchors(tmp_path / "a")


# The command


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(map(" ".join, SENTENCES)) + "\n", encoding="utf-8")
    return path


def test_anchors_writes_those_of_the_most_frequent_words(make_model, corpus, tmp_path, capsys):
    model, out = make_model(0)[0], tmp_path / "out"
    common = ["anchors", corpus, "-o", out, "--model", model, "--quiet"]
    result = summary(capsys, *common, "-n", 2, "--layers", "all")
    assert (result["words"], result["tokens"], result["dimensions"]) == (2, 13, D)
    expected = alignment.compute_anchors(Elmo(model), SENTENCES, ["the", "bank"], range(3))
    for layer, anchors in expected.items():
        read = alignment.read_anchors(out, layer)
        assert read.words == anchors.words and list(result["mean_norms"]) == ["0", "1", "2"]
        assert_close(read.vectors, anchors.vectors)
        assert_close(result["mean_norms"][str(layer)], anchors.mean_norm)
    out.touch()
    assert "exists already" in failing(capsys, *common)
    words = tmp_path / "words.txt"
    words.write_text("river\nsea\nthe\n")
    assert main([*map(str, common), "--only-words", str(words), "--overwrite"]) == 0
    assert "2 anchors of 12 dimensions, from 13 tokens\nnot in the text: 1 word of --only" in (
        capsys.readouterr().out
    )
    assert alignment.read_anchors(out).words == ("the", "river")
    assert alignment.read_anchors(out).layer == 1 and not (out / "avg_embeds_0.txt").exists()
    alone = summary(capsys, *common, "--overwrite", "--min-count", 2)
    assert alone["words"] == 4


def test_anchors_never_replaces_what_it_reads(make_model, corpus, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    moved = corpus.rename(out / "avg_embeds_0.txt")
    common = ["anchors", moved, "-o", out, "--model", make_model(0)[0], "--quiet", "--overwrite"]
    assert "would be lost" in failing(capsys, *common)
    assert "None of the 0 words occurs" in failing(
        capsys, "anchors", moved, "-o", tmp_path / "new", *common[4:], "--min-count", 9
    )
    assert not (tmp_path / "new").exists()


def test_the_command_refuses_an_unknown_layer_before_it_reads(make_model, tmp_path, capsys):
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(b"\xff no text\n")
    command = ["anchors", corpus, "-o", tmp_path / "out", "--model", make_model(0)[0], "--layers"]
    assert "Unknown --layers 9" in failing(capsys, *command, 9)
    assert "corpus.txt" in failing(capsys, *command, 1)
