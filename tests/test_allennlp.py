"""AllenNLP's models: the vectors that it computed, and archives with one thing changed."""

import io
import json
import tarfile

import numpy as np
import pytest
from checkpoint_files import message_of
from random_models import VARIANTS, random_model, write_model
from torch_files import storage, stream, tensor, zipped

from elmo_jax import Elmo, ElmoConfig, load
from elmo_jax.checkpoint.sources import open_source
from elmo_jax.model.parameters import check_params, flatten

# Against float64: rounding in float32, through two LSTM layers.
LAYER_TOLERANCE = 2e-6
# The same, multiplied with a matrix whose rows have norms of about 2.
ALIGNED_TOLERANCE = 1e-5
# One rounding of a number of order 1: the forget gate's bias has a 1 more.
BIAS_TOLERANCE = 2.4e-7

EMBEDDER = "text_field_embedder.token_embedder_elmo"
ELMO = f"{EMBEDDER}._elmo._elmo_lstm."
UNTOLD = ("activation", "cell_clip", "proj_clip")

BASE = "https://allennlp.s3.amazonaws.com/models/elmo"
SMALL = "2x1024_128_2048cnn_1xhighway/elmo_2x1024_128_2048cnn_1xhighway_options.json"


# The vectors


@pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")
@pytest.mark.parametrize("form", ["archive", "folder of a training"])
@pytest.mark.parametrize("name", ["tagger-0.9", "tagger-2.10"])
def test_vectors_are_those_of_allennlp(foreign, tmp_path, name, form):
    folder = foreign / "allennlp-archive" / name
    source = folder / "model.tar.gz"
    if form != "archive":
        with tarfile.open(source) as archive:
            archive.extractall(tmp_path, filter="data")
        source = tmp_path
        (source / "weights.th").rename(source / "best.th")
    elmo, golden = Elmo(source), np.load(folder / "golden.npz")
    sentences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))
    results = zip(elmo.embed(sentences), elmo.embed(sentences, "mix"), strict=True)
    for number, (layers, mix) in enumerate(results):
        assert np.abs(layers - golden[f"float64_s{number}"]).max() < LAYER_TOLERANCE
        assert np.abs(mix - golden[f"float64_mix{number}"]).max() < LAYER_TOLERANCE


@pytest.mark.parametrize("language", ["en", "es", "de"])
def test_aligned_vectors_are_those_of_allennlp(foreign, language):
    folder = foreign / "aligned"
    elmo = Elmo(folder / "model.tar.gz", options={"prefix": f"elmo_{language}"})
    sentences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))
    golden = np.load(folder / "golden.npz")
    results = zip(elmo.embed(sentences), elmo.embed(sentences, "mix"), strict=True)
    for number, (layers, mix) in enumerate(results):
        expected = golden[f"float64_{language}_s{number}"]
        assert np.abs(layers[[0, 2]] - expected[[0, 2]]).max() < LAYER_TOLERANCE
        expected = golden[f"float64_{language}_aligned{number}"]
        assert np.abs(layers[1] - expected).max() < ALIGNED_TOLERANCE
        assert np.abs(mix - expected).max() < ALIGNED_TOLERANCE


def test_the_weights_from_before_the_training_are_not_read(foreign):
    """The HDF5 file in the archive would fit, too."""
    path = foreign / "allennlp-archive" / "tagger-0.9" / "model.tar.gz"
    opened = open_source(path)
    assert opened.format == "AllenNLP archive" and opened.assumed == ()
    file = "fta/model.text_field_embedder.elmo.options_file"
    assert opened.remarks == {
        "prefix": ELMO.rstrip("."),
        "options_from": f"{path}:{file}",
        "other_tensors": 10,
    }


# Models made by hand


