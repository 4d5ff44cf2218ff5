"""Models of every shape that the published format allows, with random weights."""

import json
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import oracle

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


def write_model(folder, options, weights):
    """Write options.json and weights.hdf5 (float32, contiguous) into a folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
    with h5py.File(folder / "weights.hdf5", "w") as file:
        for name, value in weights.items():
            file.create_dataset(name, data=np.asarray(value, np.float32))


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
