"""How similar are sentences, or the words of two sentences? Cosines as an array or a heatmap."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..embedder import Elmo
from ..embedder.results import unit_vectors
from ..errors import ElmoError
from ..files import atomic_file
from ..model.arrays import finite_floats
from ..model.layers import Layers
from ..text.sentences import check_collection, check_sentences, check_strings
from ..text.tokenizers import CheckedWords
from .drawing import FIGURE_SUFFIXES, new_figure, plain, printable, save_figure

_COLUMN_NAME_LENGTH = 24  # longer names have no room above their columns

# A figure with more rows or columns has no numbers in its cells, but a scale of colors, and grows
# no further. With 200 rows of numbers, drawing took gigabytes.
_MAX_NUMBERED = 50

# One scale for all pictures, so that they can be compared. Between 0.5 and 1, where most cosines of
# sentences are, colors change fastest.
_COSINES = np.array([-1, 0, 0.5, 0.75, 1])
_COLORS = np.array([(190, 75, 0), (247, 249, 252), (190, 224, 222), (58, 152, 192), (8, 34, 102)])

# In the tests of mini (docs/guide/layers.md), the token layer is best at the similarity of
# sentences, and the LSTM layers are best at the senses of words: as good as each other, and the
# first costs less.
SENTENCE_LAYER, WORD_LAYER = 0, 1


class Heatmap(NamedTuple):
    """Cosines of rows with columns, and their names; ``values`` is float32 [rows, columns]."""

    rows: list[str]
    columns: list[str]
    values: np.ndarray


def sentence_similarity(
    elmo: Elmo,
    sentences: Sequence[Sequence[str]],
    *,
    layers: Layers = SENTENCE_LAYER,
    pooling: str = "mean",
) -> Heatmap:
    """The cosine of every sentence with every other, from their pooled vectors.

    ``layers`` is one layer: "average", "top" or a number; 0, the token layer, was the best of
    *mini* at this. ``pooling`` is "mean", "max" or "sif".

    Raises:
        ElmoError: for an unknown layer or pooling, or bad sentences.

    Example:
        >>> sentences = [["The", "bank", "lends", "money", "."], ["He", "got", "a", "loan", "."]]
        >>> sentence_similarity(elmo_jax.Elmo(), sentences).values.shape
        (2, 2)
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
    elmo: Elmo, first: Sequence[str], second: Sequence[str], *, layers: Layers = WORD_LAYER
) -> Heatmap:
    """The cosine of every word of one sentence with every word of another.

    ``layers`` is one layer, as for ``sentence_similarity``; by default the first LSTM layer, which
    knows a word's sense better than the token layer does.

    Raises:
        ElmoError: for an unknown layer, or bad sentences.

    Example:
        >>> words = ["The", "bank", "lends", "money", "."], ["He", "got", "a", "loan"]
        >>> word_similarity(elmo_jax.Elmo(), *words).values.shape
        (5, 4)
    """
    _check_one_layer(layers)
    rows, columns = (unit_vectors(vectors) for vectors in elmo.embed([first, second], layers))
    return Heatmap(list(first), list(second), rows @ columns.T)


def write_heatmap(
    path: str | os.PathLike[str], heatmap: Heatmap, *, title: str = "", overwrite: bool = False
) -> None:
    """Draw a heatmap as .html, or with the extra ``plots`` as .png, .pdf or .svg.

    Equal cosines have equal colors in all heatmaps: from orange, -1, over white, 0, to blue, 1.

    Raises:
        ElmoError: for another suffix, names or values that do not fit each other or are not finite,
            a file that cannot be written, or a missing package.

    Example:
        >>> heatmap = word_similarity(elmo_jax.Elmo(), ["a", "play"], ["the", "play"])
        >>> write_heatmap("heat.html", heatmap, title="a play, the play")
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


def _colors(values: np.ndarray) -> np.ndarray:
    """The colors of cosines, red, green and blue from 0 to 255: int [..., 3]."""
    channels = [np.interp(values, _COSINES, channel) for channel in _COLORS.T]
    return np.stack(channels, axis=-1).round().astype(int)


def _ink(color: np.ndarray) -> str:
    """Black or white, whichever can be read better on a color: its contrast is at least 4.5."""
    shares = color / 255
    # Relative luminance and contrast as in WCAG 2.
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return "#ffffff" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "#000000"


def _figure(heatmap: Heatmap, title: str) -> Any:
    n_rows, n_columns = heatmap.values.shape
    shrink = min(1.0, _MAX_NUMBERED / max(n_rows, n_columns))
    width, height = 3.4 + 0.62 * shrink * n_columns, 1.9 + 0.46 * shrink * n_rows
    figure, axes = new_figure(width, height)
    from matplotlib.colors import LinearSegmentedColormap

    stops = list(zip((_COSINES + 1) / 2, _COLORS / 255, strict=True))
    cmap = LinearSegmentedColormap.from_list("cosine", stops, N=1024)
    image = axes.imshow(heatmap.values, cmap=cmap, vmin=-1, vmax=1, aspect="auto")
    slanted = {"rotation": 40, "horizontalalignment": "right", "rotation_mode": "anchor"}
    row_names, column_names = _names(heatmap)
    axes.set_xticks(range(n_columns), map(_short, column_names), **slanted)
    axes.set_yticks(range(n_rows), map(_short, row_names))
    axes.tick_params(length=0, labelsize=9 * shrink)
    axes.spines[:].set_visible(False)
    axes.set_title(plain(title), fontsize=10, loc="left")
    legend = figure.colorbar(image, ax=axes, ticks=[-1, 0, 0.5, 1], shrink=min(1, 3 / height))
    legend.set_label("cosine", fontsize=8)
    legend.ax.tick_params(labelsize=8)
    legend.outline.set_visible(False)
    if shrink < 1:
        return figure
    colors = _colors(heatmap.values)
    for (row, column), value in np.ndenumerate(heatmap.values):
        ink = _ink(colors[row, column])
        axes.text(column, row, f"{value:z.2f}", ha="center", va="center", fontsize=8, color=ink)
    return figure


def _html(heatmap: Heatmap, title: str) -> str:
    row_names, column_names = _names(heatmap)
    head = "".join(
        _name_cell("col", name, full_name)
        for name, full_name in zip(column_names, heatmap.columns, strict=True)
    )
    rows = "\n".join(
        f"<tr>{_name_cell('row', name, name)}{''.join(map(_value_cell, values, colors))}</tr>"
        for name, values, colors in zip(
            row_names, heatmap.values, _colors(heatmap.values), strict=True
        )
    )
    template = Path(__file__).with_name("heatmap.html").read_text(encoding="utf-8")
    # The contents are escaped, so none of them can hold a mark.
    contents = {
        "TITLE": html.escape(printable(title)),
        "HEAD": head,
        "ROWS": rows,
        "SCALE": ", ".join(map(_color_stop, _COSINES, _COLORS)),
    }
    for mark, content in contents.items():
        before, after = template.split(f"<!--{mark}-->", 1)
        template = before + content + after
    return template


def _value_cell(value: float, color: np.ndarray) -> str:
    style = f"background:{_css(color)};color:{_ink(color)}"
    return f'<td style="{style}">{value:z.2f}</td>'


def _color_stop(cosine: float, color: np.ndarray) -> str:
    return f"{_css(color)} {50 * (cosine + 1):g}%"


def _css(color: np.ndarray) -> str:
    return f"rgb({','.join(map(str, color))})"


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
