"""Checkpoints of bilm-tf: which is opened, with which options and words, and what is refused."""

import gzip
import json
import shutil
import zipfile

import numpy as np
import pytest
from checkpoint_files import (
    assert_same_arrays,
    assert_same_params,
    edit_json,
    message_of,
    read_datasets,
)
from random_models import VARIANTS, random_model, write_model
from tensor_bundles import (
    Variable,
    accept_every_checksum,
    flip,
    random_softmax,
    variables_of,
    write_bundle,
)

from elmo_jax import Elmo, ElmoError, load, save
from elmo_jax.checkpoint import open_source
from elmo_jax.checkpoint.containers.tensor_bundle import TensorBundle
from elmo_jax.checkpoint.foreign.bundle_variables import VariableNames
from elmo_jax.model.config import ElmoConfig
from elmo_jax.model.parameters import datasets
from elmo_jax.training import evaluate, load_language_model

TOLERANCE = 2e-6
"""Between float32 of TensorFlow and of this library, for numbers up to 3."""

PERPLEXITY_DIGITS = 6
"""TensorFlow's perplexity is the exponential of a float32 mean, so its last digit is noise."""

WORDS = ["<S>", "</S>", "<UNK>", "the", "bank", "river", "."]


def write_checkpoint(folder, options, variables, name="model.ckpt-7", **choices):
    """Write a checkpoint with its options.json; None leaves that out."""
    write_bundle(folder / name, variables, **choices)
    if options is not None:
        (folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
    return folder


def trained(weights):
    """All variables of a training: also the softmax, Adagrad's, and two that describe it."""
    size = weights["RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0"].shape[0] // 2
    variables = variables_of(weights) | random_softmax(len(WORDS), size)
    slots = {f"{name}/Adagrad": np.ones_like(array) for name, array in variables.items()}
    about = {"global_step": np.float32(7), "train_perplexity": np.float32(0)}
    return variables | slots | about


@pytest.fixture
def folder(tmp_path):
    options, weights = random_model(1)
    options |= {"bidirectional": True, "dropout": 0.1, "n_tokens_vocab": len(WORDS)}
    return write_checkpoint(tmp_path / "run" / "model", options, trained(weights))


def word_options(**choices):
    options = random_model(1)[0]
    return {"lstm": options["lstm"], "n_tokens_vocab": len(WORDS), **choices}


def word_variables():
    """Of a model that reads whole words."""
    weights = {name: array for name, array in random_model(1)[1].items() if "RNN" in name}
    table = np.random.default_rng(2).normal(size=(len(WORDS), 6)).astype(np.float32)
    return trained(weights | {"embedding": table})


@pytest.fixture
def word_folder(tmp_path):
    folder = tmp_path / "run" / "words"
    write_checkpoint(folder, word_options(), word_variables())
    write_words(folder / "vocab.txt")
    return folder


def write_words(path, words=WORDS):
    path.write_text("\n".join(words) + "\n", encoding="utf-8")


# Every shape


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_is_the_model_that_its_hdf5_file_is(tmp_path, variant):
    options, weights = random_model(3, **VARIANTS[variant])
    write_model(tmp_path / "hdf5", options, weights)
    write_checkpoint(tmp_path / "checkpoint", options, trained(weights))
    expected_config, expected = load(tmp_path / "hdf5")
    config, params = load(tmp_path / "checkpoint")
    assert config == expected_config
    softmax = params.pop("softmax")
    assert_same_params(params, expected)
    variables = random_softmax(len(WORDS), config.projection_dim)
    np.testing.assert_array_equal(softmax["kernel"], variables["lm/softmax/W"])
    np.testing.assert_array_equal(softmax["bias"], variables["lm/softmax/b"])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "cell",
    ["rnn/multi_rnn_cell/cell_{layer}/lstm_cell", "RNN/MultiRNNCell/Cell{layer}/rnn/lstm_cell"],
)
def test_names_of_variables_and_of_datasets_lead_to_each_other(variant, cell):
    names = VariableNames("lm", cell)
    config = ElmoConfig.from_options(random_model(0, **VARIANTS[variant])[0])
    for dataset in datasets(config):
        variable = names.variable(dataset.name)
        assert names.dataset(variable) == dataset.name
        assert names.is_of_cell(variable) == dataset.name.startswith("RNN")


