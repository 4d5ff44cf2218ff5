"""Word vectors: what they are made of, their neighbors, their files, and the command."""

import functools
import struct

import numpy as np
import pytest
from commands import failing, summary
from comparing import assert_close
from random_models import random_elmo

from elmo_jax import Elmo, ElmoError, WhitespaceWarning, explore, word_vectors
from elmo_jax.cli import main
from elmo_jax.word_vectors import WordVectors

D = 12
SENTENCES = [
    ["the", "bank", "of", "the", "river"],
    ["the", "Bank", "lends"],
    [],
    ["naïve", "river", "日本"],
    ["of", "bank"],
]
MIX = {"weights": np.float32([0.5, -1.0, 2.0]), "gamma": np.float32(1.5)}


@pytest.fixture(scope="module")
def elmo():
    """A model with a mix and an output projection of its own."""
    model = random_elmo(0)
    rng = np.random.default_rng(0)
    projection = {"kernel": rng.normal(0, D**-0.5, (5, D)), "bias": rng.normal(size=5)}
    projection = {name: values.astype(np.float32) for name, values in projection.items()}
    params = {**model.params, "scalar_mixes": {"0": MIX}, "output_projection": projection}
    return Elmo.from_params(model.config, params)


def plain_means(elmo, words, layers):
    """The mean vectors of words, as one would write them down."""
    vectors = {word: [] for word in words}
    for sentence, vectors_TD in zip(SENTENCES, elmo.embed(SENTENCES, layers), strict=True):
        for word, vector_D in zip(sentence, vectors_TD.astype(np.float64), strict=True):
            if word in vectors:
                vectors[word].append(vector_D)
    return [sum(of_word) / len(of_word) for of_word in vectors.values()]


# From a model


@pytest.mark.parametrize("layers", [0, 1, -1, "top", "average", "mix"])
def test_an_average_is_the_mean_over_the_places_of_a_word(elmo, layers):
    vectors = word_vectors.average(elmo, SENTENCES, layers, min_count=2)
    assert vectors.words == ("the", "bank", "of", "river") and vectors.vectors.dtype == np.float32
    assert_close(vectors.vectors, plain_means(elmo, vectors.words, layers))


def test_the_most_frequent_words_or_chosen_ones_are_averaged(elmo):
    assert word_vectors.average(elmo, SENTENCES).words[:3] == ("the", "bank", "of")
    assert word_vectors.average(elmo, SENTENCES, n=2).words == ("the", "bank")
    assert word_vectors.average(elmo, SENTENCES, among=["sea", "lends"]).words == ("lends",)


def test_words_without_context_have_the_vectors_of_layer_0(elmo, monkeypatch):
    monkeypatch.setattr("elmo_jax.word_vectors.from_model._WORDS_AT_ONCE", 2)
    words, done = ["the", "river", "日本", "the", "sea"], []
    vectors = word_vectors.without_context(elmo, iter(words), done=done.append)
    assert vectors.words == ("the", "river", "日本", "sea") and done == [2, 2]
    assert_close(vectors.vectors, elmo.embed([list(vectors.words)], layers=0)[0])
    in_text = word_vectors.average(elmo, SENTENCES, 0)
    assert_close(vectors["river"], in_text["river"])


@pytest.mark.parametrize("layers", ["all", 1, "top", "average", "mix"])
def test_in_context_has_the_vectors_of_each_place(elmo, layers):
    embedded = elmo.embed(SENTENCES, layers)
    places = [(0, 1), (1, 1), (4, 1)]
    expected = [embedded[i][..., position, :] for i, position in places]
    found = word_vectors.in_context(elmo, "bank", iter(SENTENCES), layers)
    assert found.dtype == np.float32
    assert_close(found, np.stack(expected))
    exact = word_vectors.in_context(elmo, "bank", SENTENCES, layers, exact=True)
    assert_close(exact, np.stack([expected[0], expected[2]]))
    assert len(word_vectors.in_context(elmo, "bank", SENTENCES, layers, most=2)) == 2
    where = explore.find_occurrences("bank", SENTENCES)
    assert [(one.sentence, one.position) for one in where] == places


