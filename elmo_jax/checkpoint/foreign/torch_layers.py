"""The layers of an ELMo as torch modules hold them, and the parameters that they become.

AllenNLP and ELMoForManyLangs have the same highway layers and the same LSTM with a projection, and
differ in the names. Every matrix is [out, in], as in the tree of parameters.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ...errors import ElmoError, counted
from ...model.config import ElmoConfig
from ...model.parameters import DIRECTIONS, Path

ToParams = Callable[[np.ndarray], dict[Path, np.ndarray]]
"""From a tensor to the parameters that it holds."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class LayerNames:
    """What a library calls the layers: ``{}`` stands for a number."""

    convolution: str
    highway: str
    projection: str
    lstm: str  # a direction, then a number
    prefix: str = ""  # what stands before all of them; it comes from a file, and may be anything

    def layer(self, template: str, *numbers: str | int) -> str:
        """The name of a layer: ``template`` is one of the names above."""
        return self.prefix + template.format(*numbers)


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor that a model must have, and the parameters that it becomes."""

    name: str
    shape: tuple[int, ...]
    to_params: ToParams


def fields_from_shapes(shapes: Shapes, names: LayerNames, source: str) -> dict[str, Any]:
    """The sizes of an ElmoConfig, as far as the shapes of these layers tell them.

    Raises:
        ElmoError: if there is no LSTM layer.
    """
    first = f"{names.layer(names.lstm, DIRECTIONS[0], 0)}.input_linearity.weight"
    if len(shapes.get(first, ())) != 2:
        raise ElmoError(f"{source} has no LSTM of an ELMo: expected a matrix {first}.")
    n_gates, projection_dim = shapes[first]
    convolutions = list(_shapes_by_number(shapes, names, (names.convolution,), "weight", 3))
    fields = {
        "filters": tuple((width, number) for number, _, width in convolutions),
        "n_highway": len(list(_shapes_by_number(shapes, names, (names.highway,), "weight", 2))),
        "projection_dim": projection_dim,
        "cell_dim": n_gates // 4,
    }
    forward = names.lstm, DIRECTIONS[0]
    inputs = _shapes_by_number(shapes, names, forward, "input_linearity.weight", 2)
    return {**fields, "n_layers": len(list(inputs))}


def _shapes_by_number(
    shapes: Shapes, names: LayerNames, layer: tuple[str, ...], tensor: str, n_axes: int
) -> Iterator[tuple[int, ...]]:
    for number in itertools.count():
        shape = shapes.get(f"{names.layer(*layer, number)}.{tensor}", ())
        if len(shape) != n_axes:
            return
        yield shape


def token_tensors(config: ElmoConfig, names: LayerNames, encoder: str) -> Iterator[Tensor]:
    """Convolutions, highway layers and projection of a token layer; ``encoder`` has them."""
    dim, size = config.char_embedding_dim, config.n_filters
    for i, (width, number) in enumerate(config.filters):
        name, path = names.layer(names.convolution, i), (encoder, f"convolutions_{i}")
        yield Tensor(f"{name}.weight", (number, dim, width), _reversed((*path, "kernel")))
        yield Tensor(f"{name}.bias", (number,), _unchanged((*path, "bias")))
    for i in range(config.n_highway):
        name, path = names.layer(names.highway, i), (encoder, f"highways_{i}")
        yield Tensor(f"{name}.weight", (2 * size, size), _highway(path, "kernel"))
        yield Tensor(f"{name}.bias", (2 * size,), _highway(path, "bias"))
    name = names.layer(names.projection)
    shape, path = (config.projection_dim, config.word_dim + size), (encoder, "projection")
    yield Tensor(f"{name}.weight", shape, _unchanged((*path, "kernel")))
    yield Tensor(f"{name}.bias", shape[:1], _unchanged((*path, "bias")))


def lstm_tensors(config: ElmoConfig, names: LayerNames) -> Iterator[Tensor]:
    """The layers of both directions."""
    n_out, n_cell = config.projection_dim, config.cell_dim
    for direction, layer in itertools.product(DIRECTIONS, range(config.n_layers)):
        name, path = names.layer(names.lstm, direction, layer), (direction, f"layers_{layer}")
        gates = (4 * n_cell, n_out)
        yield Tensor(f"{name}.input_linearity.weight", gates, _gates((*path, "input_kernel")))
        yield Tensor(f"{name}.state_linearity.weight", gates, _gates((*path, "recurrent_kernel")))
        yield Tensor(f"{name}.state_linearity.bias", gates[:1], _gate_biases((*path, "bias")))
        projection = _unchanged((*path, "projection_kernel"))
        yield Tensor(f"{name}.state_projection.weight", (n_out, n_cell), projection)


def read_tensors(
    tensors: Mapping[str, np.ndarray], expected: Iterable[Tensor], source: str
) -> dict[Path, np.ndarray]:
    """The parameters, float32; one ElmoError has every problem, unexpected tensors among them."""
    left, problems = dict(tensors), []
    flat: dict[Path, np.ndarray] = {}
    for tensor in expected:
        array = left.pop(tensor.name, None)
        if array is None:
            problems.append(f"{tensor.name}: missing, expected shape {tensor.shape}")
        elif problem := _problem(array, tensor.shape):
            problems.append(f"{tensor.name}: {problem}")
        else:
            params = tensor.to_params(array.astype(np.float32, copy=False))
            flat |= {path: np.asarray(param, order="C") for path, param in params.items()}
    problems += [f"{name}: unexpected, shape {array.shape}" for name, array in left.items()]
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise ElmoError(f"{source} is no whole ELMo ({counted(len(problems), 'problem')}):{listed}")
    return flat


def _problem(array: np.ndarray, shape: tuple[int, ...]) -> str | None:
    if array.shape != shape:
        return f"shape {array.shape}, expected {shape}"
    if array.dtype.kind != "f":
        return f"dtype {array.dtype}, expected float32"
    with np.errstate(over="ignore"):  # float64 beyond float32 is reported as infinite
        n_bad = array.size - int(np.isfinite(array.astype(np.float32, copy=False)).sum())
    return f"{n_bad} of {array.size} values are NaN or infinite" if n_bad else None


# From a tensor to parameters


def _unchanged(path: Path) -> ToParams:
    return lambda array: {path: array}


def _reversed(path: Path) -> ToParams:
    """[number, E, width] -> [width, E, number]."""
    return lambda array: {path: array.transpose(2, 1, 0)}


def _highway(path: Path, kind: str) -> ToParams:
    """Two matrices, or two biases, one on top of the other.

    The second decides how much of the input is carried through; bilm-tf's ``carry``, how much is
    transformed.
    """

    def to_params(array: np.ndarray) -> dict[Path, np.ndarray]:
        transform, carry = np.split(array, 2)
        return {(*path, f"transform_{kind}"): transform, (*path, f"carry_{kind}"): -carry}

    return to_params


def _gates(path: Path) -> ToParams:
    """Rows of the gates i, f, candidate, o -> i, candidate, f, o."""

    def to_params(array: np.ndarray) -> dict[Path, np.ndarray]:
        i, f, candidate, o = np.split(array, 4)
        return {path: np.concatenate([i, candidate, f, o])}

    return to_params


def _gate_biases(path: Path) -> ToParams:
    """The same; here the forget gate's bias has the 1 that bilm-tf adds when it computes."""

    def to_params(array: np.ndarray) -> dict[Path, np.ndarray]:
        i, f, candidate, o = np.split(array, 4)
        return {path: np.concatenate([i, candidate, f - np.float32(1), o])}

    return to_params
