"""What this library writes opens in the tools that the format comes from.

The two readers below index the file and check shapes the way AllenNLP and bilm-tf do; neither
tool needs to be installed.
"""

import json

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from elmo_jax import BiLM, ElmoConfig, load, save

CONFIG = ElmoConfig(
    filters=((1, 4), (2, 3), (3, 5)), projection_dim=6, cell_dim=10, n_highway=2, n_layers=3
)


@pytest.fixture(scope="module")
def params():
    """Parameters that never were in a file."""
    ids = jnp.ones((1, CONFIG.max_characters_per_token), jnp.int32)
    shapes = jax.eval_shape(BiLM(CONFIG).init, jax.random.key(0), ids)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), shapes)


@pytest.fixture(scope="module", params=["hdf5", "native"])
def written(request, params, tmp_path_factory):
    """options.json and weights.hdf5, saved at once or converted from a native folder."""
    folder = tmp_path_factory.mktemp("written")
    save(folder / "first", CONFIG, params, format=request.param)
    save(folder / "second", *load(folder / "first"), format="hdf5")
    return folder / "second"


def read_like_allennlp(options_file, weight_file):
    """What AllenNLP (modules/elmo.py, elmo_lstm.py) copies into its PyTorch modules."""
    with open(options_file) as file:  # noqa: PTH123
        options = json.load(file)
    loaded = {}

    def copy(name, array, shape):
        assert array.shape == shape and array.dtype == np.float32, name
        loaded[name] = array

    cnn, lstm = options["char_cnn"], options["lstm"]
    filters, width = cnn["filters"], cnn["embedding"]["dim"]
    n_filters, hidden, cell = sum(f[1] for f in filters), lstm["projection_dim"], lstm["dim"]
    assert lstm["use_skip_connections"] and cnn["activation"] in ("tanh", "relu")
    assert cnn["max_characters_per_token"] == 50 and cnn["n_characters"] == 262
    for key in ("cell_clip", "proj_clip", "n_layers"):
        assert lstm[key] == 3
    with h5py.File(weight_file, "r") as fin:
        embedding = np.zeros((262, width), np.float32)
        embedding[1:, :] = fin["char_embed"][...]
        copy("embedding", embedding, (262, width))
        for i, (span, number) in enumerate(filters):
            weight = fin["CNN"][f"W_cnn_{i}"][...].squeeze(axis=0).transpose(2, 1, 0)
            copy(f"conv{i}.weight", weight, (number, width, span))
            copy(f"conv{i}.bias", fin["CNN"][f"b_cnn_{i}"][...], (number,))
        for k in range(cnn["n_highway"]):
            group = fin[f"CNN_high_{k}"]
            weights = [group["W_transform"][...].T, -1.0 * group["W_carry"][...].T]
            copy(f"highway{k}.weight", np.concatenate(weights), (2 * n_filters, n_filters))
            biases = [group["b_transform"][...], -1.0 * group["b_carry"][...]]
            copy(f"highway{k}.bias", np.concatenate(biases), (2 * n_filters,))
        copy("projection.weight", fin["CNN_proj"]["W_proj"][...].T, (hidden, n_filters))
        copy("projection.bias", fin["CNN_proj"]["b_proj"][...], (hidden,))
        for layer in range(lstm["n_layers"]):
            for direction in range(2):
                cells = fin[f"RNN_{direction}"]["RNN"]["MultiRNNCell"]
                group, name = cells[f"Cell{layer}"]["LSTMCell"], f"lstm{direction}.{layer}"
                i, j, f, o = np.split(group["W_0"][...].T, 4)  # TensorFlow's order of gates
                weight = np.concatenate([i, f, j, o])
                copy(f"{name}.input", weight[:, :hidden], (4 * cell, hidden))
                copy(f"{name}.state", weight[:, hidden:], (4 * cell, hidden))
                i, j, f, o = np.split(group["B"][...], 4)
                copy(f"{name}.bias", np.concatenate([i, f + 1, j, o]), (4 * cell,))
                copy(f"{name}.projection", group["W_P_0"][...].T, (hidden, cell))
    return loaded


def reordered(array):
    """Gates i, j, f, o -> i, f, j, o."""
    i, j, f, o = np.split(np.asarray(array), 4)
    return np.concatenate([i, f, j, o])


