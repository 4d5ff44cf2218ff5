"""The model to measure: a trained one, or random weights of a published shape.

Random weights take as long as trained ones if the numbers have the same size. If they are too
small, the processor meets denormal numbers, and any two outputs are equal within a tolerance; if
they are too large, gates saturate and every clip bites, which a peer without clips cannot compute.
So these are scaled to the size of a trained model's: on English text the layers of ``mini`` have
standard deviations of 0.5, 0.4 and 0.7; these weights, in the *original* shape, give 0.3, 0.3 and
0.4, and no clip bites. The shape of ELMoForManyLangs has weights of its own (``manylangs.py``),
which give 0.6, 0.5 and 0.8.
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

from . import manylangs

_VERSION = 3  # of the random weights; part of the name of the folder that caches them


@dataclasses.dataclass(frozen=True)
class Model:
    """A model as files: as they are published, for every system that reads them, and elmo-jax's."""

    name: str
    config: ElmoConfig
    published: dict[str, Path]  # what a peer is asked to open
    native: Path

    @property
    def is_manylangs(self) -> bool:
        """Whether the published files are those of ELMoForManyLangs, else options and HDF5."""
        return self.config.token_layer == "lexicon"


def open_model(name: str) -> Model:
    """A shape with random weights, "mini", or the path of a model; written once into the cache."""
    path = pretrained.fetch(name) if name == pretrained.BUNDLED else Path(name)
    shapes = *preset_names(), *manylangs.SHAPES
    if name not in shapes and not path.exists():
        raise ElmoError(
            f"There is no model {name!r}: expected one of the shapes {', '.join(shapes)}, "
            f"{pretrained.BUNDLED}, or the path of a model."
        )
    mark = f"random-{_VERSION}" if name in shapes else _mark(path)
    folder = cache_folder() / f"{path.name}-{mark}"
    hdf5, native = folder / "hdf5", folder / "native"
    own_files = folder / "manylangs" if name in manylangs.SHAPES else path
    if not native.is_dir():
        config, params = _load(name, own_files)
        if config.token_layer != "lexicon":
            elmo_jax.save(hdf5, config, params, format="hdf5", overwrite=True)
        # The native folder comes last: if it is there, all is complete.
        elmo_jax.save(native, config, params, overwrite=True)
    config, _ = elmo_jax.load(native)
    published = {"options": hdf5 / "options.json", "weights": hdf5 / "weights.hdf5"}
    if config.token_layer == "lexicon":
        published = {"folder": own_files}
    return Model(path.name, config, published, native)


def _load(name: str, files: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    """The model in ``files``, which may have to be written first; a preset needs none."""
    if name in preset_names():
        config = ElmoConfig.preset(name)
        return config, random_params(config)
    if name in manylangs.SHAPES:
        manylangs.write_random_model(files, name)
    return elmo_jax.load(files)


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