def test_a_bundle_of_two_data_files_is_opened(tmp_path):
    options, weights = random_model(1)
    variables = {
        name: Variable(array, shard=number % 2)
        for number, (name, array) in enumerate(trained(weights).items())
    }
    write_checkpoint(tmp_path / "one", options, trained(weights))
    write_checkpoint(tmp_path / "two", options, variables, n_shards=2)
    assert_same_params(load(tmp_path / "two")[1], load(tmp_path / "one")[1])


# Which checkpoint


@pytest.fixture
def steps(tmp_path):
    """A folder with several checkpoints; the first bias of the softmax is the step."""
    options, weights = random_model(1)
    for step in (9, 10, 8):
        variables = variables_of(weights) | random_softmax(4, 6)
        variables["lm/softmax/b"][:] = step
        write_checkpoint(tmp_path, options, variables, f"model.ckpt-{step}")
    return tmp_path


def step_of(source):
    return int(load(source)[1]["softmax"]["bias"][0])


def test_the_highest_step_is_opened(steps):
    assert step_of(steps) == 10


@pytest.mark.parametrize(
    "path",
    [
        "model.ckpt-9",
        "/home/somebody/elmo run/model.ckpt-9",
        "C:\\\\Users\\\\somebody\\\\model.ckpt-9",
    ],
)
def test_the_one_that_the_file_names_is_opened(steps, path):
    text = f'model_checkpoint_path: "{path}"\nall_model_checkpoint_paths: "model.ckpt-8"\n'
    (steps / "checkpoint").write_text(text)
    assert step_of(steps) == 9


@pytest.mark.parametrize("text", ["", "nonsense", 'model_checkpoint_path: "model.ckpt-99"\n'])
def test_a_file_that_names_none_that_is_there_is_passed_over(steps, text):
    (steps / "checkpoint").write_text(text)
    assert step_of(steps) == 10


@pytest.mark.parametrize("suffix", ["", ".index", ".data-00000-of-00001"])
def test_a_checkpoint_is_opened_by_its_name(steps, suffix):
    assert step_of(steps / f"model.ckpt-8{suffix}") == 8


def test_a_checkpoint_without_a_step_is_opened(folder):
    for path in folder.glob("model.ckpt-7.*"):
        path.rename(folder / path.name.replace("-7", ""))
    assert open_source(folder).remarks["checkpoint"] == "model.ckpt"


def test_several_without_a_step_are_refused(folder):
    for path in list(folder.glob("model.ckpt-7.*")):
        shutil.copy(path, folder / path.name.replace("model.ckpt-7", "first"))
        path.rename(folder / path.name.replace("model.ckpt-7", "second"))
    assert message_of(load, folder) == (
        f"{folder} has several checkpoints, and nothing tells which of them is the model: first, "
        "second. Name one of them instead of the folder."
    )


def test_a_checkpoint_one_folder_down_is_opened(folder):
    assert_same_params(load(folder.parent)[1], load(folder)[1])


def test_a_checkpoint_is_preferred_to_those_below_it(steps):
    options, weights = random_model(1)
    write_checkpoint(steps / "backup", options, trained(weights), "model.ckpt-99")
    assert step_of(steps) == 10


def test_a_model_with_checkpoints_below_is_opened_itself(folder, tmp_path):
    options, weights = random_model(5)
    write_model(folder.parent, options, weights)
    assert "softmax" not in load(folder.parent)[1]


def test_an_hdf5_file_is_preferred_unless_the_softmax_is_needed(folder):
    """NLPL's archives have the checkpoint beside the HDF5 file that was made from it."""
    options, weights = random_model(1)
    write_model(folder, options, weights)
    (folder / "weights.hdf5").rename(folder / "model.hdf5")
    write_words(folder / "vocab.txt")
    assert open_source(folder).format == "hdf5"
    assert "softmax" in load_language_model(folder)[1]
    assert "softmax" in load(folder / "model.ckpt-7")[1]


