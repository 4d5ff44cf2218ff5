"""Colours of labels, and names of layers: the same on pages and figures."""

from __future__ import annotations

import collections
from collections.abc import Iterable

# Okabe & Ito's palette, told apart by people with any colour vision; its yellow and black, which
# vanish on white and on black, are left out.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#8a8f98"
OTHER = "no label"


def colours_of(labels: Iterable[str | None]) -> dict[str | None, str]:
    """A colour for each label, the most frequent first; rare ones beyond the palette are grey."""
    counts = collections.Counter(labels)
    if set(counts) == {None}:
        return {None: PALETTE[0]}
    named = sorted((label for label in counts if label is not None), key=lambda x: (-counts[x], x))
    colours: dict[str | None, str] = dict(zip(named, PALETTE, strict=False))
    for label in named[len(PALETTE) :]:
        colours[label] = GREY
    if None in counts:
        colours[None] = GREY
    return colours


def layer_name(layer: int, n_layers: int) -> str:
    """What a reader calls a layer."""
    if layer == 0:
        return "token layer"
    return f"biLM layer {layer}" + (" (top)" if layer == n_layers - 1 else "")
