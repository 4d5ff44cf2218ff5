"""`python -m convert`, from the repository root as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from checkpoint_files import assert_same_arrays, assert_same_params, files_of, read_datasets

from elmo_jax import load, pretrained, save
from elmo_jax.checkpoint import read_metadata

ROOT = Path(__file__).resolve().parents[1]


def convert(*arguments, code=0):
    """Run the script; gives (stdout, stderr)."""
    command = [sys.executable, "-W", "error", "-m", "convert", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT)
    assert result.returncode == code, result.stderr
    return result.stdout, result.stderr


@pytest.fixture
def folder(make_model):
    return make_model(name="модель")[0]


def test_two_published_files_become_a_native_folder_and_come_back(bilm_tf, tmp_path):
    options, weights = bilm_tf / "options.json", bilm_tf / "lm_weights.hdf5"
    convert("--options-file", options, "--weight-file", weights, "-o", tmp_path / "native")
    assert sorted(files_of(tmp_path / "native")) == ["config.json", "model.safetensors"]
    _, params = load(options_file=options, weight_file=weights)
    assert_same_params(load(tmp_path / "native")[1], params)
    convert(
        tmp_path / "native", "-o", tmp_path / "hdf5"
    )  # from native the other way is the default
    assert_same_arrays(read_datasets(tmp_path / "hdf5" / "weights.hdf5"), read_datasets(weights))
    back = json.loads((tmp_path / "hdf5" / "options.json").read_text(encoding="utf-8"))
    assert back == json.loads(options.read_text(encoding="utf-8"))


def test_the_summary_says_what_was_done(folder, tmp_path):
    out, err = convert(folder, "-o", tmp_path / "ausgänge" / "native", "--json")
    size = sum(map(len, files_of(tmp_path / "ausgänge" / "native").values()))
    with h5py.File(folder / "weights.hdf5") as file:
        counts = []
        file.visititems(lambda _, item: counts.append(getattr(item, "size", 0)))
    assert err == ""
    assert json.loads(out) == {
        "source": str(folder),
        "output": str(tmp_path / "ausgänge" / "native"),
        "format": "native",
        "parameters": sum(counts),
        "bytes": size,
    }
    out, err = convert(folder, "-o", tmp_path / "again", "--format", "hdf5")
    assert "hdf5" in out and str(tmp_path / "again") in out and err == ""


def test_the_direction_can_be_chosen(folder, tmp_path):
    convert(folder, "--format", "hdf5", "-o", tmp_path / "hdf5")
    convert("--format", "native", tmp_path / "hdf5", "-o", tmp_path / "native")
    convert(tmp_path / "native", "-o", tmp_path / "copy", "--format=native")
    expected = load(folder)[1]
    for name in ("hdf5", "native", "copy"):
        assert_same_params(load(tmp_path / name)[1], expected)


def test_the_words_of_a_softmax_go_with_it(tmp_path):
    convert("mini", "-o", tmp_path / "hdf5")
    convert(tmp_path / "hdf5", "-o", tmp_path / "half", "--dtype", "float16")
    words = (pretrained.fetch("mini") / "vocab.txt").read_bytes()
    assert (tmp_path / "hdf5" / "vocab.txt").read_bytes() == words
    assert (tmp_path / "half" / "vocab.txt").read_bytes() == words
    assert_same_params(load(tmp_path / "half")[1], load("mini")[1])


def test_remarks_survive_between_native_folders(folder, tmp_path):
    save(tmp_path / "native", *load(folder), metadata={"origin": "a test"})
    convert(tmp_path / "native", "-o", tmp_path / "copy", "--format", "native")
    assert read_metadata(tmp_path / "copy") == {"origin": "a test"}


def test_an_old_model_is_replaced_only_on_demand(folder, make_model, tmp_path):
    out = tmp_path / "out"
    convert(make_model(seed=5, name="other")[0], "-o", out)
    before = files_of(out)
    _, err = convert(folder, "-o", out, code=1)
    assert err == (
        f"python -m convert: error: {out} exists already. Choose another name, "
        "or replace it: --overwrite.\n"
    )
    assert files_of(out) == before
    convert(folder, "-o", out, "--overwrite")
    assert_same_params(load(out)[1], load(folder)[1])


def test_an_error_is_one_line(folder, make_model, tmp_path):
    other, _ = make_model(name="other", dim=12)
    files = "--options-file", other / "options.json", "--weight-file", folder / "weights.hdf5"
    out, err = convert(*files, "-o", tmp_path / "x", code=1)
    assert out == "" and err.count("\n") == 1
    assert err.startswith(
        f"python -m convert: error: {folder / 'weights.hdf5'} does not fit "
        f"{other / 'options.json'} (12 problems): RNN_0/"
    )
    assert "Traceback" not in err
    assert not (tmp_path / "x").exists()


def test_an_unknown_model_is_an_error(tmp_path):
    _, err = convert("no-such-model", "-o", tmp_path / "x", code=1)
    assert err.startswith("python -m convert: error: There is no model 'no-such-model': ")
    _, err = convert("no-such-model", "-o", tmp_path / "x", "--debug", code=1)
    assert "Traceback" in err and "ElmoError: There is no model 'no-such-model'" in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["one"],
        ["1", "2", "-o", "3"],
        ["1", "-o", "2", "--format", "3"],
        ["-o", "b", "--no"],
    ],
)
def test_wrong_usage_has_its_own_exit_code(arguments):
    out, err = convert(*arguments, code=2)
    assert out == "" and err.startswith("usage: python -m convert ")


def test_the_installed_command_is_the_same(folder, tmp_path):
    command = [sys.executable, "-c", "from elmo_jax.cli import main; raise SystemExit(main())"]
    arguments = ["convert", str(folder), "-o", str(tmp_path / "native"), "--json"]
    result = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["format"] == "native"
    assert_same_params(load(tmp_path / "native")[1], load(folder)[1])
