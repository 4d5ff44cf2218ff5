"""Models of every shape that the published format allows, with random weights."""

import json
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import oracle
from torch_files import state_dict

from elmo_jax import ElmoConfig
from elmo_jax.model.parameters import datasets, unflatten

ABSENT = "absent"  # leave the key out of options.json, where None writes null

VARIANTS = {
    "published shape": {},
    "no skips": {"use_skip_connections": False},
    "one layer": {"n_layers": 1},
    "four layers": {"n_layers": 4},
    "tight clips": {"cell_clip": 0.5, "proj_clip": 0.5},
    "null clips": {"cell_clip": None, "proj_clip": None},
    "no clips": {"cell_clip": ABSENT, "proj_clip": ABSENT},
    "no token projection": {"filters": [[1, 2], [3, 4]], "projection_dim": 6},
    "no LSTM projection": {"dim": 6, "projection_dim": 6},
    "no highway": {"n_highway": ABSENT},
    "three highways": {"n_highway": 3},
    "tanh": {"activation": "tanh"},
    "short words": {"max_characters_per_token": 8, "n_characters": 261},
}


def random_model(
    seed,
    *,
    filters=((1, 4), (2, 4), (3, 8)),
    char_embedding_dim=4,
    n_highway=1,
    activation="relu",
    projection_dim=6,
    dim=10,
    n_layers=2,
    use_skip_connections=True,
    cell_clip=3.0,
    proj_clip=3.0,
    max_characters_per_token=50,
    n_characters=262,
):
    """Make (options, float32 weights) of any shape in the published format.

    The token projection is absent when the filters sum to `projection_dim`, the LSTM's when
    `dim` equals it. `cell_clip`, `proj_clip`, `n_highway`: a number, None (null) or ABSENT.
    Every fourth cell and every eighth projected unit is driven hard, so that clips of 0.5 to 3
    hold some values, while nothing grows without bound where they are absent.
    """
    rng = np.random.default_rng(seed)
    options = {
        "char_cnn": {
            "activation": activation,
            "embedding": {"dim": char_embedding_dim},
            "filters": [list(f) for f in filters],
            "max_characters_per_token": max_characters_per_token,
            "n_characters": n_characters,
            "n_highway": n_highway,
        },
        "lstm": {
            "cell_clip": cell_clip,
            "dim": dim,
            "n_layers": n_layers,
            "proj_clip": proj_clip,
            "projection_dim": projection_dim,
            "use_skip_connections": use_skip_connections,
        },
    }
    for part in options.values():
        for key in [key for key, value in part.items() if value == ABSENT]:
            del part[key]

    def normal(*shape, scale, mean=0.0):
        return rng.normal(mean, scale, shape)

    weights = {"char_embed": rng.uniform(-1, 1, (261, char_embedding_dim))}
    for i, (span, n) in enumerate(filters):
        fan_in = span * char_embedding_dim
        weights[f"CNN/W_cnn_{i}"] = normal(1, span, char_embedding_dim, n, scale=fan_in**-0.5)
        weights[f"CNN/b_cnn_{i}"] = normal(n, mean=-0.5, scale=0.5)  # relu at rest for some
    n_filters = sum(n for _, n in filters)
    for k in range(options["char_cnn"].get("n_highway") or 0):
        for part, bias in (("carry", -1.0), ("transform", 0.0)):
            shape = (n_filters, n_filters)
            weights[f"CNN_high_{k}/W_{part}"] = normal(*shape, scale=n_filters**-0.5)
            weights[f"CNN_high_{k}/b_{part}"] = normal(n_filters, mean=bias, scale=0.5)
    if n_filters != projection_dim:
        weights["CNN_proj/W_proj"] = normal(n_filters, projection_dim, scale=n_filters**-0.5)
        weights["CNN_proj/b_proj"] = normal(projection_dim, scale=0.1)
    for d in range(2):
        for k in range(n_layers):
            name = f"RNN_{d}/RNN/MultiRNNCell/Cell{k}/LSTMCell/"
            shape = (2 * projection_dim, 4 * dim)
            weights[name + "W_0"] = normal(*shape, scale=0.5 * projection_dim**-0.5)
            bias_4H = normal(4, dim, scale=0.5)
            # Every fourth cell adds up, with a forget gate near 1 and a steady candidate; every
            # eighth output sums those cells to beyond 3.
            signs = rng.choice([-1.0, 1.0], len(range(0, dim, 4)))
            bias_4H[1, ::4] += 2.0 * signs
            bias_4H[2, ::4] += 2.0
            weights[name + "B"] = bias_4H.ravel()
            if dim != projection_dim:
                columns = normal(dim, projection_dim, scale=dim**-0.5)
                columns[::4, ::8] = 7.0 * signs[:, None] / len(signs)
                weights[name + "W_P_0"] = columns
    return options, {name: value.astype(np.float32) for name, value in weights.items()}


