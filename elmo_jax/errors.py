"""The errors and warnings of this library: what was expected, what came, where, and what to do."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

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
