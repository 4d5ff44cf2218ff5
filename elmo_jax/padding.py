"""The shape of a padded batch: one of few, so that few are compiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .counting import counted
from .errors import ElmoError
from .ranges import count_problem


def batch_shape(
    lengths: Sequence[int],
    pad_to: int | Sequence[int] | None = None,
    batch_size: int | None = None,
) -> tuple[int, int]:
    """How many rows and how many tokens hold sentences of these lengths.

    Args:
        lengths: of the sentences.
        pad_to: the number of tokens, or several to choose from: the smallest that holds the
            longest sentence. The longest sentence's length if None.
        batch_size: the number of rows; that of the sentences if None.

    Raises:
        ElmoError: for something that is no size, or if the sentences do not fit.
    """
    n_rows = len(lengths) if batch_size is None else _size(batch_size, "batch_size")
    if len(lengths) > n_rows:
        raise ElmoError(
            f"Got {counted(len(lengths), 'sentence')} for batch_size={n_rows}. Divide them into "
            "batches of at "
            "most that many."
        )
    longest = max(lengths, default=0)
    if pad_to is None:
        return n_rows, longest
    sizes = _sizes(pad_to)
    if longest > max(sizes):
        index = list(lengths).index(longest)
        raise ElmoError(
            f"Sentence {index} has {longest} words; pad_to={pad_to!r} allows at most {max(sizes)}. "
            "Add a larger length to pad_to, or divide the sentence."
        )
    return n_rows, min(size for size in sizes if size >= longest)


def _sizes(pad_to: Any) -> list[int]:
    if isinstance(pad_to, str | bytes) or np.ndim(pad_to) == 0:
        return [_size(pad_to, "pad_to", ", or a list of such numbers")]
    if len(pad_to) == 0:
        raise ElmoError(f"pad_to is {pad_to!r}, expected at least one length.")
    return [_size(length, f"pad_to[{place}]") for place, length in enumerate(pad_to)]


def _size(value: Any, name: str, or_else: str = "") -> int:
    if problem := count_problem(value, name):
        raise ElmoError(f"{problem}{or_else}.")
    return int(value)
