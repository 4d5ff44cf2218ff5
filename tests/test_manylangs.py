"""Models of ELMoForManyLangs: sizes off the tensors, the rest from wherever it is written."""

import json
import shutil

import numpy as np
import oracle
import pytest
from checkpoint_files import assert_same_params, edit_json, message_of
from comparing import assert_close
from random_models import random_lexicon_model, write_lexicon_model
from torch_files import state_dict

import elmo_jax
from elmo_jax import ElmoConfig, UnknownWordsWarning, load
from elmo_jax.checkpoint.sources import open_model
from elmo_jax.model.parameters import check_params
from elmo_jax.training.language_model import load_language_model
from elmo_jax.training.scoring import score

# Their own vectors in float32 are up to 2e-6 from those in float64; they reach 6.
GOLDEN_TOLERANCE = 1e-5

UNTOLD = ("activation", "cell_clip", "proj_clip", "max_characters_per_token")

VARIANTS = {
    "words and characters": {},
    "characters": {"word_dim": 0},
    "words": {"char_dim": 0},
    "tanh, no highway": {"activation": "tanh", "n_highway": 0},
    "three layers, three highways": {"n_layers": 3, "n_highway": 3},
    "one layer": {"n_layers": 1},
    "no clips": {"cell_clip": 0, "proj_clip": None},
    "short words": {"max_characters_per_token": 8},
    "equal sizes": {"word_dim": 0, "filters": [[1, 6]], "projection_dim": 6, "dim": 6},
    "a projection that widens": {"projection_dim": 12, "dim": 8},
}


@pytest.fixture
def make(tmp_path):
    """Write a random model; gives its folder and its parts."""

    def make(configuration="cnn.json", softmax=None, name="model", **choices):
        model = random_lexicon_model(0, **choices)
        folder = tmp_path / name
        write_lexicon_model(folder, *model, softmax=softmax, configuration=configuration)
        return folder, model

    return make


def with_softmax(make, bias_shape=(10, 1), names=("column_emb.weight", "column_bias.weight")):
    rng = np.random.default_rng(1)
    tensors = {names[0]: rng.normal(size=(10, 6)), names[1]: rng.normal(size=bias_shape)}
    tensors = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    return make(softmax={"oov_column": np.zeros((6, 1)), **tensors}), tensors


# Vectors


@pytest.mark.parametrize("name", ["words-and-chars", "chars-only", "words-only"])
def test_the_vectors_are_those_of_the_original(foreign, name):
    sentences = oracle.read_json(foreign / "emfml" / f"{name}.sentences.json")
    golden = np.load(foreign / "emfml" / f"{name}.golden.npz")
    with pytest.warns((elmo_jax.WordsCutWarning, elmo_jax.WhitespaceWarning)):
        vectors = elmo_jax.Elmo(foreign / "emfml" / name).embed(sentences, layers="all")
    for i, layers in enumerate(vectors):
        assert_close(layers, golden[f"float64_s{i}"], GOLDEN_TOLERANCE)


def test_a_zip_without_configuration_is_the_same_model(foreign):
    """As NLPL gives it out; its config.json names a path on somebody's machine."""
    folder = open_model(foreign / "emfml" / "words-and-chars")
    archive = open_model(foreign / "emfml" / "words-and-chars.zip")
    assert folder.config == archive.config
    assert (folder.assumed, archive.assumed) == ((), UNTOLD)
    softmax = folder.params.pop("softmax")
    assert softmax["kernel"].shape == (112, 12)
    assert_same_params(archive.params, folder.params)
    assert archive.remarks["meta"]["id"] == 160
    assert archive.remarks["training_options"]["seed"] == 11
    assert "configuration" not in archive.remarks
    assert folder.remarks["configuration"].endswith("cnn_50_100_512_4096_sample.json")


def test_a_folder_in_a_tar_is_the_same_model(make, tmp_path):
    """As the model for simplified Chinese is given out."""
    folder, _ = make()
    archive = shutil.make_archive(str(tmp_path / "model"), "bztar", tmp_path, "model")
    (expected, params), (config, actual) = load(folder), load(archive)
    assert config == expected
    assert_same_params(actual, params)


# Sizes and configuration