def random_lexicon_model(
    seed,
    *,
    word_dim=5,
    char_dim=4,
    filters=((1, 4), (2, 4), (3, 8)),
    n_highway=1,
    activation="relu",
    projection_dim=6,
    dim=10,
    n_layers=2,
    cell_clip=3,
    proj_clip=3,
    max_characters_per_token=50,
):
    """Make (options, float32 tensors, words, characters) as ELMoForManyLangs has them.

    Without `word_dim` or `char_dim`, the model has no vectors of words, or reads no characters.
    The projections are there whatever the sizes.
    """
    options = {
        "encoder": {
            "name": "elmo",
            "projection_dim": projection_dim,
            "cell_clip": cell_clip,
            "proj_clip": proj_clip,
            "dim": dim,
            "n_layers": n_layers,
        },
        "token_embedder": {
            "name": "cnn",
            "activation": activation,
            "filters": [list(f) for f in filters],
            "n_highway": n_highway,
            "word_dim": word_dim,
            "char_dim": char_dim,
            "max_characters_per_token": max_characters_per_token,
        },
    }
    words = ["<oov>", "<bos>", "<eos>", "<pad>", "the", "bank", "of", "The", "を", "."]
    characters = [*"Thebankofriv.を水🙂", "<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
    rng, tensors = np.random.default_rng(seed), {}

    def add(name, *shape, scale=None, bias=True):
        tensors[f"{name}.weight"] = rng.normal(0, scale or shape[-1] ** -0.5, shape)
        if bias:
            tensors[f"{name}.bias"] = rng.normal(0, 0.5, shape[0])

    n_inputs = word_dim
    if word_dim:
        add("word_emb_layer.embedding", len(words), word_dim, scale=1, bias=False)
    if char_dim:
        add("char_emb_layer.embedding", len(characters), char_dim, scale=1, bias=False)
        for i, (span, n) in enumerate(filters):
            add(f"convolutions.{i}", n, char_dim, span, scale=(span * char_dim) ** -0.5)
        n_filters = sum(n for _, n in filters)
        for k in range(n_highway):
            add(f"highways._layers.{k}", 2 * n_filters, n_filters)
        n_inputs += n_filters
    add("projection", projection_dim, n_inputs)
    for direction in ("forward", "backward"):
        for layer in range(n_layers):
            name = f"{direction}_layer_{layer}"
            add(f"{name}.input_linearity", 4 * dim, projection_dim, bias=False)
            add(f"{name}.state_linearity", 4 * dim, projection_dim)
            # Large enough that the clips hold some values.
            add(f"{name}.state_projection", projection_dim, dim, scale=2, bias=False)
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    return options, tensors, words, characters


def write_model(folder, options, weights):
    """Write options.json and weights.hdf5 (float32, contiguous) into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
    with h5py.File(folder / "weights.hdf5", "w") as file:
        for name, value in weights.items():
            file.create_dataset(name, data=np.asarray(value, np.float32))


def write_lexicon_model(
    folder, options, tensors, words, characters, *, softmax=None, configuration="cnn.json"
):
    """Write the files of ELMoForManyLangs into a folder.

    `softmax` has tensors for classifier.pkl. Without a `configuration`, its config.json names one
    on another machine.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    is_encoder = {name: "_layer_" in name and "emb_layer" not in name for name in tensors}
    for file, wanted in (("encoder.pkl", True), ("token_embedder.pkl", False)):
        part = {name: tensor for name, tensor in tensors.items() if is_encoder[name] is wanted}
        (folder / file).write_bytes(state_dict(part))
    if softmax is not None:
        (folder / "classifier.pkl").write_bytes(state_dict(softmax))
    for file, lexicon in (("word.dic", words), ("char.dic", characters)):
        lines = "".join(f"{token}\t{row}\n" for row, token in enumerate(lexicon))
        (folder / file).write_text(lines, encoding="utf-8")
    path = configuration or "/Users/somebody/configs/cnn_50_100_512_4096_sample.json"
    (folder / "config.json").write_text(json.dumps({"seed": 1, "config_path": path}))
    if configuration is not None:
        (folder / configuration).parent.mkdir(exist_ok=True)
        (folder / configuration).write_text(json.dumps(options), encoding="utf-8")


class RandomElmo(NamedTuple):
    """One model as the library takes it and as the oracle does."""

    config: ElmoConfig
    params: dict
    oracle: oracle.Oracle


def random_elmo(seed, **choices):
    """Make a random model, ready to run, without a file in between."""
    options, weights = random_model(seed, **choices)
    config, flat = ElmoConfig.from_options(options), {}
    for dataset in datasets(config):
        if not dataset.optional:
            flat |= dataset.to_params(weights[dataset.name])
    return RandomElmo(config, unflatten(flat), oracle.Oracle(options, weights))