def test_what_gives_no_word_vectors_is_an_error(elmo):
    average = functools.partial(word_vectors.average, elmo)
    with pytest.raises(ElmoError, match=r"'all' gives a word several vectors\. Expected one layer"):
        average(SENTENCES, "all")
    with pytest.raises(ElmoError, match="layers=3: expected a number from 0"):
        average(SENTENCES, 3)
    with pytest.raises(ElmoError, match=r"read twice, got generator.*Pass a list"):
        average(sentence for sentence in SENTENCES)
    with pytest.raises(ElmoError, match="None of the 0 words occurs"):
        average(SENTENCES, min_count=9)
    with pytest.raises(ElmoError, match="got one str"):
        average("the bank")
    with pytest.raises(ElmoError, match="words as a list of strings, got none"):
        word_vectors.without_context(elmo, [])
    with pytest.raises(ElmoError, match="words as a list of strings, got 'bank'"):
        word_vectors.without_context(elmo, "bank")
    with pytest.raises(ElmoError, match="'sea' does not occur"):
        word_vectors.in_context(elmo, "sea", SENTENCES)
    with pytest.raises(ElmoError, match="Unknown layers='most'"):
        word_vectors.in_context(elmo, "bank", SENTENCES, "most")


# Looking up


def some_vectors(words, seed=0, dim=4):
    vectors = np.random.default_rng(seed).normal(size=(len(words), dim)).astype(np.float32)
    return WordVectors(words, vectors)


def test_word_vectors_are_found_by_word():
    vectors = some_vectors(["the", "bank", "naïve"])
    assert len(vectors) == 3 and list(vectors) == ["the", "bank", "naïve"]
    assert "bank" in vectors and "sea" not in vectors and 1 not in vectors
    np.testing.assert_array_equal(vectors["bank"], vectors.vectors[1])
    assert repr(vectors) == "WordVectors of 3 words, 4 dimensions"


def test_the_most_similar_words_have_the_highest_cosines():
    words = [f"w{i}" for i in range(30)]
    vectors = some_vectors(words)
    query = vectors["w3"].astype(np.float64)
    cosines = {
        word: float(query @ vectors[word] / np.linalg.norm(query) / np.linalg.norm(vectors[word]))
        for word in words
    }
    ranking = sorted(words, key=lambda word: -cosines[word])
    assert ranking[0] == "w3"
    similar = vectors.most_similar("w3", 5)
    assert [word for word, _ in similar] == ranking[1:6]
    assert_close([score for _, score in similar], [cosines[word] for word in ranking[1:6]])
    assert len(vectors.most_similar("w3")) == 10 and len(vectors.most_similar("w3", 99)) == 29
    of_vector = vectors.most_similar(2 * vectors["w3"], 1)
    assert of_vector[0][0] == "w3" and of_vector[0][1] == pytest.approx(1)


def test_equal_cosines_keep_the_order_and_zeros_have_none():
    vectors = WordVectors([*"abcd"], [[1, 0], [2, 0], [3, 0], [0, 0]])
    assert vectors.most_similar("b") == [("a", 1.0), ("c", 1.0), ("d", 0.0)]
    assert {score for _, score in vectors.most_similar("d")} == {0.0}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Bnak", "Did you mean 'Bank'?"),
        ("BANK", "Did you mean 'bank' or 'Bank'?"),
        ("日本", "Its attribute words lists them."),
    ],
)
def test_a_word_that_is_not_there_gets_a_suggestion(word, meant):
    vectors = some_vectors(["the", "bank", "Bank", "river"])
    for look in (vectors.most_similar, vectors.__getitem__):
        with pytest.raises(ElmoError) as error:
            look(word)
        assert str(error.value) == f"'{word}' is none of the 4 words. {meant}"


def test_wrong_arguments_say_what_was_expected():
    vectors = some_vectors(["the", "bank"])
    with pytest.raises(ElmoError, match=r"has shape \(3,\), expected \(4,\): a vector as long"):
        vectors.most_similar([1, 2, 3])
    with pytest.raises(ElmoError, match="n is 0, expected a whole number of at least 1"):
        vectors.most_similar("the", 0)
    with pytest.raises(ElmoError, match="Expected a word as str, got 1"):
        vectors[1]
    with pytest.raises(ElmoError, match="not all different"):
        some_vectors(["a", "a"])
    with pytest.raises(ElmoError, match=r"has shape \(1, 2\).*one vector for each word"):
        WordVectors(["a", "b"], [[1, 2]])
    with pytest.raises(ElmoError, match=r"\[0, 1\] is nan, expected finite"):
        WordVectors(["a"], [[1.0, np.nan]])


# Files

WORDS = ["the", "naïve", "日本", "1\u00a0000", "x\u2028y", "%s", "😀"]


