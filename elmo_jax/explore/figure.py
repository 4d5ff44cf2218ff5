"""A word's occurrences as a figure for a paper: one panel a layer (extra ``plots``)."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import counted, optional_module
from ..files import atomic_file
from .colours import OTHER, colours_of, layer_name
from .fonts import choose_fonts, without_glyph_warnings
from .occurrences import Occurrence
from .projection import project_layers

SUFFIXES = (".png", ".pdf", ".svg")


def write_figure(
    path: str | os.PathLike[str],
    word: str,
    found: Sequence[Occurrence],
    vectors: np.ndarray,
    *,
    overwrite: bool = False,
) -> None:
    """Draw occurrences on a plane, one panel a layer, with a legend if they have labels.

    Args:
        path: .png, .pdf or .svg.
        word: for the title.
        found: the occurrences.
        vectors: [N, L, D], theirs.
        overwrite: replace an existing file.

    Raises:
        ElmoError: if the file cannot be written, or matplotlib is not installed.
    """
    save_figure(path, _figure(word, found, vectors), overwrite=overwrite)


def new_figure(width: float, height: float, **subplots: Any) -> tuple[Any, Any]:
    """An empty figure that opens no window, and its axes.

    Raises:
        ElmoError: if matplotlib is not installed.
    """
    module = optional_module("matplotlib.figure", "a figure (but not a page)", "plots")
    figure = module.Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(**subplots)


def save_figure(path: str | os.PathLike[str], figure: Any, *, overwrite: bool) -> None:
    """Write a figure; the suffix says how."""
    target = Path(path)
    choose_fonts(figure)
    with atomic_file(target, overwrite=overwrite) as temporary, without_glyph_warnings():
        figure.savefig(temporary, format=target.suffix[1:].lower(), dpi=200)


def plain(text: str) -> str:
    """A text for matplotlib: without characters that have no picture, and no mathematics.

    It takes what stands between two dollar signs for mathematics.
    """
    return "".join(map(_drawable, text)).replace("$", r"\$")


def _drawable(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cf" or "\ufe00" <= character <= "\ufe0f":  # joiners, and variants of emoji
        return ""
    if kind.startswith("Z"):
        return " "
    return "\ufffd" if kind in ("Cc", "Cs", "Cn", "Co") else character


def _figure(word: str, found: Sequence[Occurrence], vectors: np.ndarray) -> Any:
    projections = project_layers(vectors)
    labels = [each.label for each in found]
    colours = colours_of(labels)
    figure, axes = new_figure(
        3.1 * len(projections), 3.5, nrows=1, ncols=len(projections), squeeze=False
    )
    for layer, (panel, (points, explained)) in enumerate(zip(axes[0], projections, strict=True)):
        for label, colour in colours.items():
            of_label = points[[each == label for each in labels]]
            panel.scatter(
                *of_label.T,
                s=16,
                color=colour,
                alpha=0.8,
                linewidths=0,
                label=None if label is None and len(colours) == 1 else plain(label or OTHER),
            )
        panel.set_title(layer_name(layer, len(projections)), fontsize=10)
        panel.set_xlabel(f"PC 1 ({explained[0]:.0%})", fontsize=8)
        panel.set_ylabel(f"PC 2 ({explained[1]:.0%})", fontsize=8)
        panel.tick_params(labelsize=7, color="#999999")
        panel.set_aspect("equal", adjustable="datalim")
        panel.spines[["top", "right"]].set_visible(False)
    handles, names = axes[0][0].get_legend_handles_labels()
    if handles:
        columns = min(len(names), 4)
        figure.legend(
            handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=8
        )
    figure.suptitle(plain(f"“{word}”, {counted(len(found), 'occurrence')}"), fontsize=11)
    return figure
