"""The three programs that this project grew from, unchanged but for the import and the paths."""

import numpy as np
import pytest

# They split raw text at whitespace, and are told so.
raw = pytest.mark.filterwarnings("ignore::elmo_jax.RawTextWarning")


@pytest.fixture
def files(make_model):
    folder, _ = make_model(projection_dim=16, dim=32)
    return folder / "options.json", folder / "weights.hdf5"


def test_word_embeddings_of_one_sentence(files):
    options_file, weight_file = files

    from elmo_jax import Elmo

    elmo = Elmo(options_file=options_file, weight_file=weight_file)
    sentence = "The quick brown fox jumps over the lazy dog.".split()
    embeddings = elmo.get_word_embeddings(sentence)
    word_embeddings = {}
    for i, word in enumerate(sentence):
        word_embeddings[word] = embeddings[i][1]

    assert list(word_embeddings) == sentence
    assert word_embeddings["dog."].shape == (32,)
    assert not np.allclose(word_embeddings["dog."], word_embeddings["fox"])


@raw
def test_sentence_embedding_as_the_mean_of_word_embeddings(files):
    options_file, weight_file = files

    from elmo_jax import Elmo

    elmo = Elmo(options_file=options_file, weight_file=weight_file)
    sentence = "The quick brown fox jumps over the lazy dog."
    word_embeddings = elmo.get_word_embeddings([sentence])[0]
    sentence_embedding = np.mean(word_embeddings[1], axis=0)

    assert sentence_embedding.shape == (32,)
    as_words = elmo.get_word_embeddings(sentence.split())
    np.testing.assert_allclose(sentence_embedding, as_words[:, 1].mean(axis=0), atol=1e-6)


@raw
def test_sentence_classification_with_scikit_learn(files):
    options_file, weight_file = files

    from sklearn.linear_model import LogisticRegression

    from elmo_jax import Elmo

    elmo = Elmo(options_file=options_file, weight_file=weight_file)
    sentences = ["I love this movie.", "This film is great!", "I hate it.", "What a bad film."]
    labels = [1, 1, 0, 0]
    features = []
    for sentence in sentences:
        word_embeddings = elmo.get_word_embeddings([sentence])[0]
        features.append(np.mean(word_embeddings[1], axis=0))
    classifier = LogisticRegression(C=1e4, max_iter=1000)
    classifier.fit(features, labels)
    new_sentence = "I love this film."
    new_features = np.mean(elmo.get_word_embeddings([new_sentence])[0][1], axis=0)
    prediction = classifier.predict([new_features])

    assert prediction[0] in (0, 1)
    assert list(classifier.predict(features)) == labels