def elmo_tensors(options, weights, prefix=ELMO):
    """A model of the published format as torch modules hold it."""
    rng = np.random.default_rng(1)
    n_filters = sum(n for _, n in options["char_cnn"]["filters"])
    n_out, n_cell = options["lstm"]["projection_dim"], options["lstm"]["dim"]
    # Published files lack a projection to the same size; AllenNLP always has it.
    kernel = weights.get("CNN_proj/W_proj", rng.normal(size=(n_filters, n_out)))
    bias = weights.get("CNN_proj/b_proj", rng.normal(size=n_out))
    table = weights["char_embed"]
    tensors = {
        "_token_embedder._char_embedding_weights": np.vstack([np.zeros_like(table[:1]), table]),
        "_token_embedder._projection.weight": kernel.T,
        "_token_embedder._projection.bias": bias,
    }
    for i in range(len(options["char_cnn"]["filters"])):
        name = f"_token_embedder.char_conv_{i}"
        tensors[f"{name}.weight"] = weights[f"CNN/W_cnn_{i}"][0].transpose(2, 1, 0)
        tensors[f"{name}.bias"] = weights[f"CNN/b_cnn_{i}"]
    for k in range(options["char_cnn"].get("n_highway", 0)):
        name, high = f"_token_embedder._highways._layers.{k}", f"CNN_high_{k}"
        matrices = weights[f"{high}/W_transform"].T, -weights[f"{high}/W_carry"].T
        tensors[f"{name}.weight"] = np.vstack(matrices)
        biases = weights[f"{high}/b_transform"], -weights[f"{high}/b_carry"]
        tensors[f"{name}.bias"] = np.concatenate(biases)
    for number, direction in enumerate(("forward", "backward")):
        for layer in range(options["lstm"]["n_layers"]):
            cell = f"RNN_{number}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            name = f"_elmo_lstm.{direction}_layer_{layer}"
            i, j, f, o = np.split(weights[f"{cell}/W_0"].T, 4)
            joint = np.vstack([i, f, j, o])
            tensors[f"{name}.input_linearity.weight"] = joint[:, :n_out]
            tensors[f"{name}.state_linearity.weight"] = joint[:, n_out:]
            i, j, f, o = np.split(weights[f"{cell}/B"], 4)
            tensors[f"{name}.state_linearity.bias"] = np.concatenate([i, f + 1, j, o])
            projection = weights.get(f"{cell}/W_P_0", rng.normal(size=(n_cell, n_out)))
            tensors[f"{name}.state_projection.weight"] = projection.T
    return {prefix + name: array.astype(np.float32) for name, array in tensors.items()}


def mix_tensors(weights, gamma, number=0, prefix=f"{EMBEDDER}._elmo."):
    names = [f"scalar_parameters.{layer}" for layer in range(len(weights))]
    values = dict(zip([*names, "gamma"], [*weights, gamma], strict=True))
    start = f"{prefix}scalar_mix_{number}."
    return {start + name: np.array([value], np.float32) for name, value in values.items()}


def state_dict(tensors, container=stream):
    value, storages = {}, {}
    for number, (name, array) in enumerate(tensors.items()):
        key, strides = f"{number:04}", np.cumprod((1, *array.shape[:0:-1]))[::-1]
        kind = {"f2": "Half", "f4": "Float", "f8": "Double", "i8": "Long"}[array.dtype.str[1:]]
        shape, strides = tuple(array.shape), tuple(map(int, strides[: array.ndim]))
        value[name] = tensor(storage(key, array.size, kind), 0, shape, strides)
        storages[key] = np.ascontiguousarray(array)
    return container(value, storages)


@pytest.fixture
def model():
    """Options and weights of the published format."""
    return random_model(0)


@pytest.fixture
def archive(tmp_path):
    """Write a model.tar.gz; `config` is its config.json, `files` are further files."""

    def archive(tensors, config=None, files=None, container=stream):
        path, contents = tmp_path / "model.tar.gz", {"weights.th": state_dict(tensors, container)}
        for name, content in {"config.json": config or {}, **(files or {})}.items():
            contents[name] = json.dumps(content).encode()
        with tarfile.open(path, "w:gz") as tar:
            for name, content in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        return path

    return archive


def described(**settings):
    """A config.json with the settings of an ELMo."""
    embedder = {"type": "elmo_token_embedder", **settings}
    return {"model": {"text_field_embedder": {"token_embedders": {"elmo": embedder}}}}


SHAPES = {name: VARIANTS[name] for name in VARIANTS if "clips" not in name and name != "no skips"}


