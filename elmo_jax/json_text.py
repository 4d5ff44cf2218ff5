"""Values to JSON that every reader of JSON takes."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(value: Any, *, indent: int | None = None, ensure_ascii: bool = True) -> str:
    """``json.dumps``, with null for the numbers that JSON does not have: infinities and NaN.

    Args:
        value: dictionaries, lists, tuples, strings, numbers, booleans and None.
        indent: as in ``json.dumps``.
        ensure_ascii: as in ``json.dumps``.

    Example:
        >>> to_json({"perplexity": float("inf"), "tokens": 3})
        '{"perplexity": null, "tokens": 3}'
    """
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
