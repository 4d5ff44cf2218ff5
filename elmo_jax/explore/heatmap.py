"""How similar are sentences, or the words of two sentences? Cosines as an array or a heatmap."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..embedder import Elmo
from ..errors import ElmoError
from ..files import atomic_file
from ..model.arrays import finite_floats
from ..model.layers import Layers
from ..text.sentences import check_collection, check_sentences, check_strings
from ..text.tokenizers import CheckedWords
from .drawing import FIGURE_SUFFIXES, new_figure, plain, printable, save_figure
from .occurrences import unit_vectors

_COLUMN_NAME_LENGTH = 24  # longer names have no room above their columns

# A figure with more rows or columns has no numbers in its cells, but a scale of colours, and grows
# no further. With 200 rows of numbers, drawing took gigabytes.
_MAX_NUMBERED = 50

_LOW, _HIGH = (247, 249, 252), (0, 82, 147)
_LIGHT_INK, _DARK_INK = "#ffffff", "#1c2733"


class Heatmap(NamedTuple):
    """Cosines of rows with columns, and their names; ``values`` is float32 [rows, columns]."""

    rows: list[str]
    columns: list[str]
    values: np.ndarray


def sentence_similarity(
    elmo: Elmo,
    sentences: Sequence[Sequence[str]],
    *,
    layers: Layers = "average",
    pooling: str = "mean",
) -> Heatmap:
    """The cosine of every sentence with every other, from their pooled vectors.

    ``layers`` is one layer: "average", "top" or a number; ``pooling`` is "mean" or "max".

    Raises:
        ElmoError: for an unknown layer or pooling, or bad sentences.
    """
    _check_one_layer(layers)
    check_collection(sentences, "sentence_similarity(elmo, [{}.split(), other.split()])")
    sentences = list(sentences)  # before the next line reads it: it may be an iterator
    check_sentences(sentences)
    sentences = [CheckedWords(words) for words in sentences]
    vectors_BD = unit_vectors(elmo.embed_sentences(sentences, layers, pooling))
    names = [" ".join(words) for words in sentences]
    return Heatmap(names, names, vectors_BD @ vectors_BD.T)


def word_similarity(
    elmo: Elmo, first: Sequence[str], second: Sequence[str], *, layers: Layers = "average"
) -> Heatmap:
    """The cosine of every word of one sentence with every word of another.

    ``layers`` is one layer, as for ``sentence_similarity``.

    Raises:
        ElmoError: for an unknown layer, or bad sentences.
    """
    _check_one_layer(layers)
    rows, columns = (unit_vectors(vectors) for vectors in elmo.embed([first, second], layers))
    return Heatmap(list(first), list(second), rows @ columns.T)


def write_heatmap(
    path: str | os.PathLike[str], heatmap: Heatmap, *, title: str = "", overwrite: bool = False
) -> None:
    """Draw a heatmap as .html, or with the extra ``plots`` as .png, .pdf or .svg.

    Raises:
        ElmoError: for another suffix, names or values that do not fit each other or are not finite,
            a file that cannot be written, or a missing package.
    """
    heatmap = _checked(heatmap)
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix in FIGURE_SUFFIXES:
        save_figure(target, _figure(heatmap, title), overwrite=overwrite)
    elif suffix == ".html":
        with atomic_file(target, overwrite=overwrite) as temporary:
            temporary.write_text(_html(heatmap, title), encoding="utf-8")
    else:
        expected = ", ".join((".html", *FIGURE_SUFFIXES))
        raise ElmoError(f"Cannot draw {target}: expected a name that ends in {expected}.")


def _check_one_layer(layers: Layers) -> None:
    if isinstance(layers, str) and layers in ("all", "mix"):
        raise ElmoError(f"Expected one layer: average, top or a number; got {layers!r}.")


def _checked(heatmap: Heatmap) -> Heatmap:
    rows, columns, values = heatmap
    for names in (rows, columns):
        check_strings(names, "the names of a heatmap")
        if not len(names):
            raise ElmoError("Expected a heatmap with at least one row and one column.")
    shape, meaning = (len(rows), len(columns)), "one value for each row and column"
    finite = finite_floats(values, "The values of the heatmap", shape, meaning)
    return Heatmap(list(rows), list(columns), np.asarray(finite))


def _scaled(values: np.ndarray) -> np.ndarray:
    """The values, scaled from 0 for the smallest to 1 for the largest."""
    return (values - values.min()) / max(values.max() - values.min(), 1e-6)


def _ink(scaled_value: float) -> str:
    """The colour of a number that can be read on the colour of its cell."""
    return _LIGHT_INK if scaled_value > 0.55 else _DARK_INK


def _figure(heatmap: Heatmap, title: str) -> Any:
    n_rows, n_columns = heatmap.values.shape
    shrink = min(1.0, _MAX_NUMBERED / max(n_rows, n_columns))
    figure, axes = new_figure(2.6 + 0.62 * shrink * n_columns, 1.9 + 0.46 * shrink * n_rows)
    from matplotlib.colors import LinearSegmentedColormap

    colours = np.array([_LOW, _HIGH]) / 255
    image = axes.imshow(
        heatmap.values, cmap=LinearSegmentedColormap.from_list("blues", colours), aspect="auto"
    )
    slanted = {"rotation": 40, "horizontalalignment": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(n_columns), [_short(name) for name in heatmap.columns], **slanted)
    axes.set_yticks(range(n_rows), [_short(name) for name in heatmap.rows])
    axes.tick_params(length=0, labelsize=9 * shrink)
    axes.spines[:].set_visible(False)
    axes.set_title(plain(title), fontsize=10, loc="left")
    if shrink < 1:
        figure.colorbar(image, ax=axes, shrink=0.5)
        return figure
    scaled = _scaled(heatmap.values)
    for (row, column), value in np.ndenumerate(heatmap.values):
        colour = _ink(float(scaled[row, column]))
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    return figure


def _html(heatmap: Heatmap, title: str) -> str:
    row_names, column_names = _names(heatmap)
    head = "".join(
        _name_cell("col", name, full_name)
        for name, full_name in zip(column_names, heatmap.columns, strict=True)
    )
    rows = "\n".join(
        f"<tr>{_name_cell('row', name, name)}{''.join(map(_value_cell, values, scaled))}</tr>"
        for name, values, scaled in zip(
            row_names, heatmap.values, _scaled(heatmap.values), strict=True
        )
    )
    template = Path(__file__).with_name("heatmap.html").read_text(encoding="utf-8")
    # The contents are escaped, so none of them can hold a mark.
    for mark, content in (("TITLE", html.escape(printable(title))), ("HEAD", head), ("ROWS", rows)):
        before, after = template.split(f"<!--{mark}-->", 1)
        template = before + content + after
    return template


def _value_cell(value: float, scaled_value: float) -> str:
    rgb = [round(a + (b - a) * scaled_value) for a, b in zip(_LOW, _HIGH, strict=True)]
    style = f"background:rgb({','.join(map(str, rgb))});color:{_ink(scaled_value)}"
    return f'<td style="{style}">{value:.2f}</td>'


def _names(heatmap: Heatmap) -> tuple[list[str], list[str]]:
    """Names of rows and columns. Long names that both share become numbers above the columns."""
    rows, columns = heatmap.rows, heatmap.columns
    if rows != columns or max(map(len, columns)) <= _COLUMN_NAME_LENGTH:
        return rows, columns
    numbers = [f"[{number}]" for number in range(1, len(rows) + 1)]
    return [f"{number} {row}" for number, row in zip(numbers, rows, strict=True)], numbers


def _name_cell(scope: str, name: str, full_name: str) -> str:
    """A cell that names a row or column. The whole name shows up when the pointer rests on it."""
    name, full_name = (html.escape(printable(text)) for text in (name, full_name))
    return f'<th scope="{scope}" dir="auto" title="{full_name}"><div>{name}</div></th>'


def _short(name: str) -> str:
    return plain(name if len(name) <= 32 else name[:31] + "…")
