"""Models of other tools, whatever their format: opened by commands, converted and told apart."""

import json
import pickle

import numpy as np
import pytest
from checkpoint_files import assert_same_params, message_of
from commands import summary
from random_models import random_lexicon_model, random_model, write_lexicon_model, write_model

import elmo_jax
from elmo_jax import Elmo, load
from elmo_jax.cli import main
from elmo_jax.model.parameters import flatten

MODELS = {
    "ELMoForManyLangs": "emfml/words-and-chars",
    "an archive of ELMoForManyLangs": "emfml/words-and-chars.zip",
    "an archive of AllenNLP": "allennlp-archive/tagger-2.10/model.tar.gz",
    "a checkpoint": "bilm-checkpoint/two-layers/checkpoint_dir",
    "a checkpoint of words": "words/plain/checkpoint_dir",
    "a TF-Hub module": "tfhub/module-a/module.tar.gz",
}

SENTENCES = [["The", "bank", "of", "the", "river", "."], ["を"]]


@pytest.fixture
def lexicon(tmp_path):
    """Folder of a model of ELMoForManyLangs that says nothing but its sizes."""
    options, tensors, words, characters = random_lexicon_model(0, n_layers=1)
    folder = tmp_path / "lexicon"
    write_lexicon_model(folder, options, tensors, words, characters, configuration=None)
    return folder


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_a_native_copy_is_the_same_model_bit_for_bit(foreign, model, tmp_path):
    assert main(["convert", str(foreign / model), "-o", str(tmp_path / "native")]) == 0
    config, params = load(foreign / model)
    native_config, native_params = load(tmp_path / "native")
    assert native_config == config
    assert flatten(native_params).keys() == flatten(params).keys()
    assert_same_params(native_params, params)


def test_a_native_copy_gives_the_same_vectors(lexicon, tmp_path):
    assert main(["convert", str(lexicon), "-o", str(tmp_path / "native")]) == 0
    results = [Elmo(folder).embed(SENTENCES) for folder in (lexicon, tmp_path / "native")]
    for original, copy in zip(*results, strict=True):
        assert original.tobytes() == copy.tobytes()


def test_info_says_what_was_assumed_and_with_which_flag_to_say_otherwise(lexicon, capsys):
    assert main(["info", str(lexicon)]) == 0
    said = capsys.readouterr().out
    assert "(ELMoForManyLangs)" in said
    assert "assumed: lstm.cell_clip" in said and "--option lstm.cell_clip=..." in said
    assert load(lexicon)[0].alphabet.describe() in said


def test_what_the_user_says_is_no_longer_assumed(lexicon, capsys):
    flags = "--option", "lstm.cell_clip=null", "--option", "char_cnn.activation=tanh"
    told = summary(capsys, "info", lexicon, *flags)
    assert told["assumed"] == {"lstm.proj_clip": 3.0, "char_cnn.max_characters_per_token": 50}
    assert told["config"]["cell_clip"] is None and told["config"]["activation"] == "tanh"


def test_an_option_that_is_no_pair_is_explained(lexicon, capsys):
    assert main(["info", str(lexicon), "--option", "lstm.cell_clip"]) == 1
    said = capsys.readouterr().err
    assert "--option lstm.cell_clip: expected KEY=VALUE, such as lstm.cell_clip=3." in said


def test_options_may_be_a_file(lexicon, tmp_path):
    options = {"lstm": {"cell_clip": 0.5}, "n_epochs": 10}
    (tmp_path / "options.json").write_text(json.dumps(options))
    for given in (options, tmp_path / "options.json", str(tmp_path / "options.json")):
        assert load(lexicon, options=given)[0].cell_clip == 0.5


@pytest.mark.parametrize(
    ("options", "key"),
    [({"lstm": {"cellclip": 3}}, "lstm.cellclip"), ({"cell_clip": 3}, "cell_clip")],
)
def test_a_misspelled_option_is_refused(lexicon, options, key):
    message = message_of(load, lexicon, options=options)
    assert message.startswith(f"Unknown option {key} for")
    assert "lstm.cell_clip" in message


