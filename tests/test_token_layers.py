"""Every token layer, through the functions, `Elmo`, files, export and training alike."""

import dataclasses
import runpy
from pathlib import Path

import jax
import numpy as np
import oracle
import pytest
from checkpoint_files import assert_same_params, message_of
from comparing import assert_close, padded
from random_models import random_model

import elmo_jax
from elmo_jax import Alphabet, Elmo, ElmoConfig
from elmo_jax.model.bilm import init_params
from elmo_jax.model.parameters import datasets, unflatten
from elmo_jax.model.spelling import boundary_ids, spell

# Sums of float32 in another order, in another shape.
SAME_SENTENCE_TOLERANCE = 2e-6

MARKS = ("<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>")
LEXICON = Alphabet(["<oov>", "<bos>", "<eos>", "<pad>", "the", "bank"], [*"abehknTt.", *MARKS])
TABLE = Alphabet(["<S>", "</S>", "<UNK>", "the", "bank"])
LSTM = {"projection_dim": 6, "cell_dim": 10}
CHARACTERS = {
    "filters": ((1, 4), (2, 4), (3, 8)),
    "char_embedding_dim": 4,
    "max_characters_per_token": 12,
}

CONFIGS = {
    "words and characters": ElmoConfig(
        **LSTM,
        **CHARACTERS,
        token_layer="lexicon",
        word_dim=5,
        forced_projections=True,
        alphabet=LEXICON,
    ),
    "characters": ElmoConfig(**LSTM, **CHARACTERS, token_layer="lexicon", alphabet=LEXICON),
    "words": ElmoConfig(**LSTM, filters=(), token_layer="lexicon", word_dim=5, alphabet=LEXICON),
    "table": ElmoConfig(**LSTM, filters=(), token_layer="table", alphabet=TABLE),
}

SENTENCES = [["The", "bank", "<bos>", "</S>"], ["the"], [], ["bank" * 9, "を", "."]]

pytestmark = pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")


def with_extras(config, params):
    """The model with what a task may add to it."""
    rng = np.random.default_rng(7)

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    dim = config.output_dim
    return {
        **params,
        "scalar_mixes": {"0": {"weights": normal(3), "gamma": normal()}},
        "output_projection": {"kernel": normal(5, dim), "bias": normal(5)},
        "alignment": {"layer_1": normal(dim, dim)},
    }


@pytest.fixture(scope="module", params=CONFIGS, ids=str)
def model(request):
    """A config and parameters with what a task may add to them."""
    config = CONFIGS[request.param]
    params = jax.tree.map(np.asarray, init_params(config, 1))
    return config, with_extras(config, params)


# What the arrays hold


def test_a_lexicon_spells_the_row_of_a_word_and_its_characters_with_the_marks_swapped():
    config = CONFIGS["words and characters"]
    rows = {character: row + 1 for row, character in enumerate(LEXICON.characters)}
    (ids,) = spell(["bank"], config).ids_UC
    inner = [rows["<eow>"], *(rows[character] for character in "bank"), rows["<bow>"]]
    assert ids.tolist() == [LEXICON.words.index("bank") + 1, *inner, *[rows["<pad>"]] * 6]


def test_a_lexicon_cuts_words_at_code_points_before_it_looks_them_up():
    words = ["を" * 11, "bank" * 3]
    config = CONFIGS["words and characters"]
    config = config.with_alphabet(Alphabet([*LEXICON.words, "を" * 10], LEXICON.characters))
    spelling = spell(words, config)
    assert spelling.is_cut_U.tolist() == [True, True]
    assert spelling.ids_UC[:, 0].tolist() == [7, 1], "the row of the cut word, and that of <oov>"
    assert spelling.lengths_U.tolist() == [13, 13]


def test_the_sentence_markers_of_a_lexicon_are_not_cut_as_words_are():
    config = dataclasses.replace(CONFIGS["characters"], max_characters_per_token=5)
    rows = {character: row + 1 for row, character in enumerate(LEXICON.characters)}
    for ids, marker in zip(boundary_ids(config), ("<bos>", "<eos>"), strict=True):
        expected = [rows["<eow>"], rows[marker], rows["<bow>"], rows["<pad>"], rows["<pad>"]]
        assert ids.tolist() == expected
    (as_word,) = spell(["<bos>"], config).ids_UC
    assert as_word.tolist() != boundary_ids(config)[0].tolist()


def test_a_table_gives_unknown_words_the_row_of_unk():
    ids = spell(["bank", "river", "</S>"], CONFIGS["table"]).ids_UC
    assert ids.tolist() == [[5], [3], [2]]


