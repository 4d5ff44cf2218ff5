"""The occurrences of a word on a plane: as a page to explore, or as a figure for a paper.

A page is ``page.html`` with its style, its script and the data inside, as JSON. It needs no network
and no server. Text enters the document only as text nodes, so no sentence can become markup; the
page's content security policy forbids every request.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import counted
from ..files import atomic_file
from ..json_text import to_json
from ..model.arrays import finite_floats
from ..text.sentences import check_strings
from .drawing import NO_LABEL, colors_of, layer_name, new_figure, plain, save_figure
from .occurrences import Occurrence, check_occurrences
from .projection import Projection, project_layers


def write_page(
    path: str | os.PathLike[str],
    word: str,
    occurrences: Sequence[Occurrence],
    vectors: np.ndarray,
    *,
    source: str = "",
    total: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write occurrences as an HTML page, with one plane per layer.

    ``vectors`` [N, L, D] come from ``embed_occurrences``. ``source`` is a line that says where the
    sentences and vectors come from, ``total`` the number of occurrences if these are a sample.

    Raises:
        ElmoError: if the vectors are not those of the occurrences, or the file exists or cannot be
            written.

    Example:
        >>> occurrences = find_occurrences("bank", [["a", "bank"], ["The", "Bank", "lends"]])
        >>> vectors = embed_occurrences(elmo_jax.Elmo(), occurrences)
        >>> write_page("bank.html", "bank", occurrences, vectors, source="two sentences")
    """
    _check_vectors(word, occurrences, vectors)
    data = _page_data(word, occurrences, vectors)
    data |= {"source": source, "total": total or len(occurrences)}
    page = _part("page.html")
    # The data come last: a sentence may hold any of the marks.
    parts = (
        ("STYLE", _part("page.css")),
        ("SCRIPT", _part("page-dots.js") + "\n" + _part("page.js")),
    )
    for mark, content in (*parts, ("DATA", _json_for_script(data))):
        before, after = page.split(f"/*{mark}*/", 1)
        page = before + content + after
    with atomic_file(Path(path), overwrite=overwrite) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _check_vectors(word: str, occurrences: Sequence[Occurrence], vectors: np.ndarray) -> None:
    check_strings([word], "the word")
    check_occurrences(occurrences)
    shape, meaning = (len(occurrences), None, None), "as embed_occurrences returns them"
    finite_floats(vectors, "vectors", shape, meaning)


def _json_for_script(data: Any) -> str:
    # "</script" would end the script element, and "<!--" confuses parsers, so every "<" goes.
    # to_json escapes lone surrogates, which could not be written as UTF-8.
    return to_json(data).replace("<", "\\u003c")


def _page_data(word: str, occurrences: Sequence[Occurrence], vectors: np.ndarray) -> dict[str, Any]:
    colors = colors_of(each.label for each in occurrences)
    counts = collections.Counter(each.label for each in occurrences)
    index_of_label = {label: index for index, label in enumerate(colors)}
    projections = project_layers(vectors)
    several_files = len({each.file for each in occurrences}) > 1
    return {
        "word": word,
        "labels": [
            {"name": label or NO_LABEL, "color": color, "count": counts[label]}
            for label, color in colors.items()
        ],
        "labeled": set(counts) != {None},
        # As page.js reads them: left context, word, right context, label, where the sentence is.
        "items": [
            [
                " ".join(each.words[: each.position]),
                each.word,
                " ".join(each.words[each.position + 1 :]),
                index_of_label[each.label],
                _place(each, several_files=several_files),
            ]
            for each in occurrences
        ],
        "layers": [
            {"name": layer_name(layer, len(projections)), **_page_layer(projection)}
            for layer, projection in enumerate(projections)
        ],
    }


def _place(occurrence: Occurrence, *, several_files: bool) -> str:
    """Where the sentence is: its line, and its file if there are several; or its number."""
    if not occurrence.line:
        return f"sentence {occurrence.sentence + 1:,}" if occurrence.sentence >= 0 else ""
    file = f"{Path(occurrence.file).name}, " if several_files else ""
    return f"{file}line {occurrence.line:,}"


def _page_layer(projection: Projection) -> dict[str, Any]:
    """Points from -1 to 1 with four digits; one scale for both axes."""
    scale = np.abs(projection.points).max() or 1.0
    scaled = np.round(projection.points / scale, 4)
    return {
        "explained": np.round(projection.explained, 4).tolist(),
        "x": scaled[:, 0].tolist(),
        "y": scaled[:, 1].tolist(),
    }


def write_figure(
    path: str | os.PathLike[str],
    word: str,
    occurrences: Sequence[Occurrence],
    vectors: np.ndarray,
    *,
    overwrite: bool = False,
) -> None:
    """Draw occurrences as .png, .pdf or .svg, with one panel per layer and a legend of the labels.

    ``vectors`` [N, L, D] come from ``embed_occurrences``.

    Raises:
        ElmoError: if the vectors are not those of the occurrences, the file cannot be written, or
            matplotlib is not installed.

    Example:
        >>> occurrences = find_occurrences("bank", [["a", "bank"], ["The", "Bank", "lends"]])
        >>> vectors = embed_occurrences(elmo_jax.Elmo(), occurrences)
        >>> write_figure("bank.pdf", "bank", occurrences, vectors)
    """
    _check_vectors(word, occurrences, vectors)
    save_figure(path, _figure(word, occurrences, vectors), overwrite=overwrite)


def _figure(word: str, occurrences: Sequence[Occurrence], vectors: np.ndarray) -> Any:
    projections = project_layers(vectors)
    labels = [each.label for each in occurrences]
    colors = colors_of(labels)
    n = len(projections)
    figure, axes = new_figure(3.1 * n, 3.5, nrows=1, ncols=n, squeeze=False)
    for layer, (panel, (points, explained)) in enumerate(zip(axes[0], projections, strict=True)):
        for label, color in colors.items():
            points_of_label = points[[each == label for each in labels]]
            panel.scatter(
                *points_of_label.T,
                s=16,
                color=color,
                alpha=0.8,
                linewidths=0,
                label=None if label is None and len(colors) == 1 else plain(label or NO_LABEL),
            )
        panel.set_title(layer_name(layer, n), fontsize=10)
        panel.set_xlabel(f"PC 1 ({explained[0]:.0%})", fontsize=8)
        panel.set_ylabel(f"PC 2 ({explained[1]:.0%})", fontsize=8)
        panel.tick_params(labelsize=7, color="#999999")
        panel.set_aspect("equal", adjustable="datalim")
        panel.spines[["top", "right"]].set_visible(False)
    handles, names = axes[0][0].get_legend_handles_labels()
    if handles:
        n_columns = min(len(names), 4)
        figure.legend(
            handles, names, loc="outside lower center", ncols=n_columns, frameon=False, fontsize=8
        )
    figure.suptitle(plain(f"“{word}”, {counted(len(occurrences), 'occurrence')}"), fontsize=11)
    return figure
