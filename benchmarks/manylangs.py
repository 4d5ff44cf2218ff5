"""Random models in the shape of ELMoForManyLangs, in its own format.

elmo-jax reads that format and does not write it, so the peer of that name does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elmo_jax import ElmoConfig, pretrained
from elmo_jax.json_text import to_json

from .peers.environments import HERE, implementation, interpreter, run_command

PEER = "elmoformanylangs"

SHAPES = {"manylangs": "original", "manylangs-tiny": "tiny"}
"""Shapes -> the presets with the same LSTMs and filters. The first is that of all published models;
the second is for trying things out."""

WRITER = HERE / "workers" / "elmoformanylangs_model.py"
_CONFIGURATION = "configuration.json"


def write_random_model(folder: Path, shape: str) -> None:
    """Write a model that knows the words and the characters of the vocabulary of "mini".

    Raises:
        ElmoError: if the peer is not installed.
    """
    python = interpreter(implementation(PEER))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "config.json": {"config_path": _CONFIGURATION},  # the command line of the training
        _CONFIGURATION: configuration(ElmoConfig.preset(SHAPES[shape])),
    }.items():
        (folder / name).write_text(to_json(content), "utf-8")
    vocabulary = pretrained.fetch(pretrained.BUNDLED) / "vocab.txt"
    run_command([str(python), "-P", str(WRITER), str(folder), str(vocabulary)])


def configuration(preset: ElmoConfig) -> dict[str, Any]:
    """The configuration of ELMoForManyLangs, with sizes from a preset and its own where it has."""
    return {
        "encoder": {
            "name": "elmo",
            "projection_dim": preset.projection_dim,
            "dim": preset.cell_dim,
            "n_layers": preset.n_layers,
            "cell_clip": preset.cell_clip,
            "proj_clip": preset.proj_clip,
        },
        "token_embedder": {
            "name": "cnn",
            "activation": preset.activation,
            "filters": preset.filters,
            "n_highway": preset.n_highway,
            "max_characters_per_token": preset.max_characters_per_token,
            "word_dim": 100,
            "char_dim": 50,
        },
        "classifier": {"name": "softmax"},  # for training, and not saved
        "dropout": 0.1,
    }
