"""The arrays of a weight file as parameters; one error has every problem of the file."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import ElmoError, counted
from ..model.config import ElmoConfig
from ..model.parameters import Dataset, datasets, softmax_problem, token_layer_datasets, unflatten

_MOST_LISTED = 200
"""Problems in one error: a file made to do harm may have any number."""

_CELL = "RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell"


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array in a file, before its numbers are read.

    Attributes:
        name: what the file calls it.
        shape: its shape; None for a dataset of HDF5 that has none.
        dtype: its name.
        read: gives the numbers, or raises ``UnreadableArray``.
        problem: why they are not read, if they must not be.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: str
    read: Callable[[], np.ndarray]
    problem: str | None = None


class UnreadableArray(Exception):
    """Why one array of a damaged file cannot be read."""


def read_params(
    config: ElmoConfig,
    arrays: Mapping[str, StoredArray],
    source: str,
    options_source: str,
    name_in_file: Callable[[str], str] = str,
    *,
    without_token_layer: bool = False,
) -> dict[str, Any]:
    """The parameters of ``config`` as float32 NumPy arrays.

    Args:
        config: the architecture.
        arrays: all arrays of the file by the names of the datasets in ``model.parameters``; those
            with other names are reported.
        source: what errors call the file.
        options_source: what they call the origin of the config.
        name_in_file: what the file would call a dataset that it lacks.
        without_token_layer: whether the file has the LSTMs alone.

    Raises:
        ElmoError: if arrays are missing, unexpected, of a wrong shape or dtype, or not finite; the
            message has them all, and the likely cause.
    """
    left, problems, flat, damaged = dict(arrays), [], {}, False
    n_skipped = len(token_layer_datasets(config)) if without_token_layer else 0
    for dataset in datasets(config)[n_skipped:]:
        array = left.pop(dataset.name, None)
        if array is None:
            if not dataset.optional:
                missing = name_in_file(dataset.name)
                problems.append(f"{missing}: missing, expected shape {dataset.shape}")
            continue
        try:
            numbers, problem = _read(array, dataset)
        except UnreadableArray as error:
            numbers, problem, damaged = None, f"unreadable ({error})", True
        if problem:
            problems.append(f"{array.name}: {problem}")
        elif numbers is not None:
            flat.update(dataset.to_params(numbers))
    # What is left is not a parameter of this config: often a layer that the options lack.
    problems += [f"{array.name}: unexpected, shape {array.shape or ()}" for array in left.values()]
    shapes = {name: array.shape for name, array in arrays.items()}
    softmax = softmax_problem(shapes.get("softmax/W"), shapes.get("softmax/b"))
    if softmax and not problems:
        problems.append(softmax)
    if problems:
        more = [f"and {len(problems) - _MOST_LISTED:,} more"] * (len(problems) > _MOST_LISTED)
        listed = "".join(f"\n  {problem}" for problem in [*problems[:_MOST_LISTED], *more])
        raise ElmoError(
            f"{source} does not fit {options_source} ({counted(len(problems), 'problem')}):"
            f"{listed}\nLikely cause: {_likely_cause(config, arrays, damaged)}"
        )
    return unflatten(flat)


def _read(array: StoredArray, expected: Dataset) -> tuple[np.ndarray | None, str | None]:
    """The content as float32, or what is wrong with it."""
    if array.shape is None or not expected.fits(array.shape):
        return None, f"shape {array.shape}, expected {expected.shape}"
    if not array.dtype.startswith(("float", "bfloat")):
        return None, f"dtype {array.dtype}, expected float32"
    if array.problem:
        return None, array.problem
    with np.errstate(over="ignore"):  # float64 beyond float32 is reported as infinite
        numbers = array.read().astype(np.float32, copy=False)
    n_bad = numbers.size - int(np.isfinite(numbers).sum())
    if n_bad:
        return None, f"{n_bad} of {numbers.size} values are NaN or infinite"
    return numbers, None


# What the shapes of a file tell


def fields_from_shapes(arrays: Mapping[str, StoredArray]) -> dict[str, Any]:
    """The config fields that the shapes of a weight file give away."""
    shapes = {name: array.shape or () for name, array in arrays.items()}
    fields: dict[str, Any] = {}
    filters: list[tuple[int, int]] = []
    while len(shape := shapes.get(f"CNN/W_cnn_{len(filters)}", ())) == 4:
        filters.append((shape[1], shape[3]))
    if filters:
        fields["filters"] = tuple(filters)
    if len(embedding := shapes.get("char_embed", ())) == 2:
        fields["char_embedding_dim"] = embedding[1]
    fields["n_highway"] = len(fnmatch.filter(shapes, "CNN_high_*/W_carry"))
    fields["n_layers"] = len(fnmatch.filter(shapes, "RNN_0/*LSTMCell/W_0"))
    if len(bias := shapes.get(f"{_CELL}/B", ())) == 1:
        fields["cell_dim"] = bias[0] // 4  # one bias for each of the four gates
    if len(kernel := shapes.get(f"{_CELL}/W_0", ())) == 2:
        fields["projection_dim"] = kernel[0] // 2  # rows for the input, then for the hidden state
    return fields


def _likely_cause(config: ElmoConfig, arrays: Mapping[str, StoredArray], damaged: bool) -> str:
    """Why a file does not fit: a guess from the shapes of its arrays."""
    if damaged:
        return "the file is damaged; copy or download it again."
    if not any(name.startswith(("CNN", "RNN_0", "char_embed")) for name in arrays):
        return "this is not an ELMo weight file; none of its datasets has an ELMo's name."
    differences = [
        f"{field} {value} (the options say {getattr(config, field)})"
        for field, value in fields_from_shapes(arrays).items()
        if getattr(config, field) != value
    ]
    if differences:
        return (
            "options and weights belong to different models; the weights were made with "
            f"{', '.join(differences)}."
        )
    return "the file was edited or written by another tool, or its training went wrong."
