"""A word's occurrences as one HTML page that needs nothing else: no network, no server.

The page is ``page.html`` with the data inside, as JSON. Text reaches the document only as text
nodes, so no sentence can become markup; the page's policy forbids every request.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_file, to_json
from .colours import OTHER, colours_of, layer_name
from .occurrences import Occurrence
from .projection import Projection, project_layers


def write_page(
    path: str | os.PathLike[str],
    word: str,
    found: Sequence[Occurrence],
    vectors: np.ndarray,
    *,
    source: str = "",
    total: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write the page.

    Args:
        path: the HTML file.
        word: the word, for the title.
        found: its occurrences.
        vectors: [N, L, D], theirs.
        source: where they come from and which model was used, for the reader.
        total: how many the text has, if not all are shown.
        overwrite: replace an existing file.

    Raises:
        ElmoError: if the file exists or cannot be written.
    """
    data = _data(word, found, vectors) | {"source": source, "total": total or len(found)}
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    before, after = template.split("/*DATA*/", 1)
    with atomic_file(Path(path), overwrite=overwrite) as temporary:
        temporary.write_text(before + _inside_script(data) + after, encoding="utf-8")


def _inside_script(data: Any) -> str:
    # JSON in a script element ends at "</script", and "<!--" confuses parsers: no "<" at all. What
    # is no whole character (half a surrogate pair) could not be written; \u escapes can.
    return to_json(data).replace("<", "\\u003c")


def _data(word: str, found: Sequence[Occurrence], vectors: np.ndarray) -> dict[str, Any]:
    colours = colours_of(each.label for each in found)
    counts = collections.Counter(each.label for each in found)
    order = {label: number for number, label in enumerate(colours)}
    projections = project_layers(vectors)
    return {
        "word": word,
        "labels": [
            {"name": label or OTHER, "colour": colour, "count": counts[label]}
            for label, colour in colours.items()
        ],
        "labelled": set(counts) != {None},
        "items": [
            [
                " ".join(each.words[: each.position]),
                each.word,
                " ".join(each.words[each.position + 1 :]),
                order[each.label],
                each.sentence + 1,
            ]
            for each in found
        ],
        "layers": [
            {"name": layer_name(layer, len(projections)), **_layer(projection)}
            for layer, projection in enumerate(projections)
        ],
    }


def _layer(projection: Projection) -> dict[str, Any]:
    """Points within -1 to 1, one scale for both axes, four digits."""
    most = np.abs(projection.points).max() or 1.0
    scaled = np.round(projection.points / most, 4)
    return {
        "explained": np.round(projection.explained, 4).tolist(),
        "x": scaled[:, 0].tolist(),
        "y": scaled[:, 1].tolist(),
    }