@pytest.mark.parametrize("top", ["", "run/"])
def test_a_checkpoint_in_an_archive_is_opened_with_the_words_above_it(tmp_path, word_folder, top):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in word_folder.iterdir():
            below = "" if file.name == "vocab.txt" else "checkpoint_dir/"
            archive.write(file, f"{top}{below}{file.name}")
    assert load(path)[0] == load(word_folder)[0]


# Options


def test_the_training_is_remarked(folder):
    opened = open_source(folder)
    assert (opened.format, opened.assumed) == ("bilm-tf checkpoint", ())
    assert opened.remarks == {
        "checkpoint": "model.ckpt-7",
        "global_step": 7,
        "training_options": {"dropout": 0.1, "n_tokens_vocab": len(WORDS)},
    }


def test_without_options_sizes_are_inferred_and_the_rest_is_assumed(folder):
    expected_config, expected = load(folder)
    (folder / "options.json").unlink()
    opened = open_source(folder)
    assert opened.config == expected_config
    assert_same_params(opened.params, expected)
    assert opened.assumed_options == {
        "char_cnn.activation": "relu",
        "char_cnn.max_characters_per_token": 50,
        "lstm.cell_clip": 3.0,
        "lstm.proj_clip": 3.0,
        "lstm.use_skip_connections": True,
    }


def test_what_the_user_says_is_not_assumed(folder):
    (folder / "options.json").unlink()
    said = {"char_cnn": {"activation": "tanh"}, "lstm": {"cell_clip": None, "proj_clip": 2.0}}
    opened = open_source(folder, options=said)
    assert opened.assumed == ("max_characters_per_token", "use_skip_connections")
    config = opened.config
    assert (config.activation, config.cell_clip, config.proj_clip) == ("tanh", None, 2.0)


def test_the_options_of_the_user_stand_over_those_of_the_file(folder):
    assert load(folder, options={"lstm": {"cell_clip": 5.0}})[0].cell_clip == 5.0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"bidirectional": False}, "bidirectional is false, but ELMo needs both directions"),
        ({"share_embedding_softmax": True}, "share_embedding_softmax is true, but words that are"),
    ],
)
def test_options_of_another_network_are_refused(folder, change, problem):
    edit_json(folder / "options.json", lambda options: options.update(change))
    message = message_of(load, folder)
    assert message.startswith(f"{folder / 'options.json'} does not describe a character-based ELMo")
    assert problem in message


def test_options_that_are_not_json_are_reported(folder):
    (folder / "options.json").write_text("<html>")
    assert message_of(load, folder).startswith(f"{folder / 'options.json'} is not JSON")


# Words


def test_a_model_of_words_has_the_vocabulary_as_its_alphabet(word_folder):
    opened = open_source(word_folder)
    variables = word_variables()
    assert opened.config.token_layer == "table"
    assert opened.config.alphabet.words == tuple(WORDS) == opened.vocabulary.words
    table = opened.params["word_encoder"]["embedding"]
    np.testing.assert_array_equal(table, variables["lm/embedding"])
    np.testing.assert_array_equal(opened.params["softmax"]["kernel"], variables["lm/softmax/W"])


def test_a_model_of_words_is_inferred_without_options(word_folder):
    expected = load(word_folder)[0]
    (word_folder / "options.json").unlink()
    opened = open_source(word_folder)
    assert opened.config == expected
    assert opened.assumed == ("cell_clip", "proj_clip", "use_skip_connections")


def test_a_softmax_that_is_shared_is_the_table(word_folder):
    variables = word_variables()
    del variables["lm/softmax/W"]
    write_checkpoint(word_folder, word_options(share_embedding_softmax=True), variables)
    params = load(word_folder)[1]
    np.testing.assert_array_equal(params["softmax"]["kernel"], variables["lm/embedding"])
    np.testing.assert_array_equal(params["softmax"]["bias"], variables["lm/softmax/b"])


