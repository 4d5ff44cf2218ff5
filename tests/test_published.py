"""Finding a model: in a native folder, a published one, or an archive of either."""

import gzip
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from checkpoint_files import assert_same_params, edit_json, message_of
from random_models import random_model, write_model

from elmo_jax import load, save
from elmo_jax.checkpoint import read_metadata
from elmo_jax.checkpoint.published import read_files
from elmo_jax.checkpoint.sources import open_model

EXPECTED = "expected weights.hdf5, model.hdf5, or one HDF5 file with an ELMo"
FORMATS = "Expected one of: config.json and model.safetensors (native); options.json and an HDF5 "


@pytest.fixture
def folder(make_model):
    return make_model()[0]


@pytest.fixture
def params(folder):
    return load(folder)[1]


@pytest.fixture
def other(make_model):
    """Weights that would not fit the options of `folder`."""
    return make_model(name="other", dim=12)[0] / "weights.hdf5"


def write_vectors(path):
    """An HDF5 file without an ELMo, such as `allennlp elmo` writes."""
    with h5py.File(path, "w") as file:
        file["0"] = np.zeros((3, 5, 12), np.float32)


# Folders


@pytest.mark.parametrize("name", ["weights.hdf5", "model.hdf5", "elmo_2x10_6.hdf5", "модель.h5"])
def test_the_weight_file_may_have_several_names(folder, params, name):
    (folder / "weights.hdf5").rename(folder / name)
    assert_same_params(load(folder)[1], params)


def test_the_only_hdf5_with_an_elmo_is_opened(folder, params):
    (folder / "weights.hdf5").rename(folder / "norwegian.hdf5")
    write_vectors(folder / "a_vectors.hdf5")
    (folder / "broken.h5").write_bytes(b"<html>")
    assert_same_params(load(folder)[1], params)


@pytest.mark.parametrize("name", ["weights.hdf5", "model.hdf5"])
def test_the_usual_names_come_before_others(folder, other, params, name):
    (folder / "weights.hdf5").rename(folder / name)
    shutil.copy(other, folder / "a.hdf5")
    assert_same_params(load(folder)[1], params)


def test_weights_hdf5_comes_before_model_hdf5(folder, other, params):
    shutil.copy(other, folder / "model.hdf5")
    assert_same_params(load(folder)[1], params)


def test_two_formats_in_one_folder_are_ambiguous(folder, tmp_path):
    save(tmp_path / "native", *load(folder))
    for file in (tmp_path / "native").iterdir():
        file.rename(folder / file.name)
    assert message_of(load, folder) == (
        f"{folder} can be read in more than one way: as native and as hdf5. Give each model a "
        "folder of its own."
    )


def test_two_elmos_under_other_names_are_ambiguous(folder, other):
    (folder / "weights.hdf5").rename(folder / "b.hdf5")
    shutil.copy(other, folder / "a.hdf5")
    assert message_of(load, folder) == (
        f"{folder} has several HDF5 weight files; {EXPECTED}; found a.hdf5, b.hdf5, options.json."
    )


def test_options_without_weights_are_reported(folder):
    (folder / "weights.hdf5").unlink()
    (folder / "vocab.txt").touch()
    assert message_of(load, folder).startswith(
        f"{folder} holds no model; found options.json, vocab.txt. {FORMATS}"
    )


def test_hdf5_files_without_an_elmo_are_reported(folder):
    (folder / "weights.hdf5").unlink()
    write_vectors(folder / "a.hdf5")
    write_vectors(folder / "b.hdf5")
    assert message_of(load, folder).startswith(f"{folder} has no HDF5 weight file; ")


def test_the_only_hdf5_file_is_opened_so_that_its_problem_is_reported(folder):
    (folder / "weights.hdf5").rename(folder / "a.hdf5")
    content = (folder / "a.hdf5").read_bytes()
    (folder / "a.hdf5").write_bytes(content[:-100])
    assert message_of(load, folder).startswith(
        f"Cannot read the weight file {folder / 'a.hdf5'}: the file is truncated; "
    )


@pytest.mark.parametrize("names", [[], ["model.safetensors", "vocab.txt"], list("abcdefghijk")])
def test_the_error_for_a_folder_without_a_model_lists_its_files(tmp_path, names):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    listed = {0: "nothing", 2: ", ".join(names), 11: "a, b, c, d, e, f, g, h and 3 more"}
    assert message_of(load, folder).startswith(
        f"{folder} holds no model; found {listed[len(names)]}. {FORMATS}"
    )


