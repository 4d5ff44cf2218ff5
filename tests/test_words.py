"""The words of a softmax: saved with it, known again, and never taken for those of another."""

import gzip
import json
import shutil
import zipfile

import numpy as np
import pytest
from checkpoint_files import edit_config, files_of, message_of
from commands import failing

from elmo_jax import ElmoError, load, save
from elmo_jax.cli import main
from elmo_jax.errors import counted
from elmo_jax.training import Vocabulary, load_language_model
from elmo_jax.training.language_model import open_starting_model

WORDS = ["<S>", "</S>", "<UNK>", "", "the", "of"]
OTHERS = ["<S>", "</S>", "<UNK>", "", "of", "the"]
FORMATS = ["native", "hdf5"]


@pytest.fixture
def plain(make_model):
    """(config, params) without a softmax."""
    return load(make_model()[0])


@pytest.fixture
def model(plain):
    """(config, params) with the softmax of WORDS."""
    config, params = plain
    kernel = np.arange(36, dtype=np.float32).reshape(6, 6)
    return config, {**params, "softmax": {"kernel": kernel, "bias": kernel[0]}}


@pytest.fixture
def saved(model, tmp_path):
    """Save the model with its words in a format; gives the folder."""

    def saved(format="native", words=WORDS):
        save(tmp_path / format, *model, format, vocabulary=words)
        return tmp_path / format

    return saved


def write_words(folder, words, name="vocab.txt"):
    Vocabulary(words).write(folder / name)


@pytest.mark.parametrize("format", FORMATS)
def test_the_words_are_saved_with_the_model(saved, format):
    folder = saved(format)
    assert (folder / "vocab.txt").read_text() == "<S>\n</S>\n<UNK>\n\nthe\nof\n"
    assert load_language_model(folder)[2].words == tuple(WORDS)


def test_a_native_model_keeps_the_number_and_the_hash_of_its_words(saved, model, tmp_path):
    content = json.loads((saved() / "config.json").read_text())
    assert content["vocabulary"] == {"size": 6, "sha256": Vocabulary(WORDS).sha256}
    save(tmp_path / "bare", *model)
    assert json.loads((tmp_path / "bare" / "config.json").read_text())["vocabulary"] is None


@pytest.mark.parametrize("format", FORMATS)
def test_a_model_that_is_replaced_takes_its_words_with_it(saved, model, tmp_path, format):
    folder = saved(format)
    (folder / "notes.txt").write_text("mine")
    save(folder, *model, format, overwrite=True)
    assert "vocab.txt" not in files_of(folder) and (folder / "notes.txt").exists()
    assert "no vocabulary" in message_of(load_language_model, folder)


def test_words_that_do_not_fit_the_softmax_are_not_saved(model, plain, tmp_path):
    with pytest.raises(ElmoError, match="has 3 words, but the model's softmax has 6"):
        save(tmp_path / "out", *model, vocabulary=WORDS[:3])
    with pytest.raises(ElmoError, match="no softmax"):
        save(tmp_path / "out", *plain, vocabulary=WORDS)
    with pytest.raises(ElmoError, match=r"not a word: .of 30"):
        save(tmp_path / "out", *model, vocabulary=[*WORDS[:5], "of 30"])
    assert not (tmp_path / "out").exists()


# Opening


def test_other_words_beside_a_native_model_are_refused(saved):
    folder = saved()
    write_words(folder, OTHERS)
    for call in (load_language_model, open_starting_model):
        assert message_of(call, folder).startswith(
            f"{folder}/vocab.txt is not the one of this model: its config.json has another "
        )
    write_words(folder, WORDS)
    assert load_language_model(folder)[2].words == tuple(WORDS)


def test_no_command_takes_other_words_for_those_of_a_native_model(saved, tmp_path, capsys):
    folder, text = saved(), tmp_path / "text.txt"
    text.write_text("the of the\n")
    write_words(folder, OTHERS)
    archive, out = zip_of(folder, tmp_path / "model.zip"), tmp_path / "out"
    for model in (folder, archive):
        for command in (
            ["evaluate", text, "--model", model],
            ["evaluate", text, "--model", model, "--vocabulary", folder / "vocab.txt"],
            ["convert", model, "-o", out],
            ["convert", model, "-o", out, "--vocabulary", folder / "vocab.txt"],
            ["train", text, "--start-from", model, "-o", out],
            ["train", text, "--start-from", model, "-o", out, "--option", "lstm.cell_clip=2"],
            ["info", model, "--verify"],
        ):
            assert "is not the one of this model" in failing(capsys, *command), command
    assert not out.exists()


