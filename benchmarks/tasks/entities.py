"""Entities in BIO tags, as the CoNLL evaluation script reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def spans(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """The entities of a sentence: (start, end, type), the end exclusive.

    An entity starts at a B tag, and at an I tag that continues nothing: after O, or after
    another type.
    """
    start, inside = 0, ""  # the type of the entity that is open
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, kind = tag.partition("-")
        if inside and (prefix != "I" or kind != inside):
            yield start, i, inside
            inside = ""
        if kind and not inside:
            start, inside = i, kind


def span_counts(gold: Sequence[str], predicted: Sequence[str]) -> np.ndarray:
    """For F1, int [3]: entities found with their bounds and type, found at all, in the gold."""
    wanted, found = set(spans(gold)), set(spans(predicted))
    return np.array([len(wanted & found), len(found), len(wanted)])
