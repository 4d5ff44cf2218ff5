"""Errors and warnings, and small checks that raise them.

A message says what was expected, what came, where, and what to do.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import itertools
import math
import numbers
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

# This package, and packages that call it on behalf of the user.
_NOT_USERS = (__name__.partition(".")[0], "sklearn", "joblib", "ray", "spacy")


class ElmoError(ValueError):
    """Base class of every error that this library raises on purpose; a ``ValueError``."""


class MissingPackageError(ElmoError, ImportError):
    """An optional package is not installed; the message says what to install. An ``ImportError``.

    Its ``name`` is that of the package.
    """


class ElmoWarning(UserWarning):
    """Base class of every warning that this library gives on purpose."""


class DeviceMemoryWarning(ElmoWarning):
    """A device ran out of memory, and the run continues with smaller batches or tables."""


class MissingFontWarning(ElmoWarning):
    """No installed font has some characters of a figure; they are drawn as boxes."""


class WordsCutWarning(ElmoWarning):
    """Words are longer than the model reads: it sees only their first bytes."""


class RawTextWarning(ElmoWarning):
    """Text that was split at whitespace looks raw: punctuation is attached to its words."""


class UnknownWordsWarning(ElmoWarning):
    """More than a fifth of the words are not in the vocabulary of the softmax."""


class UnusedOptionsWarning(ElmoWarning):
    """An options.json has keys that have no effect."""


class WhitespaceWarning(ElmoWarning):
    """A word contains whitespace, or whitespace has split something that may be one."""


class DuplicateKeysWarning(ElmoWarning):
    """Several records of a corpus have the same key."""


def warn(message: str, category: type[ElmoWarning]) -> None:
    """Warn at the line that called this library, however deep inside it the warning arises."""
    # Python 3.12 has skip_file_prefixes for this.
    level, frame = 2, sys._getframe().f_back
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in _NOT_USERS:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def counted(n: int, noun: str) -> str:
    """A number with its noun in the singular or plural: "1 word", "2,000 words"."""
    return f"{n:,} {noun}" + "s" * (n != 1)


def first_few(problems: Sequence[str], most: int = 3) -> str:
    """Problems for a message: the first few, and how many more there are."""
    more = len(problems) - most
    return "; ".join(problems[:most]) + (f"; and {more:,} more" if more > 0 else "")


def did_you_mean(name: Any, names: Iterable[str], most: int = 1, likeness: float = 0.6) -> str:
    """The names that an unknown one resembles, as the end of a message; "" if there are none.

    Case, and ``-`` for ``_``, make no difference. Nobody who writes float64 means float32.

    Example:
        >>> "There is no layer 'averge'." + did_you_mean("averge", ["all", "average"])
        "There is no layer 'averge'. Did you mean 'average'?"
    """
    if not isinstance(name, str):
        return ""
    form, forms = _form(name), {_form(known): known for known in itertools.islice(names, 1000)}
    close = difflib.get_close_matches(form, forms, most, likeness)
    close = [other for other in close if not _differ_in_numbers_only(form, other)]
    shown = (known if (known := forms[other])[:1] == "-" else repr(known) for other in close)
    return f" Did you mean {' or '.join(shown)}?" if close else ""


def _form(name: str) -> str:
    # Longer ones are no name, and comparing them would take long.
    return name[:100].lower().replace("_", "-").strip(" -")


def _differ_in_numbers_only(first: str, second: str) -> bool:
    letters = [re.sub("[0-9]+", "0", name) for name in (first, second)]
    return letters[0] == letters[1] and first != second


def shortened(value: Any) -> str:
    """The repr of a value for a message, cut to 60 characters."""
    try:
        shown = repr(value)
    except ValueError:  # Python writes no integers of more than 4,300 digits
        shown = "a number of thousands of digits"
    except RecursionError:
        shown = f"a {type(value).__name__} nested too deep to be shown"
    quote = shown[-1] if isinstance(value, str | bytes) else ""
    return shown if len(shown) <= 60 else shown[:57] + "…" + quote


MOST_SEED = 2**32 - 1
"""The largest seed: JAX uses only the last 32 bits of larger ones."""

_MOST_COUNT = 2**63 - 1
"""The largest number of an array's size or index; NumPy and HDF5 fail beyond it."""


