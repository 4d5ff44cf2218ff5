"""What can be wrong with a native folder: one error says all of it."""

import json

import numpy as np
import pytest
from checkpoint_files import edit_config, message_of
from safetensors.numpy import load_file, save_file

from elmo_jax import load, save


@pytest.fixture
def native(make_model, tmp_path):
    save(tmp_path / "native", *load(make_model()[0]))
    return tmp_path / "native"


def edit_tensors(folder, changes):
    """Replace tensors; None deletes one."""
    path = folder / "model.safetensors"
    tensors = {n: a for n, a in load_file(path).items() if changes.get(n, a) is not None}
    save_file(tensors | {n: a for n, a in changes.items() if a is not None}, path)


# config.json


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"format": ', " is not JSON: Expecting value: line 1 column 12 (char 11)."),
        (b"[]", ": expected a JSON object, got list."),
        (
            b'{"model_type": "bert"}',
            ": expected format 'elmo-jax' version 1 or 2, got None version None.",
        ),
        (
            b'{"format": "elmo-jax", "version": 3, "config": {}}',
            ": expected format 'elmo-jax' version 1 or 2, got 'elmo-jax' version 3.",
        ),
        (
            b'{"format": "elmo-jax", "version": 1}',
            ": expected an object 'config', got NoneType.",
        ),
    ],
)
def test_a_config_json_that_cannot_be_used_is_named(native, content, message):
    (native / "config.json").write_bytes(content)
    assert message_of(load, native) == f"{native / 'config.json'}{message}"


def test_missing_and_unexpected_fields_are_named_at_once(native):
    def change(content):
        del content["config"]["n_layers"], content["config"]["filters"]
        content["config"]["color"] = "red"

    edit_config(native, change)
    assert message_of(load, native) == (
        f"{native / 'config.json'}: its 'config' does not describe an ELMo: filters is missing; "
        "n_layers is missing; color is unexpected."
    )


def test_a_value_that_cannot_be_is_named(native):
    edit_config(native, lambda content: content["config"].update(cell_dim=5))
    assert message_of(load, native) == (
        f"{native / 'config.json'}: This ELMo configuration cannot be built: "
        "cell_dim 5 is smaller than projection_dim 6"
    )


# model.safetensors


def test_all_that_is_wrong_with_the_tensors_is_reported_at_once(native):
    edit_tensors(
        native,
        {
            "forward.layers_0.bias": None,
            "char_encoder.projection.kernel": np.zeros((16, 6), np.float32),
            "optimizer.step": np.zeros(1, np.float32),
            "forward.layers_1": np.zeros(1, np.float32),
        },
    )
    assert message_of(load, native) == (
        f"{native / 'model.safetensors'} does not fit the configuration (4 problems): "
        "char_encoder.projection.kernel is (16, 6), expected (6, 16); "
        "forward.layers_0.bias is missing, expected (40,); "
        "forward.layers_1 is unexpected; optimizer.step is unexpected"
    )


def test_nan_and_infinite_values_are_named(native):
    edit_tensors(
        native,
        {
            "forward.layers_0.bias": np.full(40, np.nan, np.float32),
            "backward.layers_1.bias": np.full(40, -np.inf, np.float16),
        },
    )
    assert message_of(load, native, verify=False) == (
        f"{native / 'model.safetensors'} has NaN or infinite values in "
        "backward.layers_1.bias, forward.layers_0.bias."
    )


def test_integers_are_refused(native):
    edit_tensors(native, {"forward.layers_0.bias": np.zeros(40, np.int8)})
    assert message_of(load, native) == (
        f"{native / 'model.safetensors'}: expected floating-point tensors, got "
        "forward.layers_0.bias (I8)."
    )


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, -1])
def test_a_truncated_file_is_reported(native, kept):
    path = native / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else kept])
    message = message_of(load, native)
    assert message.startswith(f"Cannot read {path}: ")
    assert message.endswith(". The file is damaged or incomplete; copy it again.")


def test_a_tensor_of_an_unknown_type_is_reported(native):
    """A header that announces what this NumPy has no dtype for."""
    path = native / "model.safetensors"
    header = json.dumps({"a": {"dtype": "Q7", "shape": [1], "data_offsets": [0, 1]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0")
    assert message_of(load, native).startswith(f"Cannot read {path}: ")