@pytest.mark.parametrize("choices", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("container", [stream, zipped])
def test_parameters_are_those_of_the_published_format(archive, tmp_path, choices, container):
    options, weights = random_model(0, **choices)
    write_model(tmp_path / "published", options, weights)
    published, expected = load(tmp_path / "published")
    opened = open_source(archive(elmo_tensors(options, weights), container=container))
    check_params(opened.config, opened.params)
    for name in ("filters", "char_embedding_dim", "projection_dim", "cell_dim", "n_layers"):
        assert getattr(opened.config, name) == getattr(published, name)
    forced = "no token projection", "no LSTM projection"
    assert opened.config.forced_projections == (choices in [VARIANTS[name] for name in forced])
    params = flatten(opened.params)
    for path, array in flatten(expected).items():
        tolerance = BIAS_TOLERANCE if path[-1] == "bias" and path[1].startswith("layers") else 0
        np.testing.assert_allclose(params[path], array, rtol=0, atol=tolerance)
    beyond = {path[-1] for path in params.keys() - flatten(expected).keys()}
    assert beyond == ({"kernel", "bias"} if choices == VARIANTS[forced[0]] else set()) | (
        {"projection_kernel"} if choices == VARIANTS[forced[1]] else set()
    )


def test_half_precision_is_widened(archive, model):
    tensors = {name: array.astype(np.float16) for name, array in elmo_tensors(*model).items()}
    params = flatten(load(archive(tensors))[1])
    assert {array.dtype for array in params.values()} == {np.dtype(np.float32)}


# Which ELMo


@pytest.mark.parametrize(
    "prefix", ["", "_elmo_lstm.", "_elmo._elmo_lstm.", "encoder.bilm.", "{0.real}}.bilm.", "%d."]
)
def test_an_elmo_may_be_anywhere_in_a_model(archive, model, prefix):
    mixes = (
        {} if not prefix.endswith("_elmo_lstm.") else {"prefix": prefix.removesuffix("_elmo_lstm.")}
    )
    tensors = elmo_tensors(*model, prefix) | {"_projection.weight": np.zeros((3, 12), np.float32)}
    if mixes:
        tensors |= mix_tensors([1, 2, 3], 0.5, 0, **mixes) | mix_tensors([0, 0, 9], 2, 1, **mixes)
    config, params = load(archive(tensors))
    check_params(config, params)
    assert params.get("scalar_mixes", {}).keys() == ({"0", "1"} if mixes else set())
    if mixes:
        assert params["scalar_mixes"]["1"]["weights"].tolist() == [0, 0, 9]
        assert params["scalar_mixes"]["1"]["gamma"] == 2
    assert "output_projection" not in params, "it is the task's own"


def several(model, names):
    tensors = {}
    for number, name in enumerate(names):
        prefix = f"{EMBEDDER}.{name}._elmo_lstm."
        table = f"{prefix}_token_embedder._char_embedding_weights"
        tensors |= elmo_tensors(*model, prefix)
        tensors[table] = tensors[table] + number
    return tensors


@pytest.mark.parametrize(
    ("prefix", "number"),
    [
        ("elmo_en", 0),
        ("elmo_de", 1),
        ("de", 1),
        ("en_us", 2),
        ("_us", 2),
        (f"{EMBEDDER}.elmo_en", 0),
    ],
)
def test_one_elmo_of_several_is_chosen_by_its_name(archive, model, prefix, number):
    path = archive(several(model, ["elmo_en", "elmo_de", "elmo_en_us"]))
    expected = model[1]["char_embed"] + np.float32(number)
    assert (
        load(path, options={"prefix": prefix})[1]["char_encoder"]["char_embedding"] == expected
    ).all()


def test_several_elmos_are_listed(archive, model):
    path = archive(several(model, ["elmo_en", "elmo_de"]))
    listed = (
        f" It has:\n  {EMBEDDER}.elmo_en._elmo_lstm\n  {EMBEDDER}.elmo_de._elmo_lstm\nChoose one "
        "by a part of its name: options={'prefix': 'elmo_en'}."
    )
    assert message_of(load, path) == f"{path}:weights.th has 2 ELMos, expected one.{listed}"
    assert message_of(load, path, options={"prefix": "fr"}) == (
        f"{path}:weights.th has no ELMos with 'fr' in the name, expected one.{listed}"
    )
    assert "has 2 ELMos with 'elmo' in the name" in message_of(
        load, path, options={"prefix": "elmo"}
    )


ENCODER = {"encoder._module.weight_ih_l0": np.zeros((4, 4), np.float32)}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "_contextualizer._forward_transformer.layers.0.weight",
            "has no ELMo but a Transformer language model, which is another network; it cannot be "
            "opened.",
        ),
        (
            "_lm._contextualizer._module.weight_ih_l0",
            "has no ELMo but a language model that AllenNLP trained itself, which is another "
            "network; it cannot be opened.",
        ),
        (
            "tagger.weight",
            "has no ELMo: expected a tensor with a name that ends in "
            "_token_embedder._char_embedding_weights; found tagger.weight, "
            "encoder._module.weight_ih_l0.",
        ),
    ],
)
def test_other_networks_are_refused_by_name(archive, name, message):
    path = archive({name: np.zeros((2, 2), np.float32), **ENCODER})
    assert message_of(load, path) == f"{path}:weights.th {message}"


