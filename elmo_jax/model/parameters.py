"""The parameter tree of a config, and how the datasets of a published HDF5 file map to it.

Parameters that no published file has are datasets, too, under names of their own.

The file has matrices as [in, out], and both matrices of an LSTM layer in one dataset. The tree
has each matrix by itself as [out, in], the layout in which it is used.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import ElmoError, counted, first_few
from .arrays import fits, is_float, not_finite
from .config import ElmoConfig, check_config
from .options import N_CHARACTERS
from .spelling import alphabet_of

Params = Mapping[str, Any]
"""A nested dictionary of arrays, as Flax modules take it."""

Path = tuple[str, ...]

DIRECTIONS = ("forward", "backward")
"""In the order of their numbers in the HDF5 file: RNN_0, RNN_1."""

_SOFTMAX = (("softmax", "kernel"), ("softmax", "bias"))


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One dataset of the HDF5 file and the parameters that it becomes."""

    name: str
    shape: tuple[int | None, ...]  # None is a size that the config does not fix
    paths: tuple[Path, ...]  # one for each equal part of the dataset's rows
    transposed: bool = False  # the file has a matrix as [in, out], the parameter is [out, in]
    optional: bool = False

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a dataset may have this shape."""
        return fits(shape, self.shape)

    def to_params(self, array: np.ndarray) -> dict[Path, np.ndarray]:
        """The dataset's content as parameters."""
        if array.ndim == 4:  # bilm-tf computes the convolution in 2-D, with height 1
            array = array[0]
        parts = np.split(array, len(self.paths))
        if self.transposed:
            parts = [np.ascontiguousarray(part.T) for part in parts]
        return dict(zip(self.paths, parts, strict=True))

    def from_params(self, params: Mapping[Path, Any]) -> np.ndarray:
        """The dataset's content from parameters: the inverse of ``to_params``, bit for bit."""
        parts = [np.asarray(params[path]) for path in self.paths]
        array = np.concatenate([part.T for part in parts] if self.transposed else parts)
        return np.ascontiguousarray(array[None] if len(self.shape) == 4 else array)

    def param_shape(self) -> tuple[int | None, ...]:
        """The shape of each of its parameters."""
        shape = self.shape[1:] if len(self.shape) == 4 else self.shape
        if not shape:
            return ()
        rows = shape[0] and shape[0] // len(self.paths)  # None stays None
        shape = (rows, *shape[1:])
        return shape[::-1] if self.transposed else shape


def datasets(config: ElmoConfig) -> tuple[Dataset, ...]:
    """Every dataset of a weight file for ``config``, the optional ones last."""
    # Files may also have a word-vector table and the training softmax; V is not in options.json.
    table = (None, config.projection_dim)
    word_embedding = Dataset("embedding", table, (("word_embedding", "embedding"),), optional=True)
    return (
        *token_layer_datasets(config),
        *_stacks(config),
        *([word_embedding] if config.token_layer == "bytes" else []),
        Dataset("softmax/W", table, (("softmax", "kernel"),), optional=True),
        Dataset("softmax/b", (None,), (("softmax", "bias"),), optional=True),
    )


def token_layer_datasets(config: ElmoConfig) -> tuple[Dataset, ...]:
    """The first of these datasets: those of the token layer."""
    token_layer = {"bytes": _char_encoder, "lexicon": _lexicon_encoder, "table": _word_encoder}
    return tuple(token_layer[config.token_layer](config))


def token_layer_name(config: ElmoConfig) -> str:
    """Where the parameters of the token layer are in the tree."""
    return token_layer_datasets(config)[0].paths[0][0]


def has_token_layer(config: ElmoConfig, params: Params) -> bool:
    """Whether there are parameters of the token layer."""
    return token_layer_name(config) in params


