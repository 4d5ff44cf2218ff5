"""Finding a model: in a native folder, a published one, or a zip of the NLPL repository."""

import gzip
import shutil
import zipfile

import h5py
import numpy as np
import pytest
from checkpoint_files import assert_same_params, message_of

from elmo_jax import load, save

EXPECTED = "expected weights.hdf5, model.hdf5, or one HDF5 file with an ELMo"


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


def test_a_native_model_comes_first(folder, params, tmp_path):
    save(tmp_path / "native", *load(folder))
    (folder / "weights.hdf5").write_bytes(b"damaged")
    for file in (tmp_path / "native").iterdir():
        file.rename(folder / file.name)
    assert_same_params(load(folder)[1], params)


def test_two_elmos_under_other_names_are_ambiguous(folder, other):
    (folder / "weights.hdf5").rename(folder / "b.hdf5")
    shutil.copy(other, folder / "a.hdf5")
    assert message_of(load, folder) == (
        f"{folder} has several HDF5 weight files; {EXPECTED}; found a.hdf5, b.hdf5, options.json."
    )


def test_options_without_weights_are_reported(folder):
    (folder / "weights.hdf5").unlink()
    (folder / "vocab.txt").touch()
    assert message_of(load, folder) == (
        f"{folder} has no HDF5 weight file; {EXPECTED}; found options.json, vocab.txt."
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
    assert message_of(load, folder) == (
        f"{folder} holds no model: expected config.json and model.safetensors, or "
        f"options.json and an HDF5 file; found {listed[len(names)]}."
    )


def test_a_plain_file_is_not_a_source(folder):
    path = folder / "weights.hdf5"
    assert message_of(load, path) == (
        f"{path} is a file, expected a folder or a zip with options.json and weights. "
        "A weight file alone is opened with options_file=..., weight_file=... ."
    )


# Zips


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
    assert message_of(load, path) == (
        f"{path} has no HDF5 weight file; {EXPECTED}; found meta.json, vocab.txt.gz, options.json."
    )


def test_a_zip_with_several_unnamed_weights_is_ambiguous(folder, other, tmp_path):
    path = zip_of(folder, tmp_path / "model.zip", weights="a.hdf5")
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(other, "b.hdf5")
    assert message_of(load, path).startswith(f"{path} has several HDF5 weight files; {EXPECTED}; ")


def test_a_zip_needs_one_options_json(folder, tmp_path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert message_of(load, path) == f"{path}: expected one options.json, found readme.txt."
    zip_of(folder, path, "a/")
    with zipfile.ZipFile(path, "a") as archive:
        archive.write(folder / "options.json", "b/options.json")
    assert message_of(load, path).startswith(f"{path}: expected one options.json, found a/meta")


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