@pytest.mark.parametrize("place", ["beside", "above", "compressed", "named"])
@pytest.mark.parametrize("source", ["folder", "checkpoint"])
def test_the_vocabulary_is_found(word_folder, tmp_path, place, source):
    content = (word_folder / "vocab.txt").read_bytes()
    (word_folder / "vocab.txt").unlink()
    named = None
    if place == "compressed":
        (word_folder / "vocab.txt.gz").write_bytes(gzip.compress(content))
    else:
        folders = {"beside": word_folder, "above": word_folder.parent, "named": tmp_path}
        path = folders[place] / ("words.txt" if place == "named" else "vocab.txt")
        path.write_bytes(content)
        named = path if place == "named" else None
    source = word_folder if source == "folder" else word_folder / "model.ckpt-7"
    assert load(source, vocabulary_file=named)[0].alphabet.words == tuple(WORDS)


def test_a_model_of_words_without_them_is_refused(word_folder):
    (word_folder / "vocab.txt").unlink()
    message = message_of(load, word_folder)
    assert message.startswith(
        f"{word_folder / 'options.json'} describes a model that has a vector for each word of a "
        "vocabulary; expected its vocabulary file"
    )


def test_another_number_of_words_is_refused(word_folder):
    write_words(word_folder / "vocab.txt", [*WORDS, "more"])
    assert message_of(load, word_folder) == (
        f"{word_folder / 'vocab.txt'} has 8 words, but n_tokens_vocab in "
        f"{word_folder / 'options.json'} is 7. Expected the vocabulary file that the model was "
        "trained with."
    )


@pytest.mark.parametrize("marker", WORDS[:3])
def test_a_vocabulary_without_a_marker_is_refused(word_folder, marker):
    write_words(word_folder / "vocab.txt", ["" if word == marker else word for word in WORDS])
    assert f"{word_folder / 'vocab.txt'} lacks {marker};" in message_of(load, word_folder)


def test_the_words_of_a_softmax_are_known(folder):
    write_words(folder / "vocab.txt")
    assert open_source(folder).vocabulary.words == tuple(WORDS)
    assert load_language_model(folder)[2].words == tuple(WORDS)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (WORDS[:-1], "has 6 words, but the model's softmax has 7. Expected"),
        (["[PAD]", "[CLS]"], "lacks <S>, </S>, <UNK>; expected"),
    ],
)
def test_the_words_of_another_model_do_not_keep_one_from_opening(folder, words, problem):
    """Not unless the user names them."""
    path = folder.parent / "vocab.txt"
    write_words(path, words)
    opened = open_source(folder)
    assert opened.vocabulary is None
    assert opened.remarks["vocabulary"].startswith(f"left out: {path} {problem}")
    assert message_of(load, folder, vocabulary_file=path).startswith(f"{path} {problem}")


# Variables


def test_only_the_variables_of_the_model_are_read(folder, monkeypatch):
    names, read = [], TensorBundle.read

    def read_and_note(bundle, name):
        names.append(name)
        return read(bundle, name)

    monkeypatch.setattr(TensorBundle, "read", read_and_note)
    load(folder)
    model = {name for name in trained(random_model(1)[1]) if not name.endswith("Adagrad")}
    assert sorted(names) == sorted(model - {"train_perplexity"})


def test_all_problems_are_in_one_error(folder):
    options, weights = random_model(1)
    variables = trained(weights)
    del variables["lm/CNN/b_cnn_2"], variables["lm/RNN_1/rnn/multi_rnn_cell/cell_1/lstm_cell/bias"]
    variables["lm/char_embed"] = np.zeros((262, 4), np.float32)
    variables["lm/CNN_proj/b_proj"] = np.full(6, np.nan, np.float32)
    variables["lm/CNN_proj/W_proj"] = np.zeros((16, 6), np.int32)
    variables["lm/more"] = np.zeros(3, np.float32)
    write_checkpoint(folder, options, variables)
    assert message_of(load, folder) == (
        f"{folder / 'model.ckpt-7'} does not fit {folder / 'options.json'} (6 problems):"
        "\n  lm/char_embed: shape (262, 4), expected (261, 4)"
        "\n  lm/CNN/b_cnn_2: missing, expected shape (8,)"
        "\n  lm/CNN_proj/W_proj: dtype int32, expected float32"
        "\n  lm/CNN_proj/b_proj: 6 of 6 values are NaN or infinite"
        "\n  lm/RNN_1/rnn/multi_rnn_cell/cell_1/lstm_cell/bias: missing, expected shape (40,)"
        "\n  lm/more: unexpected, shape (3,)"
        "\nLikely cause: the file was edited or written by another tool, or its training went "
        "wrong."
    )


