"""pooling="sif": a mean of token vectors in which frequent words count less."""

import pickle

import numpy as np
import pytest

import elmo_jax
from elmo_jax import ElmoError, functional
from elmo_jax.cli import main
from elmo_jax.corpus import embed_corpus
from elmo_jax.embedder.sif import sif_weights
from elmo_jax.text.readers import Records
from elmo_jax.training import Vocabulary

FLOAT32 = 1e-5  # vectors reach 9; the order of the sums differs
SENTENCES = [
    "The bank of the river was muddy , and the boats lay in the mud .".split(),
    ["the"],
    "zyxgramble the Bank".split(),  # a word that is not in the vocabulary
    [],
    ["of", "river"] * 100,  # read in several calls
]


@pytest.fixture(scope="module")
def elmo():
    return elmo_jax.Elmo("mini")


@pytest.fixture(scope="module")
def weigh():
    return sif_weights(Vocabulary.read(elmo_jax.pretrained.fetch("mini") / "vocab.txt"))


def weighted_mean(vectors, weights):
    """Token vectors [..., T, D] and weights [T], in float64, one token after the other."""
    total = sum(w * vectors[..., t, :].astype(np.float64) for t, w in enumerate(weights))
    return total / sum(weights)


@pytest.mark.parametrize("layers", ["all", "average", 0, 2])
def test_it_is_the_weighted_mean_of_the_token_vectors(elmo, weigh, layers):
    found = elmo.embed_sentences(SENTENCES, layers, "sif")
    for sentence, tokens, vector in zip(
        SENTENCES, elmo.embed(SENTENCES, layers), found, strict=True
    ):
        expected = weighted_mean(tokens, weigh(sentence)) if sentence else np.zeros_like(vector)
        np.testing.assert_allclose(vector, expected, rtol=0, atol=FLOAT32)


def test_a_mean_is_the_same_with_and_without_weights_in_the_table(elmo):
    new = elmo_jax.Elmo("mini")
    before = new.embed_sentences(SENTENCES, 1, "mean")
    new.embed_sentences(SENTENCES, 1, "sif")
    np.testing.assert_allclose(
        new.embed_sentences(SENTENCES, 1, "mean"), before, rtol=0, atol=FLOAT32
    )


def test_the_weight_follows_from_the_rank_in_the_vocabulary():
    weigh = sif_weights(Vocabulary(["<S>", "</S>", "<UNK>", "the", "Of", "of", "THE", "rare"]))
    a, n = 1e-4, 8

    def weight(rank):
        return a / (a + np.log((rank + 2) / (rank + 1)) / np.log(n + 1))

    words = ["the", "The", "of", "rare", "elsewhere"]
    expected = [weight(rank) for rank in (3, 3, 4, 7, 8)]
    np.testing.assert_allclose(weigh(words), expected, rtol=1e-6)
    assert weigh(words).dtype == np.float32
    assert weigh([]).shape == (0,)


def test_frequent_words_count_less_than_rare_ones(weigh):
    the, river, unknown = weigh(["the", "river", "zyxgramble"])
    assert 0 < the < 0.01 < 0.5 < river < unknown <= 1


def test_a_stream_and_a_corpus_give_the_same_vectors(elmo, tmp_path):
    texts = [sentence for sentence in SENTENCES if sentence]
    expected = elmo.embed_sentences(texts, 1, "sif")
    streamed = list(elmo.stream(texts, 1, pooling="sif"))
    np.testing.assert_allclose(streamed, expected, rtol=0, atol=FLOAT32)
    (tmp_path / "text.txt").write_text("\n".join(map(" ".join, texts)) + "\n", "utf-8")
    output = tmp_path / "out.npy"
    embed_corpus(elmo, Records.of(tmp_path / "text.txt"), output, layers=1, pooling="sif")
    np.testing.assert_allclose(np.load(output), expected, rtol=0, atol=FLOAT32)
    again = tmp_path / "again.npy"
    flags = ["--layers", "1", "--pooling", "sif", "--quiet"]
    assert main(["embed", str(tmp_path / "text.txt"), "-o", str(again), *flags]) == 0
    np.testing.assert_allclose(np.load(again), expected, rtol=0, atol=FLOAT32)


def test_the_weighted_mean_is_float16_if_that_is_wanted(elmo):
    half = elmo.embed_sentences(SENTENCES, 0, "sif", dtype="float16")
    assert half.dtype == np.float16
    np.testing.assert_allclose(
        half, elmo.embed_sentences(SENTENCES, 0, "sif"), rtol=1e-3, atol=FLOAT32
    )


def test_a_model_without_a_vocabulary_says_what_to_do(elmo):
    without = elmo_jax.Elmo.from_params(elmo.config, elmo.params)
    with pytest.raises(ElmoError, match=r"this model has none\. Name a file .* vocabulary_file="):
        without.embed_sentences(SENTENCES, pooling="sif")


def test_parameters_in_memory_may_come_with_their_words(elmo):
    words = Vocabulary.read(elmo_jax.pretrained.fetch("mini") / "vocab.txt")
    known = elmo_jax.Elmo.from_params(elmo.config, elmo.params, vocabulary=words)
    found, expected = (e.embed_sentences(SENTENCES, 0, "sif") for e in (known, elmo))
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32)
    with pytest.raises(ElmoError, match="softmax"):
        elmo_jax.Elmo.from_params(elmo.config, elmo.params, vocabulary=words.words[:-1])


def test_words_in_memory_are_saved_and_pickled(elmo, tmp_path):
    words = Vocabulary.read(elmo_jax.pretrained.fetch("mini") / "vocab.txt")
    known = elmo_jax.Elmo.from_params(elmo.config, elmo.params, vocabulary=words)
    known.save_pretrained(tmp_path / "saved")
    assert Vocabulary.read(tmp_path / "saved" / "vocab.txt").words == words.words
    again = pickle.loads(pickle.dumps(known))
    found, expected = (e.embed_sentences(SENTENCES[:1], 0, "sif") for e in (again, elmo))
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32)


def test_a_model_without_a_softmax_takes_the_words_of_a_file(elmo, tmp_path):
    params = {name: part for name, part in elmo.params.items() if name != "softmax"}
    elmo_jax.save(tmp_path / "model", elmo.config, params)
    words = elmo_jax.pretrained.fetch("mini") / "vocab.txt"
    named = elmo_jax.Elmo(tmp_path / "model", vocabulary_file=words)
    expected = elmo.embed_sentences(SENTENCES, 0, "sif")
    found = named.embed_sentences(SENTENCES, 0, "sif")
    np.testing.assert_allclose(found, expected, rtol=0, atol=FLOAT32)


def test_functions_over_arrays_do_not_know_the_words(elmo):
    ids, lengths = elmo_jax.encode_batch([["a"]], elmo.config)
    with pytest.raises(ElmoError, match="only their characters are known: expected one of 'mean'"):
        functional.pooled_sentences(elmo.params, ids, lengths, config=elmo.config, pooling="sif")


def test_a_carried_state_goes_with_the_plain_mean_only(elmo, tmp_path):
    (tmp_path / "text.txt").write_text("a\n", "utf-8")
    records = Records.of(tmp_path / "text.txt")
    with pytest.raises(ElmoError, match="pooling='sif' cannot be used with carry_state="):
        embed_corpus(elmo, records, tmp_path / "out.npy", pooling="sif", carry_state=2)