@pytest.mark.parametrize("choices", VARIANTS.values(), ids=VARIANTS.keys())
def test_all_shapes_are_read_with_and_without_the_configuration(make, choices):
    folder, (options, tensors, words, characters) = make(**choices)
    opened = open_model(folder)
    assert opened.format == "ELMoForManyLangs" and opened.assumed == ()
    encoder, layer = options["encoder"], options["token_embedder"]
    has_characters = layer["char_dim"] > 0
    assert opened.config == ElmoConfig(
        filters=tuple(map(tuple, layer["filters"])) if has_characters else (),
        projection_dim=encoder["projection_dim"],
        cell_dim=encoder["dim"],
        char_embedding_dim=layer["char_dim"],
        n_highway=layer["n_highway"],
        activation=layer["activation"],
        max_characters_per_token=layer["max_characters_per_token"],
        n_layers=encoder["n_layers"],
        cell_clip=encoder["cell_clip"] or None,
        proj_clip=encoder["proj_clip"] or None,
        token_layer="lexicon",
        word_dim=layer["word_dim"],
        forced_projections=True,
        alphabet=elmo_jax.Alphabet(
            words if layer["word_dim"] else (), characters if has_characters else ()
        ),
    )
    check_params(opened.config, opened.params)
    kernel = opened.params["backward"]["layers_0"]["projection_kernel"]
    np.testing.assert_array_equal(kernel, tensors["backward_layer_0.state_projection.weight"])

    (folder / "cnn.json").unlink()
    without = open_model(folder)
    assert without.assumed == (UNTOLD if has_characters else UNTOLD[1:])
    assert_same_params(without.params, opened.params)
    told = {"lstm": {name: encoder[name] or None for name in ("cell_clip", "proj_clip")}}
    told["char_cnn"] = {name: layer[name] for name in ("activation", "max_characters_per_token")}
    by_hand = open_model(folder, told)
    assert (by_hand.config, by_hand.assumed) == (opened.config, ())
    whole = open_model(folder, options)
    assert (whole.config, whole.assumed) == (opened.config, ())


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("configs/cnn.json", "configs/cnn.json"),
        ("./configs//cnn.json", "configs/cnn.json"),
        ("/home/somebody/cnn.json", "cnn.json"),
        ("..\\configs\\cnn.json", "cnn.json"),
    ],
)
def test_the_configuration_is_found_where_config_json_says_or_beside_it(make, path, where):
    folder, _ = make(configuration=where, activation="tanh")
    edit_json(folder / "config.json", lambda content: content.update(config_path=path))
    opened = open_model(folder)
    assert (opened.config.activation, opened.assumed) == ("tanh", ())
    assert opened.remarks["configuration"] == str(folder / where)


@pytest.mark.parametrize("content", [None, {}, {"config_path": None}, {"config_path": "../../x"}])
def test_a_model_is_read_without_a_word_on_its_configuration(make, content):
    folder, _ = make(configuration=None)
    (folder / "config.json").unlink()
    if content is not None:
        (folder / "config.json").write_text(json.dumps(content))
    assert open_model(folder).assumed == UNTOLD


@pytest.mark.parametrize("name", ["cnn_50_100_512_4096_sample.json", "other.json"])
def test_a_model_of_the_packages_own_sizes_has_the_packages_configuration(make, monkeypatch, name):
    """Published models are too large for a test, so the package's sizes are made small."""
    folder, _ = make(configuration=None)
    path = f"/home/a/{name}"
    edit_json(folder / "config.json", lambda content: content.update(config_path=path))
    assert open_model(folder).assumed == UNTOLD
    small = open_model(folder).config
    monkeypatch.setattr(ElmoConfig, "preset", lambda name: small)
    monkeypatch.setattr(
        "elmo_jax.checkpoint.foreign.manylangs._SIZES_OF_THE_PACKAGE",
        {"word_dim": 5, "char_embedding_dim": 4},
    )
    opened = open_model(folder)
    if name == "other.json":
        assert opened.assumed == UNTOLD
    else:
        assert (opened.config, opened.assumed) == (small, ())
        assert opened.remarks["configuration"] == f"{name} of the package elmoformanylangs"


def test_other_files_do_not_matter(make):
    folder, _ = make(char_dim=0)
    for name in ("char.dic", "README", "meta.json"):
        (folder / name).write_text("of another model")
    config, _ = load(folder)
    assert config.alphabet.characters == ()


# What does not fit