@pytest.mark.parametrize("n_layers", [1, 3])
def test_options_of_another_model_are_the_likely_cause(folder, n_layers):
    edit_json(folder / "options.json", lambda options: options["lstm"].update(n_layers=n_layers))
    assert message_of(load, folder).endswith(
        "Likely cause: options and weights belong to different models; the weights were made with "
        f"n_layers 2 (the options say {n_layers})."
    )


def test_one_direction_is_refused(folder):
    variables = {"lm/rnn/multi_rnn_cell/cell_0/lstm_cell/kernel": np.zeros((12, 40), np.float32)}
    write_checkpoint(folder, None, variables)
    assert message_of(load, folder) == (
        f"{folder / 'model.ckpt-7'} is a language model of one direction: it has "
        "lm/rnn/multi_rnn_cell/cell_0/lstm_cell/kernel, as bilm-tf names it with bidirectional: "
        "false. ELMo needs both directions."
    )


def test_names_of_old_versions_are_refused(folder):
    name = "lm/RNN_0/rnn/multi_rnn_cell/cell_0/lstm_cell/weights"
    write_checkpoint(folder, None, {name: np.zeros((12, 40), np.float32)})
    assert message_of(load, folder) == (
        f"{folder / 'model.ckpt-7'} has the names of TensorFlow before 1.2, such as {name}. Rename "
        "them in TensorFlow: weights are now called kernel, and biases bias."
    )


def test_a_checkpoint_of_another_network_is_refused(folder):
    write_checkpoint(folder, None, {"bert/pooler/dense/bias": np.zeros(3, np.float32)})
    assert message_of(load, folder) == (
        f"{folder / 'model.ckpt-7'} holds no biLM: expected variables lm/..., found "
        "bert/pooler/dense/bias."
    )


def test_a_missing_data_file_is_reported(folder):
    (folder / "model.ckpt-7.data-00000-of-00001").unlink()
    message = message_of(load, folder / "model.ckpt-7")
    assert "model.ckpt-7.data-00000-of-00001 is missing" in message


def test_wrong_bytes_end_in_an_error_or_in_another_model(folder, monkeypatch):
    """Nothing but an ElmoError comes out, even if the checksums are right."""
    accept_every_checksum(monkeypatch)
    (folder / "options.json").unlink()
    index, messages = folder / "model.ckpt-7.index", set()
    content = index.read_bytes()
    for position in range(0, len(content), 29):
        flip(index, position)
        try:
            load(folder)
        except ElmoError as error:
            messages.add(str(error))
        index.write_bytes(content)
    assert len(messages) > 20


# What bilm-tf made


@pytest.fixture(params=["bilm-checkpoint/two-layers", "words/plain"])
def original(request, foreign):
    return foreign / request.param


@pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")
def test_vectors_are_those_of_bilm_tf(original):
    sentences = json.loads((original / "sentences.json").read_text(encoding="utf-8"))
    vectors = Elmo(original / "checkpoint_dir").embed(sentences)
    with np.load(original / "golden.npz") as golden:
        for number, actual in enumerate(vectors):
            np.testing.assert_allclose(actual, golden[f"s{number}"], rtol=0, atol=TOLERANCE)


def test_the_perplexity_is_that_of_bilm_tf(original):
    expected = json.loads((original / "perplexity.json").read_text())["test_perplexity"]
    model = load_language_model(original / "checkpoint_dir")
    perplexity = evaluate(*model, original / "test.txt", batch_size=1).perplexity
    assert perplexity == pytest.approx(expected, rel=10.0**-PERPLEXITY_DIGITS)


def test_hdf5_files_are_those_that_bilm_tf_dumps(original, tmp_path):
    config, params = load(original / "checkpoint_dir")
    del params["softmax"]
    save(tmp_path / "hdf5", config, params, format="hdf5")
    written = read_datasets(tmp_path / "hdf5" / "weights.hdf5")
    assert_same_arrays(written, read_datasets(original / "dumped.hdf5"))