def test_a_file_that_is_no_state_dict_is_named(archive, model):
    path = archive({})
    assert message_of(load, path).startswith(f"{path}:weights.th has no ELMo: ")
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("weights.th"))
    assert message_of(load, path).startswith(f"Cannot read {path}:weights.th: the file is empty")


# Problems with the tensors


def test_all_problems_are_reported_at_once(archive, model):
    tensors = elmo_tensors(*model) | mix_tensors([1, 2, 3], 1)
    lstm = f"{ELMO}_elmo_lstm."
    del tensors[f"{lstm}backward_layer_1.state_projection.weight"]
    tensors[f"{lstm}forward_layer_0.state_linearity.bias"] = np.full(40, np.nan, np.float32)
    tensors[f"{lstm}backward_layer_2.input_linearity.weight"] = np.zeros((40, 6), np.float32)
    tensors[f"{ELMO}_token_embedder.char_conv_0.bias"] = np.zeros(4, np.int64)
    tensors[f"{ELMO}_token_embedder._projection.weight"] = np.zeros((6, 7), np.float32)
    tensors[f"{EMBEDDER}._elmo.scalar_mix_0.scalar_parameters.3"] = np.zeros(1, np.float32)
    path = archive(tensors)
    assert message_of(load, path).splitlines() == [
        f"{path}:weights.th is no whole ELMo (6 problems):",
        f"  {ELMO}_token_embedder.char_conv_0.bias: dtype int64, expected float32",
        f"  {ELMO}_token_embedder._projection.weight: shape (6, 7), expected (6, 16)",
        f"  {lstm}forward_layer_0.state_linearity.bias: 40 of 40 values are NaN or infinite",
        f"  {lstm}backward_layer_1.state_projection.weight: missing, expected shape (6, 10)",
        f"  {lstm}backward_layer_2.input_linearity.weight: unexpected, shape (40, 6)",
        f"  {EMBEDDER}._elmo.scalar_mix_0.scalar_parameters.3: unexpected, shape (1,)",
    ]


@pytest.mark.parametrize(
    "name", [f"{ELMO}_token_embedder._char_embedding_weights", f"{EMBEDDER}._projection.weight"]
)
def test_a_number_is_not_a_matrix(archive, model, name):
    tensors = elmo_tensors(*model) | {f"{EMBEDDER}._projection.bias": np.zeros(1, np.float32)}
    tensors[name] = np.float32(1)
    message = message_of(load, archive(tensors))
    assert f"{name}: shape (), expected (" in message or "char_embedding_dim is 0" in message


def test_an_elmo_without_its_lstms_is_reported(archive, model):
    tensors = {n: a for n, a in elmo_tensors(*model).items() if "_layer_" not in n}
    path = archive(tensors)
    assert message_of(load, path) == (
        f"{path}:weights.th has no LSTM of an ELMo: expected a matrix "
        f"{ELMO}_elmo_lstm.forward_layer_0.input_linearity.weight."
    )


# What the task has added


