"""Models on disk: nothing is lost between the formats, and a failed save leaves no trace."""

import json

import h5py
import ml_dtypes
import numpy as np
import pytest
from checkpoint_files import (
    assert_same_arrays,
    assert_same_params,
    edit_datasets,
    files_of,
    message_of,
    read_datasets,
)
from random_models import VARIANTS
from safetensors.numpy import load_file

from elmo_jax import ElmoConfig, load, save
from elmo_jax.checkpoint import read_metadata, saving
from elmo_jax.model.parameters import datasets, flatten, unflatten


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def folder(request, make_model):
    return make_model(**request.param)[0]


def add_heads(folder, n_words=7):
    """Add the datasets that a file may have besides the biLM."""
    rng, width = np.random.default_rng(1), load(folder)[0].projection_dim
    shapes = {"embedding": (n_words, width), "softmax/W": (n_words, width), "softmax/b": (n_words,)}
    heads = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    edit_datasets(folder / "weights.hdf5", heads)
    return heads


# Nothing is lost


def test_hdf5_to_params_to_hdf5_keeps_every_bit(folder, tmp_path):
    save(tmp_path / "again", *load(folder), format="hdf5")
    again = tmp_path / "again" / "weights.hdf5"
    assert_same_arrays(read_datasets(again), read_datasets(folder / "weights.hdf5"))
    assert load(tmp_path / "again")[0] == load(folder)[0]


def test_the_native_format_keeps_every_bit_on_the_way_there_and_back(folder, tmp_path):
    config, params = load(folder)
    save(tmp_path / "native", config, params)
    native_config, native_params = load(tmp_path / "native")
    assert native_config == config
    assert_same_params(native_params, params)
    save(tmp_path / "again", native_config, native_params, format="hdf5")
    again = tmp_path / "again" / "weights.hdf5"
    assert_same_arrays(read_datasets(again), read_datasets(folder / "weights.hdf5"))


