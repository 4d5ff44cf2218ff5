"""Errors and warnings, and the small checks that raise them.

A message says what was expected, what came, where, and what to do.
"""

from __future__ import annotations

import importlib
import math
import numbers
import sys
import warnings
from types import FrameType
from typing import Any

_PACKAGE = __name__.partition(".")[0]
_BETWEEN = ("sklearn", "joblib", "ray")
"""Packages that call this one for the user."""


class ElmoError(ValueError):
    """Base of every error that this library raises on purpose.

    It is a ``ValueError``, so code that guards against bad input in general keeps working.
    """


class ElmoWarning(UserWarning):
    """Base of every warning that this library gives on purpose."""


class DeviceMemoryWarning(ElmoWarning):
    """A device ran out of memory, and the run goes on with smaller batches or tables."""


class MissingFontWarning(ElmoWarning):
    """No installed font has some characters of a figure, which are drawn as boxes."""


class WordsCutWarning(ElmoWarning):
    """Words are longer than the model reads: it saw only their first bytes."""


class UnknownWordsWarning(ElmoWarning):
    """More than a fifth of the words are not in the vocabulary of the softmax."""


class UnusedOptionsWarning(ElmoWarning):
    """An options.json has keys that change nothing."""


class WhitespaceWarning(ElmoWarning):
    """What looks like one word holds whitespace, or was split at an unusual kind of it."""


class DuplicateKeysWarning(ElmoWarning):
    """Records of a corpus share a key, which should name one of them."""


def warn(message: str, category: type[ElmoWarning]) -> None:
    """Warn at the line that called this library, however deep inside it the fault is found."""
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and _is_passed_over(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_passed_over(module: str) -> bool:
    return module.partition(".")[0] in (_PACKAGE, *_BETWEEN)


def counted(n: int, noun: str) -> str:
    """A number with its noun, which takes an s in the plural."""
    return f"{n:,} {noun}" + "s" * (n != 1)


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


def optional_module(name: str, purpose: str, extra: str) -> Any:
    """Import a module of an optional package.

    Args:
        name: of the module.
        purpose: what it is needed for, as it stands in the error.
        extra: of elmo-jax, that installs it.

    Raises:
        ElmoError: if it is not installed, naming the extra, or cannot be imported.
    """
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        # A package may be there, and lack another or a version of it.
        name_of = (error.name or "").partition(".")[0]
        is_missing = isinstance(error, ModuleNotFoundError) and name_of == package
        problem = "is not installed" if is_missing else f"cannot be imported ({error})"
        raise ElmoError(
            f'The package {package} {problem}; {purpose} needs it: pip install "elmo-jax[{extra}]".'
        ) from None
