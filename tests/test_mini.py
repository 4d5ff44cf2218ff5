"""mini, the model that comes with the package: that it opens, is small, and has learned English."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import elmo_jax
from elmo_jax import pretrained
from elmo_jax.cli import main
from elmo_jax.training import Corpus, Vocabulary, evaluate, load_language_model, substitutes

FOLDER = pretrained.fetch("mini")
CARD = (FOLDER / "README.md").read_text("utf-8")
MOST_BYTES = 20_000_000
SMALL_TEXT = Path(__file__).parents[1] / "examples" / "data" / "corpus.txt"
SMALL_TEXT_TOKENS, SMALL_TEXT_PERPLEXITY = 457, 81.09
PERPLEXITY_RELATIVE = 2e-3  # the card rounds to four digits; sums differ by device and version
BATCH_TOLERANCE = 1e-5  # vectors reach 9; the number of lanes decides the order of float32 sums
LEAST_APART = 0.05  # cosines; the token layer's differ by rounding only

RIVER = [
    "She sat by the bank of the river and watched the water .",
    "They fished from the muddy bank of the stream .",
]
MONEY = [
    "He put his money in the bank on Monday .",
    "She took the loan from a bank in the city .",
]


@pytest.fixture(scope="module")
def elmo():
    return elmo_jax.Elmo()


def test_it_is_a_native_folder_of_float16_under_20_megabytes():
    names = {"README.md", "config.json", "model.safetensors", "options.json", "vocab.txt"}
    assert {file.name for file in FOLDER.iterdir()} == names
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < MOST_BYTES
    tensors = load_file(FOLDER / "model.safetensors")
    assert {array.dtype.name for array in tensors.values()} == {"float16"}


def test_its_softmax_has_a_row_for_every_word_of_its_vocabulary():
    config, params, words = load_language_model("mini")
    content = json.loads((FOLDER / "config.json").read_text("utf-8"))
    assert content["vocabulary"] == {"size": len(words), "sha256": words.sha256}
    assert params["softmax"]["kernel"].shape == (len(words), config.projection_dim)


def test_its_options_are_those_it_was_trained_with(elmo):
    options = json.loads((FOLDER / "options.json").read_text("utf-8"))
    assert elmo_jax.ElmoConfig.from_options(options) == elmo.config


def test_elmo_without_arguments_opens_it(elmo):
    config, params = elmo_jax.load(FOLDER)
    assert elmo.config == config
    np.testing.assert_array_equal(
        elmo.params["char_encoder"]["char_embedding"], params["char_encoder"]["char_embedding"]
    )


def test_the_commands_know_it_by_name_and_by_default(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("The bank of the river .\n", "utf-8")
    for arguments in (["embed", str(text), "-o", str(tmp_path / "out.h5"), "--json"], ["info"]):
        assert main(arguments) == 0
    assert '"dim": 256' in capsys.readouterr().out
    assert main(["evaluate", str(text), "--model", "mini", "--json", "--quiet"]) == 0
    assert 1 < json.loads(capsys.readouterr().out)["perplexity"] < 1000


def test_its_lstm_layers_tell_two_senses_of_a_word_apart_and_its_token_layer_does_not(elmo):
    sentences = [sentence.split() for sentence in RIVER + MONEY]
    vectors = elmo.embed(sentences)
    banks = np.stack([v[:, s.index("bank")] for v, s in zip(vectors, sentences, strict=True)], 1)
    banks /= np.linalg.norm(banks, axis=-1, keepdims=True)
    for layer, alike in enumerate(np.einsum("lid,ljd->lij", banks, banks)):
        within, across = (alike[0, 1] + alike[2, 3]) / 2, alike[:2, 2:].mean()
        assert (within > across + LEAST_APART) == (layer > 0)


def test_its_language_models_put_a_fitting_word_in_a_gap(elmo):
    words = Vocabulary.read(FOLDER / "vocab.txt")
    sentence = "He was born in the north of England in 1871 and died in 1930 .".split()
    best = substitutes(elmo.config, elmo.params, words, sentence, 1, n=10, direction="both")
    assert "was" in [word for word, _ in best]


def test_a_sentence_of_real_text_gets_the_same_vectors_alone_and_among_500_others(elmo, heldout):
    sentences = [line.split() for line in heldout.read_text("utf-8").splitlines()[:500]]
    together = elmo.embed(sentences)
    for number in range(0, 500, 50):
        (alone,) = elmo.embed([sentences[number]])
        np.testing.assert_allclose(alone, together[number], rtol=0, atol=BATCH_TOLERANCE)


def test_the_perplexity_of_a_small_text_stays_where_it_is():
    """The model in the package is the one whose tests stand in its card, to the last tensor."""
    found = evaluate(*load_language_model("mini"), Corpus.of(SMALL_TEXT), reset_state=True)
    assert found.tokens == SMALL_TEXT_TOKENS
    assert found.perplexity == pytest.approx(SMALL_TEXT_PERPLEXITY, rel=PERPLEXITY_RELATIVE)


@pytest.mark.slow
def test_the_heldout_perplexity_is_that_of_the_card(heldout):
    said = re.search(r"first 20,000 tokens: \*\*([0-9.]+)\*\*", CARD)
    assert said is not None
    config, params = elmo_jax.load("mini")
    found = evaluate(
        config,
        params,
        Vocabulary.read(FOLDER / "vocab.txt"),
        Corpus.of(heldout),
        max_tokens=20_000,
        reset_state=True,
    )
    assert found.perplexity == pytest.approx(float(said[1]), rel=PERPLEXITY_RELATIVE)
