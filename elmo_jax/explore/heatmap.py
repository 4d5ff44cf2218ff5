"""How alike are sentences, or the words of two? Cosines as an array, a table and a heatmap."""

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
from ..model.layers import Layers
from ..text.sentences import CheckedWords, check_not_a_string, check_sentences
from .figure import SUFFIXES, new_figure, plain, save_figure

_LONG = 24
"""Characters of a name that can stand above a column."""

_MOST_WRITTEN = 50
"""Rows or columns of a figure whose cells hold numbers; more share the room that these take, and a
scale of colours stands in the numbers' place. Two hundred with numbers took gigabytes to draw."""

_LOW, _HIGH = (247, 249, 252), (0, 82, 147)


class Heatmap(NamedTuple):
    """Cosines of rows with columns.

    Attributes:
        rows: their names.
        columns: their names.
        values: float32 [rows, columns].
    """

    rows: list[str]
    columns: list[str]
    values: np.ndarray


def sentence_similarity(
    elmo: Elmo,
    sentences: Sequence[Sequence[str]],
    *,
    layer: Layers = "average",
    pooling: str = "mean",
) -> Heatmap:
    """Each sentence with each other, pooled.

    Args:
        elmo: the model.
        sentences: lists of words.
        layer: "average", "top" or a number.
        pooling: "mean" or "max".

    Raises:
        ElmoError: for an unknown layer or pooling, or bad sentences.
    """
    _one_layer(layer)
    check_not_a_string(sentences)
    sentences = list(sentences)
    check_sentences(sentences)
    sentences = [CheckedWords(words) for words in sentences]
    vectors_BD = _unit(elmo.embed_sentences(sentences, layer, pooling))
    names = [" ".join(words) for words in sentences]
    return Heatmap(names, names, vectors_BD @ vectors_BD.T)


def word_similarity(
    elmo: Elmo, first: Sequence[str], second: Sequence[str], *, layer: Layers = "average"
) -> Heatmap:
    """Each word of a sentence with each word of another.

    Raises:
        ElmoError: for an unknown layer, or bad sentences.
    """
    _one_layer(layer)
    rows, columns = (_unit(vectors) for vectors in elmo.embed([first, second], layer))
    return Heatmap(list(first), list(second), rows @ columns.T)


def write_heatmap(
    path: str | os.PathLike[str], heatmap: Heatmap, *, title: str = "", overwrite: bool = False
) -> None:
    """Draw a heatmap: .html needs nothing, .png, .pdf and .svg need the extra ``plots``.

    Raises:
        ElmoError: for another suffix, a file that cannot be written, or a missing package.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix in SUFFIXES:
        save_figure(target, _figure(heatmap, title), overwrite=overwrite)
    elif suffix == ".html":
        with atomic_file(target, overwrite=overwrite) as temporary:
            temporary.write_text(_html(heatmap, title), encoding="utf-8", errors="replace")
    else:
        raise ElmoError(
            f"Cannot draw {target}: expected a name that ends in .html, {', '.join(SUFFIXES)}."
        )


def _one_layer(layer: Layers) -> None:
    if layer in ("all", "mix"):
        raise ElmoError(f"Expected one layer: average, top or a number; got {layer!r}.")


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _share(heatmap: Heatmap) -> np.ndarray:
    """Each value between the smallest (0) and the largest (1)."""
    low, high = heatmap.values.min(), heatmap.values.max()
    return (heatmap.values - low) / max(high - low, 1e-6)


def _figure(heatmap: Heatmap, title: str) -> Any:
    n_rows, n_columns = heatmap.values.shape
    shrink = min(1.0, _MOST_WRITTEN / max(n_rows, n_columns))
    figure, axes = new_figure(2.6 + 0.62 * shrink * n_columns, 1.9 + 0.46 * shrink * n_rows)
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list(
        "blues", [tuple(part / 255 for part in colour) for colour in (_LOW, _HIGH)]
    )
    image = axes.imshow(heatmap.values, cmap=scale, aspect="auto")
    axes.set_xticks(range(n_columns), [_short(name) for name in heatmap.columns], rotation=40)
    for label in axes.get_xticklabels():
        label.set_horizontalalignment("right")
        label.set_rotation_mode("anchor")
    axes.set_yticks(range(n_rows), [_short(name) for name in heatmap.rows])
    axes.tick_params(length=0, labelsize=9 * shrink)
    axes.spines[:].set_visible(False)
    axes.set_title(plain(title), fontsize=10, loc="left")
    if shrink < 1:
        figure.colorbar(image, ax=axes, shrink=0.5)
    else:
        _write_values(axes, heatmap)
    return figure


def _write_values(axes: Any, heatmap: Heatmap) -> None:
    shares = _share(heatmap)
    for (row, column), value in np.ndenumerate(heatmap.values):
        colour = "white" if shares[row, column] > 0.55 else "#1c2733"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)


def _html(heatmap: Heatmap, title: str) -> str:
    row_names, column_names = _numbered(heatmap)
    head = "".join(
        _name("col", name, whole) for name, whole in zip(column_names, heatmap.columns, strict=True)
    )
    rows = "\n".join(
        f"<tr>{_name('row', name, name)}{_row(values, shares)}</tr>"
        for name, values, shares in zip(row_names, heatmap.values, _share(heatmap), strict=True)
    )
    template = Path(__file__).with_name("heatmap.html").read_text(encoding="utf-8")
    for mark, content in (("TITLE", html.escape(title)), ("HEAD", head), ("ROWS", rows)):
        before, after = template.split(f"<!--{mark}-->", 1)
        template = before + content + after
    return template


def _row(values: np.ndarray, shares: np.ndarray) -> str:
    cells = []
    for value, share in zip(values, shares, strict=True):
        colour = ",".join(str(round(a + (b - a) * share)) for a, b in zip(_LOW, _HIGH, strict=True))
        ink = "#fff" if share > 0.55 else "#1c2733"
        cells.append(f'<td style="background:rgb({colour});color:{ink}">{value:.2f}</td>')
    return "".join(cells)


def _numbered(heatmap: Heatmap) -> tuple[list[str], list[str]]:
    """The names of rows and columns; sentences with one another have numbers above the columns."""
    rows, columns = heatmap.rows, heatmap.columns
    if rows != columns or max(map(len, columns)) <= _LONG:
        return rows, columns
    numbers = [f"[{number}]" for number in range(1, len(rows) + 1)]
    return [f"{number} {row}" for number, row in zip(numbers, rows, strict=True)], numbers


def _name(scope: str, name: str, whole: str) -> str:
    """A cell that names a row or column; what does not fit is read by pointing at it."""
    return (
        f'<th scope="{scope}" dir="auto" title="{html.escape(whole)}">'
        f"<div>{html.escape(name)}</div></th>"
    )


def _short(name: str) -> str:
    return plain(name if len(name) <= 32 else name[:31] + "…")