def test_files_of_different_models_are_reported_at_once(make):
    folder, _ = make()
    shutil.copy(make(name="other", projection_dim=7)[0] / "cnn.json", folder)
    edit_json(folder / "cnn.json", lambda content: content["token_embedder"].update(filters=[]))
    (folder / "word.dic").write_text("<oov>\t0\n")
    (folder / "char.dic").unlink()
    assert message_of(load, folder) == (
        f"{folder}: the files are not those of one model (4 problems):\n"
        f"  {folder / 'cnn.json'} has token_embedder.filters (), but the tensors have "
        "((1, 4), (2, 4), (3, 8))\n"
        f"  {folder / 'cnn.json'} has encoder.projection_dim 7, but the tensors have 6\n"
        f"  {folder / 'word.dic'} has 1 token, but word_emb_layer.embedding.weight has 10 rows "
        "(size mismatch: is it another model's dictionary?)\n"
        "  char.dic is missing; it says what the 22 rows of char_emb_layer.embedding.weight are"
    )


def test_a_configuration_of_the_user_is_held_against_the_tensors(make):
    folder, (options, *_) = make(configuration=None)
    options["encoder"]["dim"] = 99
    message = message_of(open_model, folder, options)
    assert message.endswith("\n  options has encoder.dim 99, but the tensors have 10")


def test_all_problems_of_the_tensors_are_reported_at_once(make):
    folder, (options, tensors, words, characters) = make()
    del tensors["highways._layers.0.bias"]
    tensors["projection.bias"] = np.zeros(5)
    tensors["backward_layer_1.state_linearity.bias"][3] = np.nan
    tensors["forward_layer_2.state_linearity.bias"] = np.zeros(40)
    write_lexicon_model(folder, options, tensors, words, characters)
    message = message_of(load, folder)
    assert "(4 problems):\n" in message
    for problem in (
        "highways._layers.0.bias: missing, expected shape (32,)",
        "projection.bias: shape (5,), expected (6,)",
        "backward_layer_1.state_linearity.bias: 1 of 40 values are NaN or infinite",
        "forward_layer_2.state_linearity.bias: unexpected, shape (40,)",
    ):
        assert f"\n  {problem}" in message


@pytest.mark.parametrize("part", ["encoder", "token_embedder"])
def test_other_networks_are_refused_by_name(make, part):
    folder, _ = make()
    edit_json(folder / "cnn.json", lambda content: content[part].update(name="lstm"))
    message = message_of(load, folder)
    assert f"{part}.name is 'lstm', which is another network than ELMo's" in message


@pytest.mark.parametrize(
    ("file", "tensor", "key"),
    [
        ("encoder.pkl", "encoder.weight_ih_l0", "encoder.name"),
        ("token_embedder.pkl", "char_lstm.weight_ih_l0", "token_embedder.name"),
    ],
)
def test_other_networks_are_known_by_their_tensors(make, file, tensor, key):
    folder, _ = make(configuration=None)
    (folder / file).write_bytes(state_dict({tensor: np.zeros((4, 3))}))
    assert message_of(load, folder) == (
        f"{folder} was made with {key} 'lstm', which is another network than ELMo's and cannot be "
        "read."
    )


def test_the_same_state_dict_twice_is_reported(make):
    folder, _ = make()
    shutil.copy(folder / "encoder.pkl", folder / "token_embedder.pkl")
    message = message_of(load, folder)
    assert message.startswith(f"{folder} has backward_layer_0.input_linearity.weight, ")
    assert message.endswith(
        "in each of token_embedder.pkl and encoder.pkl. Are these the same file?"
    )


@pytest.mark.parametrize("name", ["word.dic", "char.dic"])
def test_marks_that_a_dictionary_lacks_are_named(make, name):
    folder, _ = make()
    content = (folder / name).read_text(encoding="utf-8")
    (folder / name).write_text(content.replace("<oov>", "<unk>"), encoding="utf-8")
    kind = {"word.dic": "words", "char.dic": "characters"}[name]
    assert f"the alphabet's {kind} lack <oov>" in message_of(load, folder)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000])
@pytest.mark.parametrize("name", ["config.json", "cnn.json"])
def test_json_that_cannot_be_used_is_named(make, name, content):
    folder, _ = make()
    (folder / name).write_text(content)
    assert message_of(load, folder).startswith(str(folder / name))


def test_a_damaged_file_in_an_archive_is_named(make, tmp_path):
    folder, _ = make()
    (folder / "encoder.pkl").write_bytes((folder / "encoder.pkl").read_bytes()[:-1])
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", folder)
    message = message_of(load, archive)
    assert message.startswith(f"Cannot read {archive}:encoder.pkl: the file is truncated: ")