@pytest.mark.parametrize("format", FORMATS)
def test_words_of_another_number_are_refused(saved, format):
    folder = saved(format)
    for words in (WORDS[:5], [*WORDS, "a"]):
        write_words(folder, words)
        for call in (load_language_model, open_starting_model):
            assert message_of(call, folder).startswith(
                f"{folder}/vocab.txt has {counted(len(words), 'word')}, "
                "but the model's softmax has 6. "
            )


def test_words_named_elsewhere_are_checked_too(saved, tmp_path):
    folder, path = saved(), tmp_path / "elsewhere.txt"
    (folder / "vocab.txt").rename(path)
    assert load_language_model(folder, path)[2].words == tuple(WORDS)
    assert load_language_model(folder, Vocabulary(WORDS))[2].words == tuple(WORDS)
    assert "is not the one of this model" in message_of(
        load_language_model, folder, Vocabulary(OTHERS)
    )
    write_words(tmp_path, OTHERS, "elsewhere.txt")
    assert message_of(load_language_model, folder, path).startswith(f"{path} is not the one")


def test_a_model_without_a_softmax_is_no_language_model(make_model):
    folder = make_model()[0]
    write_words(folder, WORDS)
    assert message_of(load_language_model, folder).startswith("This model has no softmax")
    assert open_starting_model(folder)[2] is None


def test_a_damaged_record_is_reported(saved):
    path = saved() / "config.json"
    edit_config(path.parent, lambda content: content.update(vocabulary=[6]))
    assert f"{path}: expected 'vocabulary' with size and sha256, got [6]" in message_of(
        load_language_model, path.parent
    )


# Fine-tuning


def test_a_softmax_of_unknown_words_is_not_trained_on(model, saved):
    folder = saved()
    (folder / "vocab.txt").unlink()
    for source in (model, folder):
        assert "a softmax over 6 words, and nothing says which" in message_of(
            open_starting_model, source
        )
    assert "got 1 items" in message_of(open_starting_model, model[:1])


def test_every_row_of_a_softmax_follows_its_word(model):
    start = open_starting_model((*model, Vocabulary(WORDS)))
    softmax = start.initial_params(Vocabulary([*OTHERS, "new"]), seed=0)["softmax"]
    np.testing.assert_array_equal(
        softmax["kernel"][:6], model[1]["softmax"]["kernel"][[*range(4), 5, 4]]
    )
    np.testing.assert_array_equal(softmax["bias"][:6], [0, 1, 2, 3, 5, 4])
    assert softmax["kernel"].shape == (7, 6)


def test_words_that_do_not_fit_the_model_to_start_from_are_refused(model):
    for words in (WORDS[:5], [*WORDS, "a"]):
        assert f"has {len(words)} words" in message_of(
            open_starting_model, (*model, Vocabulary(words))
        )


# Converting


def zip_of(folder, path, inside="", words=None):
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{inside}{file.name}")
        if words is not None:
            archive.writestr(f"{inside}vocab.txt.gz", gzip.compress(Vocabulary(words).to_bytes()))
    return path


def two_files(options, weights):
    return "--options-file", options, "--weight-file", weights


def convert(*arguments):
    assert main(["convert", *map(str, arguments), "--json"]) == 0


