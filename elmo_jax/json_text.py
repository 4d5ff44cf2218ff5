"""JSON, written and read: every JSON text of this library passes here.

What others wrote may be anything; whatever is wrong with it is an ElmoError that says where.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from .errors import ElmoError


def to_json(value: Any, *, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """``json.dumps``, with null for the numbers that JSON lacks: infinities and NaN."""
    finite = _finite(value)
    return json.dumps(finite, indent=indent, ensure_ascii=ensure_ascii, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value


_MOST_LEVELS = 100
"""How deep a value may be nested: what reads or writes it later may be recursive."""


def parse_json(
    text: str | bytes, where: str, make_object: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The value of a JSON text; ``where`` is what errors call its origin.

    ``make_object`` makes an object of its members, which may have a name twice; by default a dict.

    Raises:
        ElmoError: if the text is not JSON, is not UTF-8, is nested too deep to be read, or has a
            whole number of thousands of digits.
    """
    try:
        value = json.loads(text, object_pairs_hook=make_object)
    except RecursionError:
        raise _too_deep(where) from None
    except ValueError as error:  # also UnicodeDecodeError, and integers beyond Python's limit
        raise ElmoError(f"{where} is not JSON: {error}.") from None
    marks: tuple[Any, Any] = ("[", "{") if isinstance(text, str) else (b"[", b"{")
    if sum(map(text.count, marks)) > _MOST_LEVELS:  # else it cannot be so deep
        _check_levels(value, where)
    return value


def _check_levels(value: Any, where: str) -> None:
    level = [value]
    for _ in range(_MOST_LEVELS):
        containers = [part for part in level if isinstance(part, dict | list)]
        if not containers:
            return
        level = [
            child
            for part in containers
            for child in (part.values() if isinstance(part, dict) else part)
            if isinstance(child, dict | list)
        ]
    if level:
        raise _too_deep(where)


def _too_deep(where: str) -> ElmoError:
    return ElmoError(f"{where} is not JSON that can be read: it is nested too deep.")


def parse_json_object(text: str | bytes, where: str) -> dict[str, Any]:
    """``parse_json`` for a text that must be an object.

    Raises:
        ElmoError: as ``parse_json`` does, and for any other value.
    """
    value = parse_json(text, where)
    if not isinstance(value, dict):
        raise ElmoError(f"{where}: expected a JSON object, got {type(value).__name__}.")
    return value