@pytest.mark.parametrize("through", ["hdf5", "native"])
def test_the_file_of_the_original_keeps_every_bit(bilm_tf, tmp_path, through):
    original = bilm_tf / "lm_weights.hdf5"
    model = load(options_file=bilm_tf / "options.json", weight_file=original)
    save(tmp_path / "first", *model, format=through)
    save(tmp_path / "second", *load(tmp_path / "first"), format="hdf5")
    assert_same_arrays(read_datasets(tmp_path / "second" / "weights.hdf5"), read_datasets(original))
    options = json.loads((tmp_path / "second" / "options.json").read_text(encoding="utf-8"))
    assert options == json.loads((bilm_tf / "options.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("through", ["hdf5", "native"])
@pytest.mark.parametrize("present", [["embedding"], ["softmax/W", "softmax/b"], None])
def test_the_optional_datasets_survive(make_model, tmp_path, through, present):
    folder, _ = make_model()
    heads = add_heads(folder)
    edit_datasets(folder / "weights.hdf5", dict.fromkeys(heads.keys() - set(present or heads)))
    save(tmp_path / "first", *load(folder), format=through)
    save(tmp_path / "second", *load(tmp_path / "first"), format="hdf5")
    again = read_datasets(tmp_path / "second" / "weights.hdf5")
    assert set(heads) & set(again) == set(present or heads)
    assert_same_arrays(again, read_datasets(folder / "weights.hdf5"))


def test_a_word_vector_table_may_have_any_length(make_model):
    folder, _ = make_model()
    heads = add_heads(folder, n_words=12)
    _, params = load(folder)
    assert_same_arrays(
        {"embedding": params["word_embedding"]["embedding"], **params["softmax"]},
        {
            "embedding": heads["embedding"],
            "kernel": heads["softmax/W"],
            "bias": heads["softmax/b"],
        },
    )


# What is written


def test_a_weight_file_is_plain_float32_without_attributes(folder, tmp_path):
    save(tmp_path / "again", *load(folder), format="hdf5")
    seen = []
    with h5py.File(tmp_path / "again" / "weights.hdf5") as file:

        def visit(name, item):
            assert not item.attrs.keys(), name
            if isinstance(item, h5py.Dataset):
                seen.append(name)
                assert item.dtype == np.dtype("<f4"), name
                assert item.id.get_create_plist().get_layout() == h5py.h5d.CONTIGUOUS, name

        assert not file.attrs.keys()
        file.visititems(visit)
    assert "char_embed" in seen and "RNN_1/RNN/MultiRNNCell/Cell0/LSTMCell/W_0" in seen


def test_a_native_folder_holds_the_params_under_their_paths(make_model, tmp_path):
    config, params = load(make_model()[0])
    save(tmp_path / "native", config, params, metadata={"origin": "ein Märchen"})
    assert sorted(files_of(tmp_path / "native")) == ["config.json", "model.safetensors"]
    tensors = load_file(tmp_path / "native" / "model.safetensors")
    assert_same_arrays(tensors, {".".join(path): a for path, a in flatten(params).items()})
    content = json.loads((tmp_path / "native" / "config.json").read_text(encoding="utf-8"))
    assert (content["format"], content["version"]) == ("elmo-jax", 2)
    assert content["config"]["projection_dim"] == 6
    assert read_metadata(tmp_path / "native") == {"origin": "ein Märchen"}


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_a_native_folder_of_another_precision_is_read_as_float32(make_model, tmp_path, dtype):
    config, params = load(make_model()[0])
    other = unflatten({path: leaf.astype(dtype) for path, leaf in flatten(params).items()})
    save(tmp_path / "native", config, other)
    stored = load_file(tmp_path / "native" / "model.safetensors")
    assert {array.dtype for array in stored.values()} == {np.dtype(dtype)}
    expected = {path: leaf.astype(np.float32) for path, leaf in flatten(other).items()}
    assert_same_params(load(tmp_path / "native")[1], unflatten(expected))


def test_a_native_folder_can_be_written_in_float16(make_model, tmp_path):
    config, params = load(make_model()[0])
    save(tmp_path / "half", config, params, dtype="float16")
    rounded = {path: a.astype(np.float16).astype(np.float32) for path, a in flatten(params).items()}
    assert_same_params(load(tmp_path / "half")[1], unflatten(rounded))


def test_what_float16_cannot_hold_is_refused_and_nothing_is_written(make_model, tmp_path):
    config, params = load(make_model()[0])
    params["char_encoder"]["char_embedding"][3, 1] = -1e5
    message = message_of(save, tmp_path / "half", config, params, dtype="float16")
    assert (
        message == "char_encoder.char_embedding has numbers up to 1e+05; float16 ends at 6.55e+04."
    )
    message = message_of(save, tmp_path / "hdf5", config, params, "hdf5", dtype="float16")
    assert message == (
        "Cannot write 'float16' numbers in the format 'hdf5': expected float32. "
        "format='native' can hold float16."
    )
    assert not (tmp_path / "half").exists() and not (tmp_path / "hdf5").exists()


@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4"])
def test_a_weight_file_of_another_float_is_read_as_float32(make_model, dtype):
    folder, model = make_model()
    edit_datasets(
        folder / "weights.hdf5", {name: a.astype(dtype) for name, a in model.weights.items()}
    )
    _, params = load(folder)
    rounded = model.weights["char_embed"].astype(dtype).astype(np.float32)
    assert_same_arrays(
        {"char_embed": params["char_encoder"]["char_embedding"]}, {"char_embed": rounded}
    )
    assert {leaf.dtype for leaf in flatten(params).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("format", ["native", "hdf5"])
def test_folders_need_not_be_ascii_nor_exist(make_model, tmp_path, format):
    model = load(make_model(name="модель")[0])
    path = tmp_path / "élmo" / "モデル 🙂"
    save(str(path), *model, format=format)
    assert_same_params(load(str(path))[1], model[1])


# Saving


@pytest.fixture
def model(make_model):
    return load(make_model()[0])


@pytest.mark.parametrize("format", ["native", "hdf5"])
def test_a_folder_with_files_is_refused(model, tmp_path, format):
    path = tmp_path / "out"
    path.mkdir()
    (path / "notes.txt").write_text("mine", encoding="utf-8")
    assert message_of(save, path, *model, format=format) == (
        f"{path} exists already. Choose another name, or replace it: overwrite=True."
    )
    assert files_of(path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize("format", ["native", "hdf5"])
def test_overwriting_replaces_the_model_and_keeps_other_files(model, make_model, tmp_path, format):
    path, (config, params) = tmp_path / "out", load(make_model(seed=9, name="new", n_layers=1)[0])
    save(path, *model, format=format)
    (path / "notes.txt").write_text("mine", encoding="utf-8")
    save(path, config, params, format=format, overwrite=True)
    assert load(path)[0] == config
    assert_same_params(load(path)[1], params)
    assert (path / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert len(files_of(path)) == 3


@pytest.mark.parametrize(
    ("format", "other", "file"),
    [("native", "hdf5", "options.json"), ("hdf5", "native", "config.json")],
)
def test_two_models_in_one_folder_are_refused(model, tmp_path, format, other, file):
    path = tmp_path / "out"
    save(path, *model, format=other)
    before = files_of(path)
    assert message_of(save, path, *model, format=format, overwrite=True) == (
        f"{path} holds a model in the other format ({file}). Choose another folder."
    )
    assert files_of(path) == before


@pytest.mark.parametrize("format", ["native", "hdf5"])
def test_an_empty_folder_is_filled(model, tmp_path, format):
    (tmp_path / "out").mkdir()
    save(tmp_path / "out", *model, format=format)
    assert_same_params(load(tmp_path / "out")[1], model[1])


@pytest.mark.parametrize(
    ("format", "writer"), [("native", "write_native"), ("hdf5", "write_weights")]
)
def test_a_failure_in_the_middle_leaves_nothing_behind(
    model, tmp_path, monkeypatch, format, writer
):
    save(tmp_path / "old", *model, format=format)
    before = files_of(tmp_path)
    real = getattr(saving, writer)

    def write_and_fail(*args):
        real(*args)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, writer, write_and_fail)
    for name in ("new", "old"):
        assert message_of(save, tmp_path / name, *model, format=format, overwrite=True) == (
            f"Cannot write the folder {tmp_path / name}: [Errno 28] No space left on device"
        )
    assert files_of(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "old"]


def test_an_unknown_format_is_refused(model, tmp_path):
    assert message_of(save, tmp_path / "out", *model, format="torch") == (
        "Unknown format 'torch': expected one of native, hdf5."
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["native", "hdf5"])
def test_params_that_do_not_fit_are_refused(model, tmp_path, format):
    config, params = model
    del params["backward"]["layers_1"]["bias"]
    params["forward"]["layers_0"]["bias"] = np.zeros(41, np.float32)
    assert message_of(save, tmp_path / "out", config, params, format=format) == (
        "params does not fit the configuration (2 problems): "
        "forward.layers_0.bias is (41,), expected (40,); "
        "backward.layers_1.bias is missing, expected (40,)"
    )
    assert not (tmp_path / "out").exists()


def test_the_smallest_published_model_has_its_published_size(tmp_path):
    config = ElmoConfig.preset("small")
    flat = {}
    for dataset in datasets(config):
        if not dataset.optional:
            flat |= dataset.to_params(np.zeros(dataset.shape, np.float32))
    save(tmp_path / "small", config, unflatten(flat), format="hdf5")
    size = (tmp_path / "small" / "weights.hdf5").stat().st_size
    # HDF5 versions lay out the names of groups and datasets a little differently.
    assert abs(size - 54_402_456) < 4096
