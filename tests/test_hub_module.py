"""Modules of TF-Hub: what they tell, what is assumed, and what they leave over."""

import json
import shutil

import numpy as np
import pytest
from checkpoint_files import assert_same_params, message_of
from random_models import VARIANTS, random_model, write_model
from tensor_bundles import accept_every_checksum, flip, variables_of, write_bundle

from elmo_jax import Elmo, ElmoError, load
from elmo_jax.checkpoint import open_source
from elmo_jax.model.layers import select_layers

TOLERANCE = 2e-6
"""Between float32 of TensorFlow and of this library, for numbers up to 3."""

OF_THE_SHAPES = [
    "published shape",
    "one layer",
    "four layers",
    "no token projection",
    "no LSTM projection",
    "no highway",
    "three highways",
]
"""Variants of models that differ from the usual one only in what the shapes tell."""

ASSUMED = {
    "char_cnn.activation": "relu",
    "char_cnn.max_characters_per_token": 50,
    "lstm.cell_clip": 3.0,
    "lstm.proj_clip": 3.0,
    "lstm.use_skip_connections": True,
}

# Unlike that of a new module, this mix tells whether weights and factor are confused.
WEIGHTS, GAMMA = np.array([0.5, -1.0, 2.0], np.float32), np.array([1.5], np.float32)
MIX = {"aggregation/elmo_output_ELMo_W": WEIGHTS, "aggregation/elmo_output_ELMo_gamma": GAMMA}


def module_variables(weights, padded=True):
    """The variables of a module, with states; the characters may have a row for padding."""
    variables = variables_of(weights, "bilm")
    if padded:
        padding = np.zeros((1, weights["char_embed"].shape[1]), np.float32)
        variables["bilm/char_embed"] = np.concatenate([padding, weights["char_embed"]])
    states = ["bilm/Variable", "bilm/Variable_1", "bilm_1/Variable", "bilm_1/Variable_11"]
    return variables | {name: np.zeros((4, 6), np.float32) for name in states}


def write_module(folder, variables):
    write_bundle(folder / "variables" / "variables", variables)
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return folder


@pytest.fixture
def module(tmp_path):
    return write_module(tmp_path / "module", module_variables(random_model(1)[1]))


# What is read


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("variant", OF_THE_SHAPES)
def test_a_module_is_the_model_that_its_hdf5_file_is(tmp_path, variant, padded):
    options, weights = random_model(3, **VARIANTS[variant])
    write_model(tmp_path / "hdf5", options, weights)
    write_module(tmp_path / "module", module_variables(weights, padded))
    expected_config, expected = load(tmp_path / "hdf5")
    opened = open_source(tmp_path / "module")
    assert opened.config == expected_config
    assert_same_params(opened.params, expected)
    assert (opened.format, opened.assumed_options) == ("TF-Hub module", ASSUMED)
    assert opened.remarks == {}, "states are no variables of interest"


@pytest.mark.parametrize(
    ("options", "fields", "still_assumed"),
    [
        (
            {"char_cnn": {"activation": "tanh", "max_characters_per_token": 20}},
            {"activation": "tanh", "max_characters_per_token": 20},
            ("cell_clip", "proj_clip", "use_skip_connections"),
        ),
        (
            {"lstm": {"cell_clip": None, "proj_clip": 1.0, "use_skip_connections": False}},
            {"cell_clip": None, "proj_clip": 1.0, "use_skip_connections": False},
            ("activation", "max_characters_per_token"),
        ),
    ],
)
def test_what_the_user_says_is_not_assumed(module, options, fields, still_assumed):
    opened = open_source(module, options=options)
    assert {name: getattr(opened.config, name) for name in fields} == fields
    assert opened.assumed == still_assumed


@pytest.mark.parametrize(
    "names",
    [tuple(MIX), ("aggregation/weights", "aggregation/scaling")],
    ids=["DeepPavlov", "Google"],
)
@pytest.mark.parametrize("shape", [(1,), ()])
def test_the_mix_of_layers_comes_along(tmp_path, names, shape):
    variables = dict(zip(names, (WEIGHTS, GAMMA.reshape(shape)), strict=True))
    write_module(tmp_path / "m", module_variables(random_model(1)[1]) | variables)
    opened = open_source(tmp_path / "m")
    (mix,) = opened.params["scalar_mixes"].values()
    np.testing.assert_array_equal(mix["weights"], WEIGHTS)
    assert (mix["gamma"].shape, mix["gamma"]) == ((), GAMMA[0])
    assert opened.remarks == {}


def test_the_mix_is_that_of_bilm_tf(tmp_path):
    """It adds 1 / L to every weight before the softmax, which changes nothing."""
    write_module(tmp_path / "m", module_variables(random_model(1)[1]) | MIX)
    config, params = load(tmp_path / "m")
    _, factors_L = select_layers("mix", config, params=params)
    shares_L = np.exp(WEIGHTS.astype(float) + 1 / 3)
    expected_L = GAMMA[0] * shares_L / shares_L.sum()
    np.testing.assert_allclose(factors_L, expected_L, rtol=0, atol=TOLERANCE)