def test_an_output_projection_follows_the_mix(archive, model):
    kernel = np.arange(36, dtype=np.float32).reshape(3, 12)
    name, bias = f"{EMBEDDER}._projection", np.ones(3, np.float32)
    tensors = {f"{name}.weight": kernel, f"{name}.bias": bias}
    _, params = load(archive(elmo_tensors(*model) | tensors | mix_tensors([1, 2, 3], 1)))
    assert np.array_equal(params["output_projection"]["kernel"], kernel)
    assert np.array_equal(params["output_projection"]["bias"], bias)


def test_vectors_of_a_vocabulary_are_left_out(archive, model):
    words = {f"{ELMO}_word_embedding.weight": np.zeros((9, 6), np.float32)}
    opened = open_source(archive(elmo_tensors(*model) | words))
    assert opened.remarks["left_out"] == [
        "_word_embedding.weight, vectors of a vocabulary: words are spelled instead"
    ]


@pytest.mark.parametrize("in_list", [False, True])
def test_a_mix_that_normalizes_layers_is_left_out(archive, model, in_list):
    tensors = elmo_tensors(*model) | mix_tensors([1, 2, 3], 1)
    config = described(do_layer_norm=True)
    if in_list:  # another embedder's settings are not this one's
        config["model"]["text_field_embedder"]["token_embedders"]["other"] = {
            "options_file": "o.json",
            "do_layer_norm": False,
        }
    opened = open_source(archive(tensors, config))
    assert "scalar_mixes" not in opened.params and opened.config.n_layers == 2
    assert opened.remarks["left_out"] == [
        "the scalar mix and what follows it, because it normalizes layers (do_layer_norm)"
    ]
    config["model"]["text_field_embedder"]["token_embedders"]["elmo"]["do_layer_norm"] = False
    assert "scalar_mixes" in load(archive(tensors, config))[1]


LAYER_1 = [-9e10, 1, -9e10]


@pytest.mark.parametrize(
    ("weights", "layers"),
    [(LAYER_1, [1]), ([0, 0, 0], [0, 1, 2]), (None, [1]), ([0, 3, -9e10], [0, 1])],
)
def test_an_alignment_is_that_of_the_layers_in_the_mix(archive, model, weights, layers):
    """AllenNLP maps the mix; to map each of its layers is the same."""
    tensors = several(model, ["elmo_en", "elmo_de"])
    matrix = np.random.default_rng(0).normal(size=(12, 12)).astype(np.float32)
    tensors |= {f"{EMBEDDER}.aligning_de.weight": matrix}
    if weights:
        tensors |= mix_tensors(weights, 2, prefix=f"{EMBEDDER}.elmo_de.")
    path = archive(tensors)
    config, params = load(path, options={"prefix": "de"})
    check_params(config, params)
    assert params["alignment"].keys() == {f"layer_{layer}" for layer in layers}
    assert all(np.array_equal(aligned, matrix) for aligned in params["alignment"].values())
    assert "alignment" not in load(path, options={"prefix": "en"})[1]


def test_a_language_that_stays_as_it_is_has_no_alignment(archive, model):
    tensors = several(model, ["elmo_en"]) | mix_tensors(LAYER_1, 1, prefix=f"{EMBEDDER}.elmo_en.")
    tensors[f"{EMBEDDER}.aligning_en.weight"] = np.eye(12, dtype=np.float32)
    assert "alignment" not in load(archive(tensors))[1]


# What tells activation and clips


def told(opened):
    return tuple(getattr(opened.config, name) for name in UNTOLD)


def with_clips(options, cell_clip, proj_clip, activation="tanh"):
    changed = json.loads(json.dumps(options))
    changed["lstm"] |= {"cell_clip": cell_clip, "proj_clip": proj_clip}
    changed["char_cnn"]["activation"] = activation
    return changed


KEY = "fta/model.text_field_embedder.elmo.options_file"


def test_without_options_the_usual_ones_are_assumed_and_told(archive, model):
    path = archive(elmo_tensors(*model))
    opened = open_source(path)
    assert opened.assumed == UNTOLD and told(opened) == ("relu", 3.0, 3.0)
    assert opened.config.max_characters_per_token == 50 and opened.config.use_skip_connections
    opened = open_source(path, options={"lstm": {"cell_clip": 5, "proj_clip": None}})
    assert opened.assumed == ("activation",) and told(opened) == ("relu", 5, None)