def read_as_word2vec_does(path):
    """A reader of its own: words and vectors, as word2vec's distance.c reads them."""
    header, _, content = path.read_bytes().partition(b"\n")
    n_words, dim = map(int, header.split())
    if path.suffix != ".bin":
        rows = [line.split(b" ") for line in content.removesuffix(b"\n").split(b"\n")]
        words = [row[0].decode() for row in rows]
        vectors = np.array([row[1:] for row in rows], float).astype(np.float32)
    else:
        words, numbers = [], []
        for _ in range(n_words):
            word, _, content = content.partition(b" ")
            words.append(word.lstrip(b"\n").decode())
            numbers.append(struct.unpack(f"<{dim}f", content[: 4 * dim]))
            content = content[4 * dim :]
        vectors = np.array(numbers, np.float32)
    assert vectors.shape == (n_words, dim)
    return words, vectors


@pytest.mark.parametrize("name", ["a.vec", "a.txt", "a.bin", "A.BIN"])
def test_files_are_those_of_word2vec_and_read_back_the_same(tmp_path, name):
    written = some_vectors(WORDS)
    written.save(tmp_path / name)
    read = WordVectors.load(tmp_path / name)
    assert read.words == tuple(WORDS) and read.vectors.dtype == np.float32
    np.testing.assert_array_equal(read.vectors, written.vectors)
    if name != "A.BIN":
        words, vectors = read_as_word2vec_does(tmp_path / name)
        assert words == WORDS
        np.testing.assert_array_equal(vectors, written.vectors)


@pytest.mark.parametrize("suffix", [".vec", ".bin"])
def test_gensim_reads_the_files_and_its_own_are_read(tmp_path, suffix):
    models = pytest.importorskip("gensim.models")
    written, binary = some_vectors(WORDS), suffix == ".bin"
    written.save(tmp_path / f"a{suffix}")
    keyed = models.KeyedVectors.load_word2vec_format(tmp_path / f"a{suffix}", binary=binary)
    assert keyed.index_to_key == WORDS
    np.testing.assert_array_equal(keyed.vectors, written.vectors)
    assert [word for word, _ in keyed.most_similar("the", topn=3)] == [
        word for word, _ in written.most_similar("the", 3)
    ]
    keyed.save_word2vec_format(str(tmp_path / f"b{suffix}"), binary=binary)
    np.testing.assert_array_equal(WordVectors.load(tmp_path / f"b{suffix}").vectors, keyed.vectors)


def test_binary_files_without_line_feeds_are_read(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"2 1\nthe \0\0\x80?bank \0\0\0@")
    assert WordVectors.load(file).vectors.tolist() == [[1.0], [2.0]]


def test_what_a_file_cannot_hold_is_not_written(tmp_path):
    for name in ("a.vec", "a.bin"):
        with pytest.raises(
            ElmoError, match=r"cannot hold 'New York'; 'a\\tb': a space or line end"
        ):
            some_vectors(["the", "New York", "a\tb"]).save(tmp_path / name)
    with pytest.raises(ElmoError, match=r"Unknown format of .*a\.npz: expected a name that ends"):
        some_vectors(["the"]).save(tmp_path / "a.npz")
    assert list(tmp_path.iterdir()) == []
    some_vectors(["the"]).save(tmp_path / "a.vec")
    with pytest.raises(ElmoError, match="exists already"):
        some_vectors(["bank"]).save(tmp_path / "a.vec")
    some_vectors(["bank"]).save(tmp_path / "a.vec", overwrite=True)
    assert "bank" in WordVectors.load(tmp_path / "a.vec")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "expected the number of words and of dimensions in its first line"),
        (b"the 1 2\n", "expected the number of words"),
        (b"999999999999999 300\nthe ....", "is too short for 999,999,999,999,999 words"),
        (b"1 2\nthe " + bytes(4), "is too short for 1 word"),
        (b"2 1\nthe " + bytes(4) + b"\nbank...", "it ends at word 2 of 2"),
        (b"2 1\nthe " + bytes(4) + b"bank " + bytes(3), "it ends at word 2 of 2"),
        (b"1 1\n\xff " + bytes(4), "word 1 is not UTF-8"),
        (b"2 1\na " + bytes(4) + b"\na " + bytes(4), "word 2, 'a', is also word 1"),
        (b"1 1\na " + bytes(4) + b"\nmore", "more behind the 1 words"),
        (b"1 1\na " + struct.pack("<f", np.inf), r"\[0, 0\] is inf, expected finite"),
    ],
)
def test_binary_files_with_problems_are_refused(tmp_path, content, problem):
    file = tmp_path / "a.bin"
    file.write_bytes(content)
    with pytest.raises(ElmoError, match=problem):
        WordVectors.load(file)


