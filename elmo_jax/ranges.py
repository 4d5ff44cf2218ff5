"""Checks of numbers that users choose: whole numbers, and numbers, from a least one on."""

from __future__ import annotations

import math
import numbers
from typing import Any

from .errors import ElmoError

MOST_SEED = 2**32 - 1
"""The largest seed: of larger ones JAX takes the last 32 bits only."""


def check_count(value: Any, name: str, least: int = 1, most: int | None = None) -> None:
    """Raise ElmoError unless ``value`` is a whole number from ``least`` to ``most``."""
    if problem := count_problem(value, name, least, most):
        raise ElmoError(f"{problem}.")


def check_seed(seed: Any) -> None:
    """Raise ElmoError unless ``seed`` can be one."""
    check_count(seed, "seed", 0, MOST_SEED)


def count_problem(value: Any, name: str, least: int = 1, most: int | None = None) -> str | None:
    """What is wrong with a number that shall be whole, if anything is."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if whole and value >= least and (most is None or value <= most):
        return None
    beyond = "" if most is None else f" and at most {most}"
    return f"{name} is {value!r}, expected a whole number of at least {least}{beyond}"


def number_problem(value: Any, name: str, *, positive: bool, below: float = math.inf) -> str | None:
    """What is wrong with a number that shall be finite, and more than 0 or at least 0."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if real and 0 <= value < below and not (positive and value == 0):
        return None
    least = "more than 0" if positive else "at least 0"
    bound = "a finite number" if below == math.inf else f"a number below {below:g}"
    return f"{name} is {value!r}, expected {bound} of {least}"
