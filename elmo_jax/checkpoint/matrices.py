"""Alignment matrices on disk: files of torch.save, as published, and NumPy's."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import ElmoError, shortened
from ..files import atomic_file
from .containers.archives import Member, open_archive
from .containers.torch_file import read_torch

ARRAY_NAME = "alignment"
"""The name of the matrix in an .npz file."""

_SUFFIXES = (".npy", ".npz")
_NUMPY, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_EXPECTED = "Expected one matrix: .pth or .pt as torch.save writes them, .npy or .npz"


def read_matrix(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an alignment matrix M, float32 [D, D]; aligned = M v.

    The content of the file decides how it is read, not its suffix: a file of torch.save that holds
    a NumPy array, as CrossLingualELMo's matrices are, or a tensor; an .npy file; or an .npz file
    with one array, or one named "alignment". No code in the file is run.

    Raises:
        ElmoError: if the file is missing, or does not hold a square matrix of finite floats.

    Example:
        >>> read_matrix("es_best_mapping.pth").shape
        (1024, 1024)
    """
    path = Path(path)
    return as_matrix(_read(path), str(path))


def _read(path: Path) -> Any:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ElmoError(f"Cannot read the alignment matrix {path}: it is no file. {_EXPECTED}.")
    try:
        with path.open("rb") as file:
            head = file.read(len(_NUMPY))
        if head.startswith(_NUMPY):
            with path.open("rb") as file:
                return read_npy(file, path.stat().st_size)
        if head.startswith(_ZIP):
            with open_archive(path, "zip") as members:
                if not any(name.endswith("data.pkl") for name in members):
                    return _read_npz(path, members)
    except FileNotFoundError:
        raise ElmoError(f"There is no alignment matrix at {path}: no such file.") from None
    except ElmoError:
        raise
    except Exception as error:  # NumPy parses headers as Python: damaged ones raise many things
        raise ElmoError(f"Cannot read the alignment matrix {path}: {error}. {_EXPECTED}.") from None
    try:
        return read_torch(path, str(path))
    except ElmoError as error:
        raise ElmoError(f"{error} {_EXPECTED}.") from None


def _read_npz(path: Path, members: Mapping[str, Member]) -> Any:
    names = [name.removesuffix(".npy") for name in members]
    if ARRAY_NAME not in names and len(names) != 1:
        listed = ", ".join(map(repr, names)) or "none"
        raise ElmoError(
            f"Which array of {path} is the alignment matrix? It has {listed}; expected only "
            f"one, or one named {ARRAY_NAME!r}."
        )
    number = names.index(ARRAY_NAME) if ARRAY_NAME in names else 0
    member = list(members.values())[number]
    content = b"".join(member.chunks())
    return read_npy(io.BytesIO(content), len(content))


def read_npy(file: BinaryIO, size: int) -> np.ndarray:
    """The array in a file of NumPy that has ``size`` bytes.

    Raises:
        ValueError: if its header is none, or the numbers do not take the rest of the file.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it has version {version} of its format")
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, is_fortran, dtype = read_header(file)
    if dtype.kind not in "fiub":
        raise ValueError(f"it has {dtype}, and only numbers are read")
    left = size - file.tell()
    if math.prod(shape) * dtype.itemsize != left or min(shape, default=0) < 0:
        raise ValueError(f"it claims {dtype} of shape {shape}, but has {left:,} bytes for them")
    numbers = np.frombuffer(file.read(left), dtype)
    return numbers.reshape(shape, order="F" if is_fortran else "C")


def as_matrix(value: Any, label: str) -> np.ndarray:
    """An array as an alignment matrix, float32 [D, D]; ``label`` is what errors call it.

    Raises:
        ElmoError: unless it is a square matrix of finite floats; the message names every problem.
    """
    if not hasattr(value, "dtype") or np.ndim(value) != 2:
        raise ElmoError(f"{label} is not an alignment matrix [D, D]: got {_described(value)}.")
    matrix = np.asarray(value)
    problems = []
    if matrix.shape[0] != matrix.shape[1] or not matrix.size:
        problems.append(f"its shape is {matrix.shape}, expected a square")
    if matrix.dtype.kind != "f":
        problems.append(f"its dtype is {matrix.dtype}, expected floats")
    else:
        with np.errstate(over="ignore"):
            matrix = np.array(matrix, np.float32, order="C")  # a copy, not a view of a file
        if n_bad := int((~np.isfinite(matrix)).sum()):
            problems.append(f"{n_bad:,} of its numbers are not finite in float32")
    if problems:
        raise ElmoError(f"{label} is not an alignment matrix [D, D]: {'; '.join(problems)}.")
    return matrix


def _described(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{type(value).__name__} with the keys {shortened(list(value))}"
    if hasattr(value, "dtype"):
        return f"an array of shape {np.shape(value)} and dtype {value.dtype}"
    return f"{type(value).__name__} {shortened(value)}"


def write_matrix(
    path: str | os.PathLike[str], matrix: np.ndarray, *, overwrite: bool = False
) -> None:
    """Write an alignment matrix [D, D] as float32, to .npy or .npz; ``read_matrix`` reads it.

    Raises:
        ElmoError: for another suffix, an array that is no alignment matrix, or an existing file.
    """
    path = Path(path)
    check_matrix_path(path)
    arrays: dict[str, Any] = {ARRAY_NAME: as_matrix(matrix, "The matrix")}
    # NumPy adds a suffix to a path, but not to an open file.
    with atomic_file(path, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        if path.suffix.lower() == ".npy":
            np.save(file, arrays[ARRAY_NAME])
        else:
            np.savez(file, **arrays)


def check_matrix_path(path: Path) -> None:
    """Raise ElmoError unless ``write_matrix`` knows the suffix."""
    if path.suffix.lower() not in _SUFFIXES:
        raise ElmoError(
            f"Cannot write the alignment matrix {path}: expected a name that ends in "
            f"{' or '.join(_SUFFIXES)}."
        )
