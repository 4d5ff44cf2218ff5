"""What can be wrong with a model's files: one error says all of it."""

import h5py
import numpy as np
import pytest
from checkpoint_files import assert_same_params, edit_datasets, message_of, read_datasets

from elmo_jax import load
from elmo_jax.errors import counted

CELL = "RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell"
EDITED = "the file was edited or written by another tool, or its training went wrong."
AGAIN = "copy or download it again"


@pytest.fixture
def folder(make_model):
    """Published shape: filters 4 + 4 + 8, P 6, H 10."""
    return make_model()[0]


def misfit(folder, problems, cause=EDITED):
    """The whole message about a weight file with these problems."""
    return (
        f"{folder / 'weights.hdf5'} does not fit {folder / 'options.json'} "
        f"({counted(len(problems), 'problem')}):" + "".join(f"\n  {p}" for p in problems) + "\n"
        f"Likely cause: {cause}"
    )


# Datasets


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("char_embed", None, "missing, expected shape (261, 4)"),
        ("CNN/b_cnn_2", None, "missing, expected shape (8,)"),
        (f"{CELL}/W_P_0", None, "missing, expected shape (10, 6)"),
        ("CNN/b_cnn_0", np.zeros(5, np.float32), "shape (5,), expected (4,)"),
        (
            "CNN_proj/W_proj",
            np.zeros((6, 16), np.float32),
            "shape (6, 16), expected (16, 6)",
        ),
        ("CNN_proj/b_proj", np.zeros((6, 1), np.float32), "shape (6, 1), expected (6,)"),
        ("CNN_proj/b_proj", np.float32(3), "shape (), expected (6,)"),
        ("CNN_proj/b_proj", h5py.Empty("f4"), "shape None, expected (6,)"),
        ("CNN_proj/b_proj", np.zeros(6, np.int32), "dtype int32, expected float32"),
        ("CNN_proj/b_proj", np.zeros(6, bool), "dtype bool, expected float32"),
        ("CNN_proj/b_proj", np.zeros(6, complex), "dtype complex128, expected float32"),
        (
            "CNN_proj/b_proj",
            np.array([0, np.nan, np.inf, 1, -np.inf, 2], np.float32),
            "3 of 6 values are NaN or infinite",
        ),
        ("CNN_proj/b_proj", np.full(6, 1e300), "6 of 6 values are NaN or infinite"),
        ("softmax/W", np.zeros((9, 7), np.float32), "shape (9, 7), expected (None, 6)"),
    ],
)
def test_a_dataset_with_a_problem_is_named(folder, name, array, problem):
    edit_datasets(folder / "weights.hdf5", {name: array})
    assert message_of(load, folder) == misfit(folder, [f"{name}: {problem}"])


def test_an_unexpected_dataset_is_named(folder):
    edit_datasets(folder / "weights.hdf5", {"optimizer/step": np.float32(3), "x": h5py.Empty("f4")})
    problems = ["optimizer/step: unexpected, shape ()", "x: unexpected, shape ()"]
    assert message_of(load, folder) == misfit(folder, problems)


def test_all_problems_are_reported_in_one_error(folder):
    edit_datasets(
        folder / "weights.hdf5",
        {
            "char_embed": np.zeros((262, 4), np.float32),
            "CNN/W_cnn_1": np.full((1, 2, 4, 4), np.nan, np.float32),
            f"{CELL}/B": None,
            f"{CELL}/W_0": np.zeros((12, 40), np.int64),
            "global_step": np.float32(1),
        },
    )
    assert message_of(load, folder) == misfit(
        folder,
        [
            "char_embed: shape (262, 4), expected (261, 4)",
            "CNN/W_cnn_1: 32 of 32 values are NaN or infinite",
            f"{CELL}/W_0: dtype int64, expected float32",
            f"{CELL}/B: missing, expected shape (40,)",
            "global_step: unexpected, shape ()",
        ],
    )


@pytest.mark.parametrize(
    ("choices", "difference"),
    [
        ({"dim": 12}, "cell_dim 12 (the options say 10)"),
        ({"projection_dim": 8}, "projection_dim 8 (the options say 6)"),
        ({"n_layers": 1}, "n_layers 1 (the options say 2)"),
        ({"n_layers": 3}, "n_layers 3 (the options say 2)"),
        ({"n_highway": 2}, "n_highway 2 (the options say 1)"),
        ({"n_highway": 0}, "n_highway 0 (the options say 1)"),
        ({"char_embedding_dim": 5}, "char_embedding_dim 5 (the options say 4)"),
        (
            {"filters": ((1, 4), (2, 12))},
            "filters ((1, 4), (2, 12)) (the options say ((1, 4), (2, 4), (3, 8)))",
        ),
    ],
)
def test_options_of_another_model_are_the_likely_cause(folder, make_model, choices, difference):
    other, _ = make_model(name="other", **choices)
    weights = other / "weights.hdf5"
    message = message_of(load, options_file=folder / "options.json", weight_file=weights)
    assert message.startswith(f"{weights} does not fit {folder / 'options.json'} (")
    assert message.endswith(
        "\nLikely cause: options and weights belong to different models; the weights were made "
        f"with {difference}."
    )