def test_converting_keeps_the_words_in_every_direction(saved, tmp_path, capsys):
    hdf5, native, bare = saved("hdf5"), saved("native"), tmp_path / "bare"
    shutil.copytree(hdf5, bare, ignore=shutil.ignore_patterns("vocab.txt"))
    convert(*two_files(hdf5 / "options.json", hdf5 / "weights.hdf5"), "-o", tmp_path / "1")
    convert(native, "-o", tmp_path / "2", "--format", "native", "--dtype", "float16")
    convert(native, "-o", tmp_path / "3", "--format", "hdf5")
    convert(zip_of(hdf5, tmp_path / "a.zip"), "-o", tmp_path / "4")
    bare_zip = zip_of(bare, tmp_path / "b.zip", "nor/", WORDS)
    convert(bare_zip, "-o", tmp_path / "5", "--format", "hdf5")
    for number in "12345":
        assert load_language_model(tmp_path / number)[2].words == tuple(WORDS)
    for number in "124":
        content = json.loads((tmp_path / number / "config.json").read_text())
        assert content["vocabulary"]["size"] == 6
    convert(bare, "-o", tmp_path / "6")
    assert not (tmp_path / "6" / "vocab.txt").exists()


@pytest.mark.parametrize("place", ["weights", "options", "target of a link"])
def test_words_beside_either_file_are_converted(saved, tmp_path, place):
    folder = saved("hdf5")
    options, weights = folder / "options.json", folder / "weights.hdf5"
    (tmp_path / "apart").mkdir()
    if place == "weights":
        options = options.rename(tmp_path / "apart" / "options.json")
    elif place == "options":
        weights = weights.rename(tmp_path / "apart" / "w.hdf5")
    else:
        for name in ("options.json", "weights.hdf5"):
            (tmp_path / "apart" / name).symlink_to(folder / name)
        options, weights = (tmp_path / "apart" / path.name for path in (options, weights))
        convert(tmp_path / "apart", "-o", tmp_path / "whole")
        assert (tmp_path / "whole" / "vocab.txt").read_bytes() == Vocabulary(WORDS).to_bytes()
    convert(*two_files(options, weights), "-o", tmp_path / "out")
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == Vocabulary(WORDS).to_bytes()


def test_words_at_the_top_of_a_zip_are_converted(saved, tmp_path):
    folder = saved("hdf5")
    (folder / "vocab.txt").unlink()
    archive = zip_of(folder, tmp_path / "model.zip", "inside/")
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("vocab.txt", Vocabulary(WORDS).to_bytes())
    convert(archive, "-o", tmp_path / "out")
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == Vocabulary(WORDS).to_bytes()


def test_a_softmax_without_its_words_is_reported_and_keeps_their_hash(saved, tmp_path, capsys):
    folder = saved()
    (folder / "vocab.txt").unlink()
    convert(folder, "-o", tmp_path / "out", "--format", "native")
    assert f"{tmp_path}/out has a softmax, but not its words" in capsys.readouterr().err
    write_words(tmp_path / "out", OTHERS)
    assert "is not the one of this model" in message_of(load_language_model, tmp_path / "out")


def test_weights_under_the_other_name_are_replaced(saved, model, tmp_path):
    folder = saved("hdf5")
    (folder / "weights.hdf5").rename(folder / "model.hdf5")
    save(folder, *model, "hdf5", overwrite=True)
    assert sorted(files_of(folder)) == ["options.json", "weights.hdf5"]


def test_words_of_another_softmax_are_not_converted(saved, make_model, tmp_path, capsys):
    folder = saved("hdf5")
    write_words(folder, WORDS[:4])
    files = two_files(folder / "options.json", folder / "weights.hdf5")
    for source in ((folder,), files, (zip_of(folder, tmp_path / "a.zip"),)):
        assert main(["convert", *map(str, source), "-o", str(tmp_path / "out")]) == 1
        assert "has 4 words, but the model's softmax has 6" in capsys.readouterr().err
    plain = make_model(name="plain")[0]
    write_words(plain, WORDS)  # those of a softmax that is not there, as in the NLPL's zips
    convert(plain, "-o", tmp_path / "out")
    assert not (tmp_path / "out" / "vocab.txt").exists()


def test_other_words_are_not_evaluated_with(saved, tmp_path, capsys):
    folder = saved()
    write_words(tmp_path, OTHERS, "others.txt")
    (tmp_path / "text.txt").write_text("the of\n")
    arguments = ["evaluate", str(tmp_path / "text.txt"), "--model", str(folder)]
    assert main([*arguments, "--vocabulary", str(tmp_path / "others.txt")]) == 1
    assert "is not the one of this model" in capsys.readouterr().err