def test_a_batch_is_0_at_padding_and_has_c_ids_elsewhere(model):
    config, _ = model
    ids_BTC, lengths = elmo_jax.encode_batch(SENTENCES, config)
    assert ids_BTC.shape == (4, 4, config.spelling_width)
    real = np.arange(4)[None] < lengths[:, None]
    assert (ids_BTC[real] > 0).all() and not ids_BTC[~real].any()


def test_ids_beyond_the_alphabet_are_refused():
    config = CONFIGS["words and characters"]
    params = init_params(config, 1)
    ids, lengths = elmo_jax.encode_batch([["bank"]], config)
    ids[0, 0, 0] = len(LEXICON.words) + 1
    message = message_of(elmo_jax.layer_outputs, params, ids, lengths, config=config)
    assert "char_ids[0, 0, 0] is 7, expected at most 6, the last word" in message


@pytest.mark.parametrize("n", ["words and characters", "table"])
def test_a_model_without_its_alphabet_says_so(n):
    config = dataclasses.replace(CONFIGS[n], alphabet=None)
    message = message_of(elmo_jax.encode_batch, SENTENCES, config)
    assert f"token_layer={config.token_layer!r} has no alphabet" in message


# What comes out


def test_a_table_gives_the_vectors_of_the_oracle():
    options, weights = random_model(5)
    del options["char_cnn"]
    options["n_tokens_vocab"] = len(TABLE.words)
    rng = np.random.default_rng(0)
    weights = {name: value for name, value in weights.items() if name.startswith("RNN")}
    weights["embedding"] = rng.normal(size=(5, 6)).astype(np.float32)
    config = ElmoConfig.from_options(options).with_alphabet(TABLE)
    flat = {}
    for dataset in datasets(config):
        if not dataset.optional:
            flat |= dataset.to_params(weights[dataset.name])
    expected = [oracle.TableOracle(options, weights, TABLE.words).layers(s) for s in SENTENCES]
    batch = elmo_jax.encode_batch(SENTENCES, config)
    outputs = elmo_jax.layer_outputs(unflatten(flat), *batch, config=config)
    assert_close(outputs, padded(expected, 4))


def test_functions_and_elmo_agree_on_layers(model):
    config, params = model
    batch = elmo_jax.encode_batch(SENTENCES, config)
    outputs = np.asarray(elmo_jax.layer_outputs(params, *batch, config=config))
    results = Elmo.from_params(config, params).embed(SENTENCES)
    assert_close(outputs, padded(results, 4), SAME_SENTENCE_TOLERANCE)


@pytest.mark.parametrize("model", ["words and characters", "table"], indirect=True)
@pytest.mark.parametrize(
    ("layers", "pooling"), [("all", "mean"), ("mix", "mean"), ("mix", "max"), (1, "max")]
)
def test_functions_and_elmo_agree_on_pooled_sentences(model, layers, pooling):
    config, params = model
    batch = elmo_jax.encode_batch(SENTENCES, config)
    choice = {"layers": layers, "pooling": pooling}
    expected = elmo_jax.pooled_sentences(params, *batch, config=config, **choice)
    results = Elmo.from_params(config, params).embed_sentences(SENTENCES, **choice)
    assert_close(results, expected, SAME_SENTENCE_TOLERANCE)
    assert not results[2].any(), "an empty sentence, whatever the projection adds"


def test_an_alignment_maps_the_vectors_of_its_layer_alone(model):
    config, params = model
    matrix = params["alignment"]["layer_1"]
    plain = {name: part for name, part in params.items() if name != "alignment"}
    before = Elmo.from_params(config, plain).embed(SENTENCES)
    after = Elmo.from_params(config, params).embed(SENTENCES)
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old[[0, 2]], new[[0, 2]])
        assert_close(new[1], old[1].astype(np.float64) @ matrix.T.astype(np.float64))


def test_the_models_own_mix_is_weighted_scaled_and_projected(model):
    config, params = model
    plain = {name: part for name, part in params.items() if name != "alignment"}
    elmo = Elmo.from_params(config, plain)
    mix, projection = plain["scalar_mixes"]["0"], plain["output_projection"]
    for layers, result in zip(elmo.embed(SENTENCES), elmo.embed(SENTENCES, "mix"), strict=True):
        mixed = oracle.scalar_mix(mix["weights"], mix["gamma"], layers[None])[0]
        expected = mixed @ projection["kernel"].T.astype(np.float64) + projection["bias"]
        assert_close(result, expected)
    by_number = elmo.embed(SENTENCES, "mix", mix_weights=0)
    assert all(map(np.array_equal, by_number, elmo.embed(SENTENCES, "mix")))


