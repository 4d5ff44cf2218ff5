"""Arrays of numbers that users give: the one check of their kind, shape and content.

Inside a caller's ``jax.jit`` values are not known, and only dtypes and shapes are checked. This
does not import JAX, which is slow: an array of JAX can only come from code that did.
"""

from __future__ import annotations

import operator
import sys
from typing import Any

import numpy as np

from ..errors import ElmoError, shortened

Shape = tuple[int | None, ...]
"""None is a size that is not fixed."""


def as_array(value: Any, name: str) -> Any:
    """A value as an array, which may be traced; raises ElmoError if it cannot be one."""
    if _is_instance_of_jax(value, "Array"):  # a traced value is a jax.Array too
        return value
    try:
        return np.asarray(value)
    except (TypeError, ValueError):  # a list of lists that differ in length, among others
        raise ElmoError(f"{name} is {shortened(value)}, expected an array of numbers.") from None


def is_float(array: Any) -> bool:
    """Whether an array has floats of any precision, bfloat16 among them."""
    dtype = getattr(array, "dtype", None)
    return isinstance(dtype, np.dtype) and (dtype.kind == "f" or dtype.name == "bfloat16")


def is_whole(array: Any) -> bool:
    """Whether an array has whole numbers."""
    return isinstance(array.dtype, np.dtype) and array.dtype.kind in "iu"


def finite_floats(value: Any, name: str, shape: Shape | None = None, meaning: str = "") -> Any:
    """Numbers as a float array that stays finite as float32.

    Whole numbers become float32; an array that is traced or has floats stays as it is.
    ``meaning`` says in an error what has the shape, such as "one weight per layer".

    Raises:
        ElmoError: for anything but real numbers, another shape, or a number that is NaN, infinite
            or too large for float32.
    """
    array = as_array(value, name)
    if not (is_float(array) or is_whole(array)):
        raise ElmoError(f"{name} is {shortened(value)}, of dtype {array.dtype}; expected numbers.")
    if shape is not None and not fits(np.shape(array), shape):
        raise ElmoError(
            f"{name} has shape {np.shape(array)}, expected {_shown(shape)}"
            f"{': ' * bool(meaning)}{meaning}."
        )
    check_finite(array, name)
    return array if is_float(array) else array.astype(np.float32)


def check_finite(array: Any, name: str) -> None:
    """Raise ElmoError unless all numbers are finite as float32; a traced array passes."""
    if (position := not_finite(array)) is not None:
        where = f"[{', '.join(map(str, position))}]" if position else ""
        raise ElmoError(
            f"{name}{where} is {np.asarray(array)[position]}, expected finite numbers of at most "
            f"{np.finfo(np.float32).max:.6g}, the largest of float32."
        )


def not_finite(array: Any) -> tuple[int, ...] | None:
    """Where the first number is that is not finite as float32, if there is one."""
    if _is_instance_of_jax(array, "core.Tracer"):
        return None
    if not getattr(array, "is_fully_addressable", True):  # parts of it are in other processes
        return None
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite
        is_bad = ~np.isfinite(np.asarray(array).astype(np.float32, copy=False))
    if not is_bad.any():
        return None
    return tuple(int(i) for i in np.argwhere(is_bad)[0])


def fits(shape: tuple[int, ...], expected: Shape) -> bool:
    """Whether an array may have this shape."""
    return len(shape) == len(expected) and all(
        size in (None, n) for size, n in zip(expected, shape, strict=True)
    )


def _shown(shape: Shape) -> str:
    return str(shape).replace("None", "any size") if shape else "a single number"


def _is_instance_of_jax(value: Any, name: str) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, operator.attrgetter(name)(jax))