def test_another_kind_of_hdf5_file_is_the_likely_cause(folder):
    (folder / "weights.hdf5").unlink()
    with h5py.File(folder / "weights.hdf5", "w") as file:
        file["0"] = np.zeros((3, 5, 12), np.float32)
    message = message_of(load, folder)
    assert "\n  char_embed: missing, expected shape (261, 4)\n" in message
    assert "\n  0: unexpected, shape (3, 5, 12)\n" in message
    assert message.endswith(
        "Likely cause: this is not an ELMo weight file; none of its datasets has an ELMo's name."
    )


# Names


def test_the_only_layer_may_have_the_name_that_bilm_tf_gives_it_in_a_dump(make_model):
    folder, oracle = make_model(n_layers=1)
    expected = load(folder)[1]
    changes = {}
    for name, array in oracle.weights.items():
        if "/MultiRNNCell/Cell0/" in name:
            changes |= {name: None, name.replace("/MultiRNNCell/Cell0/", "/"): array}
    edit_datasets(folder / "weights.hdf5", changes)
    assert f"{CELL}/B" not in read_datasets(folder / "weights.hdf5")
    assert_same_params(load(folder)[1], expected)


# Bytes


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (
            b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
            "it is not an HDF5 file: it starts with b'<!DOCTYPE html><html><bo'",
        ),
        (b"", f"the file is empty; {AGAIN}"),
    ],
)
def test_the_error_for_another_kind_of_file_quotes_its_beginning(folder, content, cause):
    weights = folder / "weights.hdf5"
    weights.write_bytes(content)
    message = message_of(load, folder)
    assert message.startswith(f"Cannot read the weight file {weights}: {cause}. [HDF5: ")


@pytest.mark.parametrize("kept", [8, 40, 96, 700, 0.5, 0.999, -1])
def test_a_truncated_file_is_reported(folder, kept):
    weights = folder / "weights.hdf5"
    content = weights.read_bytes()
    weights.write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else kept])
    how = "damaged" if kept in (8, 40) else "truncated"
    assert message_of(load, folder).startswith(
        f"Cannot read the weight file {weights}: the file is {how}; {AGAIN}. [HDF5: "
    )


def test_wrong_bytes_end_in_an_error_or_in_other_numbers(folder, make_model):
    """Nothing but an ElmoError comes out, wherever the file is damaged."""
    weights = folder / "weights.hdf5"
    content, messages = weights.read_bytes(), set()
    for position in [*range(0, 2048, 16), *range(2048, len(content), 499)]:
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        weights.write_bytes(damaged)
        try:
            load(folder)
        except ValueError as error:
            assert type(error).__name__ == "ElmoError", error
            assert str(weights) in str(error)
            messages.add(str(error).split("Likely cause: ")[-1].split(": ")[-1])
    assert len(messages) > 5


def test_a_damaged_compressed_dataset_is_named_among_the_other_problems(folder):
    weights, name = folder / "weights.hdf5", "CNN_proj/W_proj"
    edit_datasets(weights, {name: None, "CNN_proj/b_proj": None})
    with h5py.File(weights, "r+") as file:
        array = np.arange(96, dtype=np.float32).reshape(16, 6)
        file.create_dataset(name, data=array, compression="gzip", chunks=(16, 6))
        chunk = file[name].id.get_chunk_info(0)
    content = bytearray(weights.read_bytes())
    start, end = chunk.byte_offset, chunk.byte_offset + chunk.size
    content[start:end] = bytes(byte ^ 0xFF for byte in content[start:end])
    weights.write_bytes(content)
    message = message_of(load, folder)
    assert " (2 problems):\n  CNN_proj/W_proj: unreadable (" in message
    assert "\n  CNN_proj/b_proj: missing, expected shape (6,)\n" in message
    assert message.endswith("\nLikely cause: the file is damaged; copy or download it again.")


def test_compressed_datasets_are_read(folder, make_model):
    weights = folder / "weights.hdf5"
    expected = make_model()[1].weights["CNN_proj/W_proj"]
    edit_datasets(weights, {"CNN_proj/W_proj": None})
    with h5py.File(weights, "r+") as file:
        file.create_dataset("CNN_proj/W_proj", data=expected, compression="gzip", chunks=(5, 5))
    _, params = load(folder)
    np.testing.assert_array_equal(params["char_encoder"]["projection"]["kernel"].T, expected)


# options.json


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"<html>oh dear</html>",
            " is not JSON: Expecting value: line 1 column 1 (char 0). It starts with "
            "b'<html>oh dear</html>'. Expected the options.json that came with the weights.",
        ),
        (b"[1, 2]", ": expected a JSON object, got list."),
        (
            b'{"lstm": {"dim": 10, "projection_dim": 6}}',
            " does not describe a character-based ELMo: char_cnn.filters is missing; "
            "char_cnn.embedding.dim is missing; char_cnn.activation is missing; "
            "char_cnn.max_characters_per_token is missing. "
            "Expected the options.json that came with the weights.",
        ),
    ],
)
def test_options_that_cannot_be_used_are_named(folder, content, message):
    (folder / "options.json").write_bytes(content)
    assert message_of(load, folder) == f"{folder / 'options.json'}{message}"


def test_options_of_another_encoding_are_reported(folder):
    (folder / "options.json").write_bytes(b'{"lstm": "\xe9"}')
    path = folder / "options.json"
    assert message_of(load, folder).startswith(f"{path} is not JSON: 'utf-8' codec can't decode")


def test_options_with_a_byte_order_mark_are_read(folder):
    content = (folder / "options.json").read_bytes()
    expected = load(folder)[0]
    (folder / "options.json").write_bytes(b"\xef\xbb\xbf" + content)
    assert load(folder)[0] == expected
