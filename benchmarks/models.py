"""The model to measure: a trained one, or random weights of a published shape.

Random weights take as long as trained ones if the numbers have the same size. If they are too
small, the processor meets denormal numbers, and any two outputs are equal within a tolerance; if
they are too large, gates saturate and every clip bites, which a peer without clips cannot compute.
So these are scaled to the size of a trained model's: on English text the layers of ``mini`` have
standard deviations of 0.5, 0.4 and 0.7; these weights, in the *original* shape, give 0.3, 0.3 and
0.4, and no clip bites.
"""

from __future__ import annotations

import dataclasses
import getpass
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

import elmo_jax
from elmo_jax import ElmoConfig, ElmoError, pretrained
from elmo_jax.model.bilm import init_params
from elmo_jax.model.config import preset_names
from elmo_jax.model.lstm import FORGET_BIAS, GATES

_VERSION = 3  # of the random weights; part of the name of the folder that caches them


@dataclasses.dataclass(frozen=True)
class Model:
    """A model as folders: in the published format, which every system reads, and in elmo-jax's."""

    name: str
    config: ElmoConfig
    hdf5: Path
    native: Path

    @property
    def published(self) -> dict[str, Path]:
        return {"options": self.hdf5 / "options.json", "weights": self.hdf5 / "weights.hdf5"}


def open_model(name: str) -> Model:
    """A preset with random weights, "mini", or the path of a model; written once into the cache."""
    path = pretrained.fetch(name) if name == pretrained.BUNDLED else Path(name)
    is_preset = name in preset_names()
    if not is_preset and not path.exists():
        raise ElmoError(
            f"There is no model {name!r}: expected one of the shapes {', '.join(preset_names())}, "
            f"{pretrained.BUNDLED}, or the path of a model."
        )
    mark = f"random-{_VERSION}" if is_preset else _mark(path)
    folder = cache_folder() / f"{path.name}-{mark}"
    if not (folder / "native").is_dir():
        preset = ElmoConfig.preset(name) if is_preset else None
        config, params = (preset, random_params(preset)) if preset else elmo_jax.load(path)
        # The native folder comes last: if it is there, both are complete.
        elmo_jax.save(folder / "hdf5", config, params, format="hdf5", overwrite=True)
        elmo_jax.save(folder / "native", config, params, overwrite=True)
    config, _ = elmo_jax.load(folder / "native")
    return Model(path.name, config, folder / "hdf5", folder / "native")


def cache_folder() -> Path:
    """``$ELMO_JAX_CACHE/benchmarks``, or a folder among the temporary files."""
    if own := os.environ.get("ELMO_JAX_CACHE"):
        return Path(own) / "benchmarks"
    return Path(tempfile.gettempdir()) / f"elmo-jax-benchmarks-{getpass.getuser()}"


def _mark(path: Path) -> str:
    """A digest that changes when the files change."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()[:12]


def random_params(config: ElmoConfig, seed: int = 0) -> dict[str, Any]:
    """Random parameters that give vectors of the size of a trained model's."""
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> np.ndarray:
        module, name = (key.key for key in path[-2:])
        in_lstm = module.startswith("layers_")
        if name == "char_embedding":
            return rng.uniform(-1, 1, leaf.shape).astype(np.float32)
        if leaf.ndim == 1:
            bias = np.full(leaf.shape, -2.0 if name == "carry_bias" else 0.0, np.float32)
            if in_lstm:  # cells that remember for long would pass the clip
                np.split(bias, len(GATES))[GATES.index("forget")][:] = -FORGET_BIAS
            return bias
        # Kernels are [out, in], those of convolutions [width, in, out].
        n_inputs = leaf.shape[1] if leaf.ndim == 2 else leaf.shape[0] * leaf.shape[1]
        if name == "projection_kernel":
            gain = 2.0
        elif in_lstm:
            n_inputs, gain = 2 * n_inputs, 1.2  # the input and the state
        else:
            gain = 0.5 if module == "projection" else 1.0
        normal = rng.standard_normal(leaf.shape, np.float32)
        return normal * np.float32(gain * n_inputs**-0.5)

    params: dict[str, Any] = jax.tree_util.tree_map_with_path(draw, init_params(config, seed))
    return params