def test_options_of_the_archive_are_taken(archive, model):
    options = with_clips(model[0], 1.5, 0)
    options["char_cnn"]["max_characters_per_token"] = 20  # AllenNLP spells to 50 all the same
    path = archive(elmo_tensors(*model), files={KEY: options})
    opened = open_source(path)
    assert opened.assumed == () and told(opened) == ("tanh", 1.5, None)
    assert opened.config.max_characters_per_token == 50
    assert opened.remarks["options_from"] == f"{path}:{KEY}"


def test_options_of_another_elmo_in_the_archive_are_not_taken(archive, model):
    other = with_clips(random_model(1, dim=12)[0], 9, 9)
    name = "fta/model.{}.options_file"
    alone = archive(elmo_tensors(*model), files={name.format("other"): other})
    assert open_source(alone).assumed == UNTOLD
    files = {name.format("a"): with_clips(model[0], 1, 1), name.format("b"): other}
    assert told(open_source(archive(elmo_tensors(*model), files=files))) == ("tanh", 1, 1)
    files[name.format("b")] = with_clips(model[0], 2, 2)  # it may be either
    assert open_source(archive(elmo_tensors(*model), files=files)).assumed == UNTOLD
    files[KEY] = with_clips(model[0], 4, 4)  # this one has its name
    assert told(open_source(archive(elmo_tensors(*model), files=files))) == ("tanh", 4, 4)


def test_each_language_has_options_of_its_own(archive, model):
    start = "fta/model.text_field_embedder.token_embedders.elmo.options_files"
    clips = {"en": 1, "de": 2}
    files = {f"{start}.{key}": with_clips(model[0], clip, clip) for key, clip in clips.items()}
    path = archive(several(model, ["elmo_en", "elmo_de"]), files=files)
    for key, clip in clips.items():
        assert told(open_source(path, options={"prefix": key})) == ("tanh", clip, clip)


def test_options_json_beside_the_weights_is_taken(archive, model, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "best.th").write_bytes(state_dict(elmo_tensors(*model)))
    beside = tmp_path / "run" / "options.json"
    beside.write_text(json.dumps(with_clips(model[0], 1.5, None)))
    assert told(open_source(tmp_path / "run")) == ("tanh", 1.5, None)
    beside.write_text(json.dumps(random_model(0, dim=12, projection_dim=8)[0]))
    assert message_of(load, tmp_path / "run") == (
        f"{beside} is not that of the weights, which have projection_dim 6, cell_dim 10. Replace "
        "it, or remove it."
    )


@pytest.mark.parametrize(
    ("settings", "is_published"),
    [
        ({"options_file": f"{BASE}/{SMALL}"}, True),
        ({"options_file": rf"C:\elmo\{SMALL.rpartition('/')[2]}"}, True),
        ({"options_file": "/home/somebody/options.json"}, False),
        ({"options_file": None}, False),
        ({}, True),  # AllenNLP's default
        (
            {"type": "elmo_token_embedder_multilang", "options_files": {"en": f"{BASE}/{SMALL}"}},
            True,
        ),
    ],
)
def test_a_published_model_that_is_named_tells_the_options(
    archive, model, monkeypatch, settings, is_published
):
    published = ElmoConfig.from_options(model[0])
    monkeypatch.setattr(ElmoConfig, "preset", lambda _: published)
    path = archive(several(model, ["elmo_en"]), described(**settings))
    opened = open_source(path)
    assert opened.assumed == (() if is_published else UNTOLD)
    assert ("options_from" in opened.remarks) == is_published


def test_a_published_model_of_another_size_tells_nothing(archive, model):
    path = archive(elmo_tensors(*model), described(options_file=f"{BASE}/{SMALL}"))
    assert open_source(path).assumed == UNTOLD


def test_a_config_that_is_not_json_is_reported(archive, model, tmp_path):
    (tmp_path / "config.json").write_text("{")
    (tmp_path / "weights.th").write_bytes(state_dict(elmo_tensors(*model)))
    assert message_of(load, tmp_path).startswith(f"{tmp_path / 'config.json'} is not JSON: ")