def check_count(value: Any, name: str, least: int = 1, most: int | None = None) -> None:
    """Raise ElmoError unless ``value`` is a whole number from ``least`` to ``most``."""
    if problem := count_problem(value, name, least, most):
        raise ElmoError(f"{problem}.")


def check_flag(value: Any, name: str, *, optional: bool = False) -> None:
    """Raise ElmoError unless ``value`` is True or False, or None if it is ``optional``."""
    if problem := flag_problem(value, name, optional=optional):
        raise ElmoError(f"{problem}.")


def check_seed(seed: Any) -> None:
    """Raise ElmoError unless ``seed`` is a whole number that JAX uses in full."""
    check_count(seed, "seed", 0, MOST_SEED)


def count_problem(value: Any, name: str, least: int = 1, most: int | None = None) -> str | None:
    """What is wrong with a number that should be whole, if anything."""
    # bool is an Integral, and True as a number is nearly always a mistake.
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    limit = _MOST_COUNT if most is None else most
    if whole and least <= value <= limit:
        return None
    is_limit_told = most is not None or (whole and value > limit)
    beyond = f" and at most {limit}" if is_limit_told else ""
    return f"{name} is {shortened(value)}, expected a whole number of at least {least}{beyond}"


def number_problem(value: Any, name: str, *, positive: bool, below: float = math.inf) -> str | None:
    """What is wrong with a number that should be finite and not negative, if anything."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    # A whole number may be finite, and yet too large for a float. NumPy's floats never are, and
    # those of 32 bits cannot be compared with the largest of 64.
    is_small = not isinstance(value, numbers.Integral) or value <= sys.float_info.max
    if real and 0 <= value < below and is_small and not (positive and value == 0):
        return None
    least = "more than 0" if positive else "at least 0"
    bound = "a finite number" if below == math.inf else f"a number below {below:g}"
    return f"{name} is {shortened(value)}, expected {bound} of {least}"


@contextlib.contextmanager
def noting_interrupts(remark: Callable[[], str]) -> Iterator[None]:
    """Add to an interrupt (Ctrl-C) that comes by what is kept and how to go on; "" adds nothing."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        with contextlib.suppress(Exception):  # a remark must not hide the interrupt
            if text := remark():
                interrupt.add_note(text)
        raise


def flag_problem(value: Any, name: str, *, optional: bool = False) -> str | None:
    """What is wrong with a value that should be True or False, if anything."""
    is_numpys = type(value).__name__ in ("bool", "bool_")  # without importing NumPy
    if isinstance(value, bool) or is_numpys or (optional and value is None):
        return None
    expected = "True, False or None" if optional else "True or False"
    return f"{name} is {shortened(value)}, expected {expected}"


def optional_module(name: str, purpose: str, extra: str) -> Any:
    """Import a module that ``extra`` of elmo-jax installs, or say in an error what needs it.

    Raises:
        MissingPackageError: if it cannot be imported.
    """
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        # The package may be installed, and one that it imports may not.
        missing = (error.name or "").partition(".")[0]
        is_missing = isinstance(error, ModuleNotFoundError) and missing == package
        problem = "is not installed" if is_missing else f"cannot be imported ({error})"
        raise missing_package(package, purpose, extra, problem) from None


def missing_package(
    package: str, purpose: str, extra: str, problem: str = "is not installed"
) -> MissingPackageError:
    """The error for an optional package that ``extra`` of elmo-jax installs."""
    error = MissingPackageError(
        f'The package {package} {problem}; {purpose} needs it: pip install "elmo-jax[{extra}]".'
    )
    error.name = package
    return error