@pytest.mark.parametrize("content", ["[3]", '"lstm"'])
def test_options_that_are_no_dictionary_are_refused(lexicon, tmp_path, content):
    (tmp_path / "options.json").write_text(content)
    message = message_of(load, lexicon, options=tmp_path / "options.json")
    assert "expected a JSON object" in message
    assert "Expected options as a dictionary" in message_of(load, lexicon, options=[3])


def test_a_folder_of_two_formats_names_both(lexicon):
    write_model(lexicon, *random_model(0))
    message = message_of(load, lexicon)
    assert "can be read in more than one way: as hdf5 and as ELMoForManyLangs." in message


def test_a_folder_of_no_format_names_all(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    message = message_of(load, tmp_path)
    assert "holds no model; found notes.txt." in message
    for name in ("native", "hdf5", "ELMoForManyLangs", "AllenNLP", "bilm-tf", "TF-Hub"):
        assert name in message


def test_a_pickled_elmo_opens_the_same_model_again(lexicon, tmp_path, monkeypatch):
    monkeypatch.chdir(lexicon.parent)
    elmo = Elmo("lexicon", options={"lstm": {"cell_clip": 0.5}})
    pickled = pickle.dumps(elmo)
    monkeypatch.chdir(tmp_path.parent)
    assert pickle.loads(pickled).config == elmo.config


def test_embed_takes_an_alignment(lexicon, tmp_path):
    (tmp_path / "text.txt").write_text("The bank\n")
    np.save(tmp_path / "twice.npy", 2 * np.eye(12))
    command = ["embed", tmp_path / "text.txt", "--model", lexicon, "--layers", "1", "--quiet"]
    flags = {"plain": [], "aligned": ["--alignment", tmp_path / "twice.npy"]}
    for name, more in flags.items():
        output = ["-o", tmp_path / f"{name}.npz"]
        assert main([*map(str, [*command, *more, *output])]) == 0
    plain, aligned = (np.load(tmp_path / f"{name}.npz") for name in flags)
    assert np.array_equal(2 * plain["vectors"], aligned["vectors"])


@pytest.mark.parametrize(
    ("alignment", "problem"),
    [
        (np.eye(4), "The alignment of layer 1 has shape (4, 4), expected (12, 12)"),
        ({7: np.eye(12)}, "There is no layer 7 to align"),
        ("gone.npy", "gone.npy"),
    ],
)
def test_an_alignment_that_does_not_fit_is_refused(lexicon, alignment, problem):
    assert problem in message_of(load, lexicon, alignment=alignment)


def test_a_model_of_words_is_made_with_a_vocabulary(tmp_path, capsys):
    options = {"lstm": {"dim": 8, "projection_dim": 4, "n_layers": 1}, "n_tokens_vocab": 4}
    (tmp_path / "options.json").write_text(json.dumps(options))
    (tmp_path / "vocab.txt").write_text("<S>\n</S>\n<UNK>\nbank\n")
    files = ["--options-file", tmp_path / "options.json", "--vocabulary", tmp_path / "vocab.txt"]
    assert main([*map(str, ["init", "-o", tmp_path / "new", *files])]) == 0
    capsys.readouterr()
    config, params = elmo_jax.load(tmp_path / "new")
    assert config.alphabet.words == ("<S>", "</S>", "<UNK>", "bank")
    assert params["word_encoder"]["embedding"].shape == (4, 4)


def train_command(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("The bank of the river .\n" * 4)
    flags = "--n-steps 1 --batch-size 2 --unroll-steps 4 --n-negative-samples 0 --quiet"
    return ["train", str(text), "-o", str(tmp_path / "run"), *flags.split()]


def test_options_belong_to_a_model_that_there_is(tmp_path, capsys):
    command = [*train_command(tmp_path), "--option", "lstm.cell_clip=2", "--preset", "tiny"]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "--option belongs to the model in --start-from, and there is none." in said


@pytest.mark.slow
def test_a_model_to_tune_takes_options_too(lexicon, tmp_path):
    command = [*train_command(tmp_path), "--option", "lstm.cell_clip=2"]
    assert main([*command, "--start-from", str(lexicon)]) == 0
    assert load(tmp_path / "run" / "model")[0].cell_clip == 2