def test_a_weight_file_is_not_a_source(folder):
    path = folder / "weights.hdf5"
    assert message_of(load, path) == (
        f"{path} is an HDF5 file, expected a folder, or an archive (zip, tar, tar.bz2, tar.gz, "
        "tar.xz), of a model. A weight file alone is opened with options_file= and "
        "weight_file=."
    )


def test_a_model_below_a_folder_is_not_looked_for(folder):
    assert "holds no model; " in message_of(load, folder.parent)


# Archives


def zip_of(folder, path, inside="", weights="model.hdf5", compression=zipfile.ZIP_DEFLATED):
    """A model as the NLPL repository gives it out."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        if inside:
            archive.mkdir(inside)
        archive.writestr(f"{inside}meta.json", '{"language": "nob"}')
        archive.writestr(f"{inside}vocab.txt.gz", gzip.compress(b"<S>\n</S>\n<UNK>\n"))
        archive.write(folder / "options.json", f"{inside}options.json")
        if weights:
            archive.write(folder / "weights.hdf5", f"{inside}{weights}")
    return path


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("inside", ["", "216/", "nor/ski/"])
@pytest.mark.parametrize("compression", METHODS)
def test_a_zip_is_opened(folder, params, tmp_path, inside, compression):
    path = zip_of(folder, tmp_path / "216.zip", inside, compression=compression)
    config, opened = load(path)
    assert config == load(folder)[0]
    assert_same_params(opened, params)


@pytest.mark.parametrize("weights", ["weights.hdf5", "norsk.hdf5", "模型.h5"])
def test_a_zip_may_name_its_weights_otherwise(folder, params, tmp_path, weights):
    path = zip_of(folder, tmp_path / "модель без расширения", weights=weights)
    assert_same_params(load(path)[1], params)


def test_what_macos_adds_to_a_zip_is_left_alone(folder, params, tmp_path):
    path = zip_of(folder, tmp_path / "model.zip", "nor/", weights="norsk.hdf5")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("__MACOSX/nor/._options.json", b"\0")
        archive.writestr("__MACOSX/nor/._norsk.hdf5", b"\0")
    assert_same_params(load(path)[1], params)


def test_a_weight_files_problem_is_reported_with_its_place_in_the_zip(folder, other, tmp_path):
    shutil.copy(other, folder / "weights.hdf5")
    path = zip_of(folder, tmp_path / "model.zip", "nor/")
    message = message_of(load, path)
    assert message.startswith(f"{path}:nor/model.hdf5 does not fit {path}:nor/options.json (12 ")
    (folder / "weights.hdf5").write_bytes(b"<html>")
    path = zip_of(folder, tmp_path / "model.zip")
    assert message_of(load, path).startswith(
        f"Cannot read the weight file {path}:model.hdf5: it is not an HDF5 file: it starts with "
        "b'<html>'. [HDF5: "
    )


def test_a_zip_without_weights_is_reported(folder, tmp_path):
    path = zip_of(folder, tmp_path / "model.zip", weights=None)
    assert message_of(load, path).startswith(
        f"{path} holds no model; found meta.json, options.json, vocab.txt.gz. {FORMATS}"
    )


def test_a_zip_with_several_unnamed_weights_is_ambiguous(folder, other, tmp_path):
    path = zip_of(folder, tmp_path / "model.zip", weights="a.hdf5")
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(other, "b.hdf5")
    assert message_of(load, path).startswith(f"{path} has several HDF5 weight files; {EXPECTED}; ")


def test_a_model_may_lie_in_a_folder_beside_other_files(folder, params, other, tmp_path):
    path = zip_of(folder, tmp_path / "model.zip", "models/nor/")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("README.txt", "hello")
        for name in ("options.json", "model.hdf5"):  # farther from the top
            archive.write(other, f"models/older/2018/{name}")
    assert_same_params(load(path)[1], params)


def test_a_zip_of_two_models_is_ambiguous(folder, tmp_path):
    path = zip_of(folder, tmp_path / "model.zip", "a/")
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("options.json", "weights.hdf5"):
            archive.write(folder / name, f"b/{name}")
    message = message_of(load, path)
    assert message.startswith(
        f"{path} holds several models; found a/meta.json, a/model.hdf5, a/options.json, "
        f"a/vocab.txt.gz, b/options.json, b/weights.hdf5. {FORMATS}"
    )
    assert message.endswith(" Unpack it, and name the folder of one of them.")


@pytest.mark.parametrize("form", ["zip", "tar", "gztar", "bztar", "xztar"])
@pytest.mark.parametrize("format", ["native", "hdf5"])
def test_both_formats_are_opened_from_every_kind_of_archive(folder, params, tmp_path, form, format):
    save(tmp_path / "saved", *load(folder), format, metadata={"origin": "a test"})
    path = Path(shutil.make_archive(str(tmp_path / "m"), form, tmp_path, "saved"))
    config, opened = load(path)
    assert config == load(folder)[0]
    assert_same_params(opened, params)
    assert open_model(path).format == format
    assert read_metadata(path) == ({"origin": "a test"} if format == "native" else {})


@pytest.mark.parametrize("inside", ["", "nor/"])
def test_the_files_of_a_checkpoint_beside_the_weights_are_left_alone(
    folder, params, tmp_path, inside
):
    """Zips of the NLPL repository have both."""
    path = zip_of(folder, tmp_path / "216.zip", inside)
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("checkpoint", "model.ckpt.index", "model.ckpt.data-00000-of-00001"):
            archive.writestr(f"{inside}{name}", b"\0")
    assert_same_params(load(path)[1], params)


def test_options_of_the_user_come_before_those_of_the_file(folder, tmp_path):
    edit_json(folder / "options.json", lambda options: options["lstm"].update(cell_clip=-1))
    assert "cell_clip is -1" in message_of(load, folder)
    archive = shutil.make_archive(str(tmp_path / "m"), "zip", folder)
    for path in (folder, Path(archive)):
        opened = open_model(path, {"lstm": {"cell_clip": None}})
        assert opened.config.cell_clip is None
        assert opened.format == "hdf5" and opened.assumed == ()


# A model with a table of words


@pytest.fixture
def table(tmp_path):
    """A model without characters, and the vectors of its words."""
    options, weights = random_model(0)
    del options["char_cnn"]
    options["n_tokens_vocab"] = len(WORDS)
    weights = {name: array for name, array in weights.items() if name.startswith("RNN")}
    weights["embedding"] = np.arange(6 * len(WORDS), dtype=np.float32).reshape(-1, 6)
    write_model(tmp_path / "table", options, weights)
    return tmp_path / "table", weights["embedding"]


WORDS = ("<S>", "</S>", "<UNK>", "the", "of")


@pytest.mark.parametrize("place", ["beside", "beside in a zip", "given"])
def test_a_model_with_a_table_has_the_words_of_its_vocabulary(table, tmp_path, place):
    folder, vectors = table
    vocabulary = WORDS
    if place != "given":
        (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
        vocabulary = None
    files = read_files(folder / "options.json", folder / "weights.hdf5", vocabulary=vocabulary)
    if place == "beside in a zip":
        folder = Path(shutil.make_archive(str(tmp_path / "m"), "zip", folder))
    for opened in (open_model(folder, vocabulary=vocabulary), files):
        assert opened.config.alphabet.words == WORDS
        assert np.array_equal(opened.params["word_encoder"]["embedding"], vectors)


def test_a_model_with_a_table_needs_its_vocabulary(table):
    folder, _ = table
    assert message_of(load, folder) == (
        f"{folder / 'options.json'} describes a model that has a vector for each word of a "
        "vocabulary; expected its vocabulary file, one word per line: as vocab.txt beside the "
        "weights, or with vocabulary_file=."
    )
    message = message_of(open_model, folder, vocabulary=[*WORDS, "more"])
    assert message.startswith("The vocabulary has 6 words, but n_tokens_vocab in ")
    assert "lacks <UNK>" in message_of(open_model, folder, vocabulary=["<S>", "</S>", "the", "of"])


# Damaged archives


@pytest.mark.parametrize("compression", METHODS)
def test_a_zip_with_wrong_bytes_is_reported(folder, tmp_path, compression):
    path = zip_of(folder, tmp_path / "model.zip", compression=compression)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("model.hdf5")
    for offset in (0.1, 0.5, 0.9):
        damaged = bytearray(content)
        damaged[member.header_offset + 40 + int(offset * member.compress_size)] ^= 0xFF
        path.write_bytes(damaged)
        message = message_of(load, path)
        assert message.startswith(f"Cannot read the zip {path}: ")
        assert message.endswith(". If it is damaged, download it again.")


def test_a_zip_with_a_damaged_directory_is_reported(folder, tmp_path):
    path = zip_of(folder, tmp_path / "model.zip")
    path.write_bytes(path.read_bytes().replace(b"PK\x01\x02", b"PK\x01\x03"))
    assert message_of(load, path) == (
        f"Cannot read the zip {path}: Bad magic number for central directory. "
        "If it is damaged, download it again."
    )


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_a_truncated_zip_is_reported(folder, tmp_path, kept):
    path = zip_of(folder, tmp_path / "model.zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert message_of(load, path) == f"The zip {path} is truncated; copy or download it again."
