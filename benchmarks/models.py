"""The model that is measured: a given one, or random weights of a published shape.

Random weights take the same time as trained ones if the numbers are of the same size. Too small,
and the processor meets denormal numbers, and any two outputs are equal within a tolerance; too
large, and gates saturate and every clip bites, which a peer without clips would then not compute.
So these are scaled to what a trained model gives. On English text the layers of the bundled
``mini`` have standard deviations of 0.5, 0.4 and 0.7; those of these weights, in the *original*
shape, have 0.3, 0.3 and 0.4, and no clip bites.
"""

from __future__ import annotations

import dataclasses
import getpass
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np

import elmo_jax
from elmo_jax import ElmoConfig, ElmoError, pretrained
from elmo_jax.checkpoint import is_native
from elmo_jax.model.config import preset_names
from elmo_jax.model.lstm import FORGET_BIAS, GATES
from elmo_jax.model.parameters import datasets, unflatten

_SEED = 0
_GAINS = {"W_proj": 0.5, "W_0": 1.2, "W_P_0": 2.0}
"""Of the matrices that are not 1 / sqrt(inputs). With these, no clip bites in English text."""
_VERSION = 2
"""Of the weights that ``random_params`` draws; part of the cached folder's name."""


@dataclasses.dataclass(frozen=True)
class Model:
    """One model in both formats.

    Attributes:
        name: for tables.
        config: the architecture.
        hdf5: folder of the published format, which every system reads.
        native: folder of elmo-jax's own format.
    """

    name: str
    config: ElmoConfig
    hdf5: Path
    native: Path

    @property
    def options_file(self) -> Path:
        """The published options.json."""
        return self.hdf5 / "options.json"

    @property
    def weight_file(self) -> Path:
        """The published HDF5 file."""
        return self.hdf5 / "weights.hdf5"


def open_model(name: str) -> Model:
    """A preset's shape with random weights, or a trained model; made once, kept in the cache.

    Args:
        name: of a preset, the path of a model, or "mini", the model of the package.

    Raises:
        ElmoError: if there is no such preset or model, or the cache cannot be written.
    """
    path = pretrained.fetch(name) if name == pretrained.BUNDLED else Path(name)
    if name in preset_names():
        config = ElmoConfig.preset(name)
        folder = cache_folder() / f"{name}-random-{_VERSION}"
        if not (folder / "native").is_dir():
            _write(folder, config, random_params(config, _SEED))
        return Model(name, config, folder / "hdf5", folder / "native")
    if not path.exists():
        raise ElmoError(
            f"There is no model {name!r}: expected one of the shapes {', '.join(preset_names())}, "
            f"{pretrained.BUNDLED}, or the path of a model."
        )
    folder = cache_folder() / f"{path.name}-{_mark(path)}"
    if not (folder / "native").is_dir():
        _write(folder, *elmo_jax.load(path))
    config, _ = elmo_jax.load(folder / "native")
    return Model(path.name, config, folder / "hdf5", folder / "native")


def cache_folder() -> Path:
    """``$ELMO_JAX_CACHE/benchmarks``, or a folder among the temporary files."""
    if own := os.environ.get("ELMO_JAX_CACHE"):
        return Path(own) / "benchmarks"
    return Path(tempfile.gettempdir()) / f"elmo-jax-benchmarks-{getpass.getuser()}"


def random_params(config: ElmoConfig, seed: int) -> dict:
    """Random parameters whose model gives numbers of the size that trained ones give."""
    rng = np.random.default_rng(seed)
    flat: dict[tuple[str, ...], np.ndarray] = {}
    for dataset in datasets(config):
        if not dataset.optional:
            shape = tuple(size or 0 for size in dataset.shape)
            flat |= dataset.to_params(_draw(rng, dataset.name, shape))
    return unflatten(flat)


def _draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One dataset of the published file, by its name; matrices are [..., in, out] there."""
    if name == "char_embed":
        return rng.uniform(-1, 1, shape).astype(np.float32)
    if len(shape) == 1:
        return _bias(name, shape[0])
    gain = _GAINS.get(name.rsplit("/", 1)[-1], 1.0)
    scale = gain * float(np.prod(shape[:-1])) ** -0.5
    return rng.standard_normal(shape, np.float32) * np.float32(scale)


def _bias(name: str, size: int) -> np.ndarray:
    """Zeros, but for the gates: those of highways nearly closed, as bilm-tf starts them."""
    if name.endswith("b_carry"):
        return np.full(size, -2.0, np.float32)
    bias = np.zeros(size, np.float32)
    if name.endswith("LSTMCell/B"):
        # So that few cells remember for long: those would add up to beyond the clip.
        bias[list(GATES).index("forget") * size // 4 :][: size // 4] = -FORGET_BIAS
    return bias


def _write(folder: Path, config: ElmoConfig, params: dict) -> None:
    # The native folder comes last: where it is, both are complete.
    elmo_jax.save(folder / "hdf5", config, params, format="hdf5", overwrite=True)
    elmo_jax.save(folder / "native", config, params, overwrite=True)


def _mark(path: Path) -> str:
    """Changes when the model at ``path`` does."""
    files = sorted(file for file in (path.iterdir() if path.is_dir() else [path]))
    stats = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    kind = "native" if path.is_dir() and is_native(path) else "published"
    return hashlib.sha256(repr((kind, stats)).encode()).hexdigest()[:12]