def test_files_that_are_missing_or_text_of_another_kind_are_refused(tmp_path):
    for name in ("a.bin", "a.vec"):
        with pytest.raises(ElmoError, match=rf"a\{name[1:]}"):
            WordVectors.load(tmp_path / name)
    (tmp_path / "glove.txt").write_text("the 0.1 0.2\n")
    with pytest.raises(ElmoError, match="the number of words and of dimensions in line 1"):
        WordVectors.load(tmp_path / "glove.txt")


# The command


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(map(" ".join, SENTENCES)) + "\n", encoding="utf-8")
    return path


def test_vectors_writes_averages_over_a_text(make_model, corpus, tmp_path, capsys):
    model, out = make_model(0)[0], tmp_path / "out.vec"
    common = ["vectors", corpus, "-o", out, "--model", model, "--quiet"]
    result = summary(capsys, *common, "-n", 2)
    assert (result["words"], result["tokens"], result["dimensions"]) == (2, 13, D)
    assert result["bytes"] == out.stat().st_size and result["layers"] == 1
    expected = word_vectors.average(Elmo(model), SENTENCES, n=2)
    assert WordVectors.load(out).words == expected.words == ("the", "bank")
    assert_close(WordVectors.load(out).vectors, expected.vectors)
    assert "exists already" in failing(capsys, *common)
    words = tmp_path / "words.txt"
    words.write_text("river\nsea\nthe\n")
    more = ["--overwrite", "--only-words", words, "--layers", "average"]
    assert summary(capsys, *common, *more)["words_missing"] == 1
    expected = word_vectors.average(Elmo(model), SENTENCES, "average", among=["river", "the"])
    assert WordVectors.load(out).words == expected.words == ("the", "river")
    assert_close(WordVectors.load(out).vectors, expected.vectors)
    assert summary(capsys, *common, "--overwrite", "--min-count", 2)["words"] == 4


def test_vectors_takes_a_list_of_words_as_the_text_of_layer_0(make_model, tmp_path, capsys):
    model, out, words = make_model(0)[0], tmp_path / "out.bin", tmp_path / "words.txt"
    words.write_text("river\n\nsea\nriver\nthe\n")
    common = ["vectors", words, "--model", model, "--quiet", "--layers", 0, "-o"]
    result = summary(capsys, *common, out)
    assert (result["words"], result["words_found"], result["layers"]) == (3, 3, 0)
    expected = word_vectors.without_context(Elmo(model), ["river", "sea", "the"])
    assert WordVectors.load(out).words == expected.words
    assert_close(WordVectors.load(out).vectors, expected.vectors)
    assert main([*map(str, common), str(out), "-n", "2", "--overwrite"]) == 0
    assert "out.bin: 2 words of 12 dimensions, from 4 tokens of 3 words" in capsys.readouterr().out
    assert "None of the 0 words" in failing(capsys, *common, out, "--overwrite", "--min-count", 9)


def test_vectors_never_replaces_what_it_reads_and_checks_first(corpus, tmp_path, capsys):
    assert "Unknown format" in failing(capsys, "vectors", corpus, "-o", tmp_path / "a.h5")
    assert "would be lost" in failing(capsys, "vectors", corpus, "-o", corpus, "--overwrite")
    words = tmp_path / "words.txt"
    words.write_text("the\n")
    only = ["--only-words", words, "-o", words, "--overwrite"]
    assert "would be lost" in failing(capsys, "vectors", corpus, *only)
    out = tmp_path / "out.vec"
    assert "Unknown --layers 3" in failing(capsys, "vectors", corpus, "-o", out, "--layers", 3)


def test_words_with_spaces_have_vectors_and_no_file(elmo, tmp_path):
    with pytest.warns(WhitespaceWarning):
        vectors = word_vectors.without_context(elmo, ["New York", "bank"])
    assert "New York" in vectors and vectors.most_similar("New York")[0][0] == "bank"
    with pytest.warns(WhitespaceWarning):
        averages = word_vectors.average(elmo, [["New York", "bank"]])
    assert averages.words == ("bank",)