def test_several_mixes_are_chosen_by_number():
    config = CONFIGS["table"]
    params = with_extras(config, init_params(config, 1))
    del params["output_projection"]
    params["scalar_mixes"]["1"] = {"weights": np.zeros(3, np.float32), "gamma": np.float32(1)}
    elmo = Elmo.from_params(config, params)
    assert "2 scalar mixes: choose one by its number" in message_of(elmo.embed, [["a"]], "mix")
    (second,) = elmo.embed([["bank"]], "mix", mix_weights=1)
    assert_close(second, elmo.embed([["bank"]], "average")[0])
    message = message_of(elmo.embed, [["a"]], "mix", mix_weights=2)
    assert message == "There is no scalar mix 2: the model has 0, 1."


def test_a_model_without_a_mix_needs_weights():
    config = CONFIGS["table"]
    elmo = Elmo.from_params(config, init_params(config, 1))
    assert "This model has no scalar mix of its own" in message_of(elmo.embed, [["a"]], "mix")


# Files


def test_a_native_model_is_the_same_bit_for_bit(model, tmp_path):
    config, params = model
    elmo_jax.save(tmp_path / "model", config, params)
    new_config, new_params = elmo_jax.load(tmp_path / "model")
    assert new_config == config and hash(new_config) == hash(config)
    assert_same_params(new_params, params)


def test_an_alphabet_of_another_model_is_noticed(tmp_path):
    config = CONFIGS["table"]
    other = config.with_alphabet(Alphabet([*TABLE.words[:3], "a", "b"]))
    for name, each in (("model", config), ("other", other)):
        elmo_jax.save(tmp_path / name, each, init_params(each, 1))
    (tmp_path / "other" / "alphabet.json").replace(tmp_path / "model" / "alphabet.json")
    message = message_of(elmo_jax.load, tmp_path / "model")
    assert "alphabet.json is not the one of this model" in message


def test_a_table_goes_to_hdf5_with_its_words_and_a_lexicon_does_not(tmp_path):
    config = CONFIGS["table"]
    params = jax.tree.map(np.asarray, init_params(config, 1))
    elmo_jax.save(tmp_path / "table", config, params, format="hdf5")
    assert (tmp_path / "table" / "vocab.txt").read_text().split() == list(TABLE.words)
    new_config, new_params = elmo_jax.load(tmp_path / "table")
    assert new_config == config
    assert_same_params(new_params, params)
    lexicon = CONFIGS["words"]
    arguments = tmp_path / "lexicon", lexicon, init_params(lexicon, 1)
    message = message_of(elmo_jax.save, *arguments, format="hdf5")
    assert "cannot hold a model with a lexicon of its own" in message
    assert not (tmp_path / "lexicon").exists()


def test_what_hdf5_has_no_place_for_is_named(tmp_path):
    config = CONFIGS["table"]
    params = with_extras(config, init_params(config, 1))
    with pytest.warns(elmo_jax.ElmoWarning, match="scalar mixes, output projection, alignment"):
        elmo_jax.save(tmp_path / "table", config, params, format="hdf5")


@pytest.mark.parametrize("model", ["words and characters", "table"], indirect=True)
def test_an_exported_model_is_served_by_its_own_alphabet(model, tmp_path):
    config, params = model
    path = tmp_path / "elmo.npz"
    elmo_jax.export_function(path, config, params, layers="mix", platforms=["cpu"])
    example = Path(__file__).resolve().parents[1] / "examples" / "exported.py"
    served = runpy.run_path(str(example))["load"](path)(SENTENCES)
    expected = Elmo.from_params(config, params).embed_sentences(SENTENCES, "mix")
    assert_close(served, expected)


# Training


@pytest.mark.slow
@pytest.mark.parametrize("n", ["words and characters", "words", "table"])
def test_a_new_model_is_trained_with_an_alphabet_made_from_the_text(n, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the bank is the bank .\nthe river is near the bank .\n" * 50)
    settings = elmo_jax.training.TrainingSettings(
        n_steps=200, batch_size=4, unroll_steps=8, n_negative_samples=0
    )
    config = dataclasses.replace(CONFIGS[n], alphabet=None)
    run = {"settings": settings, "valid_files": text}
    summary = elmo_jax.training.train(tmp_path / "run", text, config=config, **run)
    # The text has 7 words and a marker: guessing at random gives 8, and most of it can be learned.
    assert summary["valid_perplexity"] < 4
    config, _ = elmo_jax.load(tmp_path / "run" / "model")
    assert {"the", "bank", "is", "."} <= {*config.alphabet.words}
    assert n == "table" or {*"thebank", *MARKS} <= {*config.alphabet.characters}
    again = elmo_jax.training.train(
        tmp_path / "again", text, start_from=tmp_path / "run" / "model", **run
    )
    assert again["valid_perplexity"] < summary["valid_perplexity"]