# The softmax


@pytest.mark.parametrize(
    ("names", "bias_shape"),
    [
        (("column_emb.weight", "column_bias.weight"), (10, 1)),
        (("hidden2tag.weight", "hidden2tag.bias"), (10,)),
    ],
)
def test_a_softmax_is_read_with_its_words(make, names, bias_shape):
    (folder, model), tensors = with_softmax(make, bias_shape, names)
    opened = open_model(folder)
    np.testing.assert_array_equal(opened.params["softmax"]["kernel"], tensors[names[0]])
    np.testing.assert_array_equal(opened.params["softmax"]["bias"], tensors[names[1]].ravel())
    check_params(opened.config, opened.params)
    assert opened.vocabulary.words == ("<UNK>", "<S>", "</S>", *model[2][3:])
    assert "left_out" not in opened.remarks


def test_sentences_are_scored_as_the_softmax_says(make):
    (folder, model), tensors = with_softmax(make)
    words, sentence = model[2], ["The", "bank", "flows", "."]
    with pytest.warns(UnknownWordsWarning, match="25% of the words of the sentences"):
        (scores,) = score(*load_language_model(folder), [sentence])
    top = oracle.LexiconOracle(*model).layers(sentence, boundaries=True)[-1]
    rows = [words.index(w if w in words else "<oov>") for w in ["<bos>", *sentence, "<eos>"]]

    def log_probabilities(vectors, targets):
        scores = vectors @ tensors["column_emb.weight"].T + tensors["column_bias.weight"].ravel()
        total = np.log(np.exp(scores).sum(axis=-1))
        return [score[target] - n for score, target, n in zip(scores, targets, total, strict=True)]

    forward = log_probabilities(top[:-1, :6], rows[1:])
    backward = log_probabilities(top[1:, 6:], rows[:-1])
    assert_close([*scores.forward, scores.forward_end], forward, GOLDEN_TOLERANCE)
    assert_close([scores.backward_end, *scores.backward], backward, GOLDEN_TOLERANCE)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"M": (16, 6), "corr.weight": (10, 6)},
            "it spells the words that it predicts (cnn_softmax)",
        ),
        (
            {"hidden2tag.weight": (9, 6), "hidden2tag.bias": (9,)},
            "hidden2tag.weight has shape (9, 6), expected (10, 6)",
        ),
        ({"column_emb.weight": (10, 6)}, "column_bias.weight has 0 numbers, expected 10"),
    ],
)
def test_a_softmax_that_cannot_be_used_is_left_out(make, change, reason):
    folder, _ = make(softmax={name: np.zeros(shape) for name, shape in change.items()})
    opened = open_model(folder)
    assert "softmax" not in opened.params and opened.vocabulary is None
    assert opened.remarks["left_out"] == f"the softmax in classifier.pkl: {reason}"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("<S>", "word.dic has <S> as a word of the text"),
        ("a b", "word.dic has an entry that is not a word: 'a b' (entry 5)"),
    ],
)
def test_a_softmax_over_what_is_no_word_is_left_out(make, word, reason):
    (folder, _), _ = with_softmax(make)
    content = (folder / "word.dic").read_text(encoding="utf-8")
    (folder / "word.dic").write_text(content.replace("the\t", f"{word}\t"), encoding="utf-8")
    opened = open_model(folder)
    assert "softmax" not in opened.params
    assert reason in opened.remarks["left_out"]


def test_a_softmax_needs_word_dic_even_if_words_have_no_vectors(make):
    for missing in (False, True):
        folder, _ = make(
            word_dim=0,
            softmax={"hidden2tag.weight": np.ones((10, 6)), "hidden2tag.bias": np.ones(10)},
        )
        if missing:
            (folder / "word.dic").unlink()
        opened = open_model(folder)
        assert ("softmax" in opened.params) is not missing
        assert opened.config.alphabet.words == ()
    assert "word.dic is missing, which has its words" in opened.remarks["left_out"]


def test_a_softmax_with_a_number_that_is_none_is_reported(make):
    (folder, _), tensors = with_softmax(make)
    tensors["column_bias.weight"][2] = np.inf
    (folder / "classifier.pkl").write_bytes(state_dict(tensors))
    assert "column_bias.weight: 1 of 10 values are NaN or infinite" in message_of(load, folder)