def extra_datasets(config: ElmoConfig, paths: Iterable[Path]) -> Iterator[Dataset]:
    """What a task has added to a model, as far as ``paths`` have it; published files never do.

    ``scalar_mixes`` are numbered, ``output_projection`` follows a mix, and ``alignment`` has a map
    for the vectors of a layer.
    """
    n_layers, dim = config.n_output_layers, config.output_dim
    sizes = {"weights": (n_layers,), "gamma": (), "kernel": (None, dim), "bias": (None,)}
    aligned = {f"layer_{layer}" for layer in range(n_layers)}
    for path in paths:
        shape: tuple[int | None, ...] | None = None
        match path:
            case ("scalar_mixes", str(number), ("weights" | "gamma") as name) if (
                number.isascii() and number.isdigit()
            ):
                shape = sizes[name]
            case ("output_projection", ("kernel" | "bias") as name):
                shape = sizes[name]
            case ("alignment", str(layer)) if layer in aligned:
                shape = (dim, dim)
        if shape is not None:
            yield Dataset("/".join(path), shape, (path,), optional=True)


def _lexicon_encoder(config: ElmoConfig) -> Iterator[Dataset]:
    alphabet = alphabet_of(config)
    if config.word_dim:
        shape = (len(alphabet.words), config.word_dim)
        yield Dataset("lexicon/words", shape, (("lexicon_encoder", "word_embedding"),))
    if config.filters:
        shape = (len(alphabet.characters), config.char_embedding_dim)
        yield Dataset("lexicon/characters", shape, (("lexicon_encoder", "char_embedding"),))
    yield from _convolutions(config, "lexicon_encoder")


def _word_encoder(config: ElmoConfig) -> Iterator[Dataset]:
    shape = (len(alphabet_of(config).words), config.projection_dim)
    yield Dataset("embedding", shape, (("word_encoder", "embedding"),))


def _char_encoder(config: ElmoConfig) -> Iterator[Dataset]:
    # Without a row for padding: its vector is zeros [AllenNLP].
    shape = (N_CHARACTERS, config.char_embedding_dim)
    yield Dataset("char_embed", shape, (("char_encoder", "char_embedding"),))
    yield from _convolutions(config, "char_encoder")


def _convolutions(config: ElmoConfig, encoder: str) -> Iterator[Dataset]:
    """What comes after the vectors of the characters."""

    def path(*names: str) -> tuple[Path]:
        return ((encoder, *names),)

    dim, size = config.char_embedding_dim, config.n_filters
    for i, (width, number) in enumerate(config.filters):
        module = f"convolutions_{i}"
        yield Dataset(f"CNN/W_cnn_{i}", (1, width, dim, number), path(module, "kernel"))
        yield Dataset(f"CNN/b_cnn_{i}", (number,), path(module, "bias"))
    # Highway layers come between the filters and the projection: [F, F].
    for i in range(config.n_highway):
        for part in ("carry", "transform"):
            kernel, bias = (path(f"highways_{i}", f"{part}_{kind}") for kind in ("kernel", "bias"))
            yield Dataset(f"CNN_high_{i}/W_{part}", (size, size), kernel, transposed=True)
            yield Dataset(f"CNN_high_{i}/b_{part}", (size,), bias)
    if config.has_token_projection:
        shape = (config.word_dim + size, config.projection_dim)
        yield Dataset("CNN_proj/W_proj", shape, path("projection", "kernel"), transposed=True)
        yield Dataset("CNN_proj/b_proj", shape[1:], path("projection", "bias"))


def _stacks(config: ElmoConfig) -> Iterator[Dataset]:
    n_out, n_cell = config.projection_dim, config.cell_dim
    for number, direction in enumerate(DIRECTIONS):
        for layer in range(config.n_layers):
            name = f"RNN_{number}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            path = (direction, f"layers_{layer}")
            # The first half of its rows multiplies the input, the second the hidden state.
            kernels = (*path, "input_kernel"), (*path, "recurrent_kernel")
            yield Dataset(f"{name}/W_0", (2 * n_out, 4 * n_cell), kernels, transposed=True)
            yield Dataset(f"{name}/B", (4 * n_cell,), ((*path, "bias"),))
            if config.has_lstm_projection:
                kernel = ((*path, "projection_kernel"),)
                yield Dataset(f"{name}/W_P_0", (n_cell, n_out), kernel, transposed=True)