def test_allennlp_reads_the_parameters_where_it_expects_them(written, params):
    loaded = read_like_allennlp(written / "options.json", written / "weights.hdf5")
    encoder = params["char_encoder"]
    expected = {
        "embedding": np.pad(encoder["char_embedding"], ((1, 0), (0, 0))),
        "conv1.weight": np.asarray(encoder["convolutions_1"]["kernel"]).transpose(2, 1, 0),
        "conv2.bias": encoder["convolutions_2"]["bias"],
        "highway1.weight": np.concatenate(
            [
                encoder["highways_1"]["transform_kernel"],
                -encoder["highways_1"]["carry_kernel"],
            ]
        ),
        "projection.weight": encoder["projection"]["kernel"],
    }
    for number, direction in enumerate(["forward", "backward"]):
        for layer in range(3):
            cell, name = params[direction][f"layers_{layer}"], f"lstm{number}.{layer}"
            expected[f"{name}.input"] = reordered(cell["input_kernel"])
            expected[f"{name}.state"] = reordered(cell["recurrent_kernel"])
            bias = np.asarray(cell["bias"]).copy()
            bias[2 * CONFIG.cell_dim : 3 * CONFIG.cell_dim] += 1
            expected[f"{name}.bias"] = reordered(bias)
            expected[f"{name}.projection"] = cell["projection_kernel"]
    for name, array in expected.items():
        np.testing.assert_array_equal(loaded[name], array, err_msg=name)


def read_like_bilm_tf(options_file, weight_file):
    """What bilm-tf (bilm/model.py, _pretrained_initializer) gives its graph's variables."""
    with open(options_file) as file:  # noqa: PTH123
        options = json.load(file)
    cnn, lstm = options["char_cnn"], options["lstm"]
    assert cnn["n_characters"] == 262, "InvalidNumberOfCharacters"
    assert options.get("bidirectional", True) and lstm["cell_clip"] and lstm["proj_clip"]
    n_filters, width = sum(number for _, number in cnn["filters"]), cnn["embedding"]["dim"]
    hidden, cell = lstm["projection_dim"], lstm["dim"]
    variables = {"bilm/char_embed": (262, width)}
    for i, (span, number) in enumerate(cnn["filters"]):
        variables[f"bilm/CNN/W_cnn_{i}"] = (1, span, width, number)
        variables[f"bilm/CNN/b_cnn_{i}"] = (number,)
    for k in range(cnn["n_highway"]):
        for part in ("carry", "transform"):
            variables[f"bilm/CNN_high_{k}/W_{part}"] = (n_filters, n_filters)
            variables[f"bilm/CNN_high_{k}/b_{part}"] = (n_filters,)
    if n_filters != hidden:
        variables |= {"bilm/CNN_proj/W_proj": (n_filters, hidden)}
        variables |= {"bilm/CNN_proj/b_proj": (hidden,)}
    in_file = {}
    for direction in range(2):
        for layer in range(lstm["n_layers"]):
            root = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}"
            for variable, dataset, shape in [
                ("kernel", "W_0", (2 * hidden, 4 * cell)),
                ("bias", "B", (4 * cell,)),
                ("projection/kernel", "W_P_0", (cell, hidden)),
            ]:
                name = f"{root}/rnn/lstm_cell/{variable}"
                variables[f"bilm/{name}"] = shape
                in_file[name] = f"{root}/LSTMCell/{dataset}"
    loaded = {}
    with h5py.File(weight_file, "r") as fin:
        for variable, shape in variables.items():
            name = variable.removeprefix("bilm/")
            weights = fin[in_file.get(name, name)][...]
            if name == "char_embed":
                weights = np.concatenate([np.zeros((1, width), weights.dtype), weights])
            assert list(shape) == list(weights.shape), f"Invalid shape initializing {variable}"
            loaded[variable] = weights
    return loaded


def test_bilm_tf_reads_the_parameters_where_it_expects_them(written, params):
    loaded = read_like_bilm_tf(written / "options.json", written / "weights.hdf5")
    cell = params["backward"]["layers_2"]
    root = "bilm/RNN_1/RNN/MultiRNNCell/Cell2/rnn/lstm_cell"
    kernel = np.concatenate([cell["input_kernel"], cell["recurrent_kernel"]], axis=1).T
    np.testing.assert_array_equal(loaded[f"{root}/kernel"], kernel)
    np.testing.assert_array_equal(loaded[f"{root}/bias"], cell["bias"])
    np.testing.assert_array_equal(loaded[f"{root}/projection/kernel"], cell["projection_kernel"].T)
    carry = params["char_encoder"]["highways_0"]["carry_kernel"]
    np.testing.assert_array_equal(loaded["bilm/CNN_high_0/W_carry"], carry.T)
    with h5py.File(written / "weights.hdf5") as file:
        seen = []
        file.visititems(lambda name, item: seen.append(name) if hasattr(item, "shape") else None)
    assert len(seen) == len(loaded), "nothing is in the file that bilm-tf would not read"


def test_the_readers_read_the_file_of_the_original(bilm_tf, tmp_path):
    """They are the measure of the tests above, so they are measured too."""
    files = bilm_tf / "options.json", bilm_tf / "lm_weights.hdf5"
    original = read_like_bilm_tf(*files)
    save(tmp_path / "again", *load(options_file=files[0], weight_file=files[1]), format="hdf5")
    again = read_like_bilm_tf(tmp_path / "again/options.json", tmp_path / "again/weights.hdf5")
    for name, array in original.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)