def test_a_mix_of_another_number_of_layers_is_left_over(tmp_path):
    mix = MIX | {"aggregation/elmo_output_ELMo_W": np.zeros(5, np.float32)}
    write_module(tmp_path / "m", module_variables(random_model(1)[1]) | mix)
    opened = open_source(tmp_path / "m")
    assert "scalar_mixes" not in opened.params
    assert opened.remarks == {"left_over": sorted(mix)}


def test_variables_without_a_use_are_listed(tmp_path):
    more = {"bilm/other": np.zeros(2, np.float32), "task/kernel": np.zeros(2, np.float32)}
    write_module(tmp_path / "m", module_variables(random_model(1)[1]) | more)
    assert open_source(tmp_path / "m").remarks == {"left_over": ["bilm/other", "task/kernel"]}


# Where it lies


@pytest.mark.parametrize("format", ["zip", "tar", "gztar", "xztar"])
@pytest.mark.parametrize("below", ["", "module"])
def test_an_archive_of_a_module_is_opened(module, tmp_path, format, below):
    path = shutil.make_archive(str(tmp_path / "packed"), format, module.parent, below or None)
    assert_same_params(load(path)[1], load(module)[1])


def test_a_module_is_opened_by_its_variables(module):
    assert open_source(module / "variables" / "variables").format == "TF-Hub module"


# What is refused


def test_variables_that_do_not_fit_each_other_are_in_one_error(tmp_path):
    variables = module_variables(random_model(1)[1])
    del variables["bilm/CNN/b_cnn_1"]
    name = "bilm/RNN_1/RNN/MultiRNNCell/Cell0/rnn/lstm_cell/bias"
    variables[name] = np.zeros(7, np.float32)
    write_module(tmp_path / "m", variables)
    label = tmp_path / "m" / "variables" / "variables"
    assert message_of(load, tmp_path / "m") == (
        f"{label} does not fit the sizes of {label} (2 problems):"
        "\n  bilm/CNN/b_cnn_1: missing, expected shape (4,)"
        f"\n  {name}: shape (7,), expected (40,)"
        "\nLikely cause: the file was edited or written by another tool, or its training went "
        "wrong."
    )


def test_a_module_without_what_tells_the_sizes_is_refused(tmp_path):
    variables = {"bilm/char_embed": np.zeros((262, 4), np.float32)}
    variables["bilm/rnn_of_another_name/kernel"] = np.zeros((12, 40), np.float32)
    write_module(tmp_path / "m", variables)
    cell = "bilm/RNN_0/rnn/multi_rnn_cell/cell_0/lstm_cell"
    assert message_of(load, tmp_path / "m") == (
        f"{tmp_path / 'm' / 'variables' / 'variables'} lacks bilm/CNN/W_cnn_0, {cell}/kernel, "
        f"{cell}/bias, which would tell sizes of the model; found bilm/char_embed."
    )


def test_a_module_of_another_network_is_refused(tmp_path):
    write_module(tmp_path / "m", {"Embeddings/sharded_0": np.zeros((2, 2), np.float32)})
    assert message_of(load, tmp_path / "m") == (
        f"{tmp_path / 'm' / 'variables' / 'variables'} holds no biLM: expected variables "
        "bilm/..., found Embeddings/sharded_0."
    )


def test_a_mix_that_is_not_finite_is_refused(tmp_path):
    mix = MIX | {"aggregation/elmo_output_ELMo_gamma": np.array([np.nan], np.float32)}
    write_module(tmp_path / "m", module_variables(random_model(1)[1]) | mix)
    assert "has NaN or infinite values" in message_of(load, tmp_path / "m")


def test_wrong_bytes_end_in_an_error_or_in_another_model(module, monkeypatch):
    """Nothing but an ElmoError comes out, even if the checksums are right."""
    accept_every_checksum(monkeypatch)
    index, messages = module / "variables" / "variables.index", set()
    content = index.read_bytes()
    for position in range(0, len(content), 17):
        flip(index, position)
        try:
            load(module)
        except ElmoError as error:
            messages.add(str(error))
        index.write_bytes(content)
    assert len(messages) > 20


# What DeepPavlov made


@pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")
def test_vectors_are_those_of_the_module(foreign):
    folder = foreign / "tfhub" / "module-a"
    sentences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))
    elmo = Elmo(folder / "module")
    layers = elmo.embed(sentences)
    mixes, means = (
        elmo.embed(sentences, layers="mix"),
        elmo.embed_sentences(sentences, layers="mix"),
    )
    with np.load(folder / "golden.npz") as golden:
        for i in range(len(sentences)):
            halves = np.split(layers[i][0], 2, axis=1)
            actual = {
                "word_emb": halves[0],
                "lstm_outputs1": layers[i][1],
                "lstm_outputs2": layers[i][2],
                "elmo": mixes[i],
                "default": means[i],
            }
            np.testing.assert_array_equal(halves[0], halves[1])
            for output, array in actual.items():
                expected = golden[f"{output}{i}"]
                np.testing.assert_allclose(array, expected, rtol=0, atol=TOLERANCE, err_msg=output)


def test_a_module_of_deeppavlov_leaves_nothing_over(foreign):
    opened = open_source(foreign / "tfhub" / "module-a" / "module")
    assert opened.remarks == {}
    assert opened.assumed_options == ASSUMED
    packed = open_source(foreign / "tfhub" / "module-a" / "module.tar.gz")
    assert packed.config == opened.config
    assert_same_params(packed.params, opened.params)