def flatten(params: Params) -> dict[Path, Any]:
    """A nested parameter tree as {path: array}."""
    flat: dict[Path, Any] = {}
    for key, value in params.items():
        leaves = flatten(value) if isinstance(value, Mapping) else {(): value}
        flat.update({(key, *path): leaf for path, leaf in leaves.items()})
    return flat


def unflatten(flat: Mapping[Path, Any]) -> dict[str, Any]:
    """{path: array} as a nested parameter tree."""
    params: dict[str, Any] = {}
    for (*parents, key), leaf in flat.items():
        node = params
        for parent in parents:
            node = node.setdefault(parent, {})
        node[key] = leaf
    return params


def check_params(config: ElmoConfig, params: Params, source: str = "params") -> None:
    """Raise ElmoError, naming all that is missing, unexpected, of a wrong shape or no float array.

    Whether the numbers are finite is a question for ``check_finite_params``, since it takes time.
    """
    check_config(config)
    if not isinstance(params, Mapping):
        raise ElmoError(f"Expected params as a nested dictionary, got {type(params).__name__}.")
    check_flat_params(config, flatten(params), source)


def check_flat_params(config: ElmoConfig, flat: Mapping[Path, Any], source: str) -> None:
    """What ``check_params`` does, for a tree that ``flatten`` has flattened."""
    flat, problems = dict(flat), []
    shapes = {path: getattr(flat.get(path), "shape", None) for path in _SOFTMAX}
    for dataset in (*datasets(config), *extra_datasets(config, flat)):
        expected = Dataset("", dataset.param_shape(), ())
        for path in dataset.paths:
            name = ".".join(path)
            array = flat.pop(path, None)
            if array is None:
                if not dataset.optional:
                    problems.append(f"{name} is missing, expected {expected.shape}")
            elif not is_float(array):
                problems.append(f"{name} is {_kind(array)}, expected an array of floats")
            elif not expected.fits(array.shape):
                problems.append(f"{name} is {array.shape}, expected {expected.shape}")
    problems += [f"{'.'.join(map(str, path))} is unexpected" for path in flat]
    softmax = softmax_problem(*(shapes[path] for path in _SOFTMAX))
    if softmax and not problems:
        problems.append(softmax)
    if problems:
        raise ElmoError(
            f"{source} does not fit the configuration ({counted(len(problems), 'problem')}): "
            + "; ".join(problems)
        )


def softmax_problem(kernel: tuple[int, ...] | None, bias: tuple[int, ...] | None) -> str | None:
    """Why these shapes are not those of a whole softmax, if one of its two parts is there."""
    if kernel is None and bias is None:
        return None
    if kernel is None or bias is None:
        there, missing = ("matrix", "bias") if bias is None else ("bias", "matrix")
        return f"the softmax has its {there} but lacks its {missing}"
    if kernel[:1] != bias or 0 in bias:
        expected = "a row and a number for each word"
        return f"the softmax has a matrix {kernel} and a bias {bias}, expected {expected}"
    return None


def _kind(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    return type(value).__name__ if dtype is None else f"an array of {dtype}"


def check_finite_params(params: Params) -> None:
    """Raise ElmoError, naming every array with numbers that are NaN or infinite as float32."""
    first_bad = {".".join(path): not_finite(array) for path, array in flatten(params).items()}
    bad = [f"{name}{list(index)}" for name, index in first_bad.items() if index is not None]
    if bad:
        raise ElmoError(
            f"{counted(len(bad), 'parameter array')} with NaN or infinite numbers: "
            f"{first_few(bad)}. Expected finite numbers; training that diverged leaves others."
        )


def model_digest(config: ElmoConfig, params: Params) -> str:
    """SHA-256 of a model's config and parameters, independent of its file format."""
    digest = hashlib.sha256(repr(config).encode())
    for path, value in sorted(flatten(params).items()):
        # The path as jax.tree_util.keystr writes it; digests are recorded in runs and pickles.
        digest.update("".join(f"[{name!r}]" for name in path).encode())
        digest.update(np.ascontiguousarray(np.asarray(value)).data)
    return digest.hexdigest()


def count_parameters(params: Params) -> int:
    """How many numbers are in the tree."""
    return sum(int(np.prod(np.shape(leaf))) for leaf in flatten(params).values())
