"""Looking at contextual vectors: a word's occurrences, their neighbours, planes and heatmaps.

What the commands ``neighbors``, ``explore`` and ``similarity`` do, as functions that give arrays,
for notebooks.

Example:
    >>> from elmo_jax import Elmo, explore
    >>> elmo = Elmo()
    >>> found = explore.find_occurrences("bank", sentences)
    >>> vectors = explore.embed_occurrences(elmo, found)          # [N, L, D]
    >>> explore.project(vectors[:, -1]).points.shape              # top layer, on a plane
    (40, 2)
    >>> explore.write_page("bank.html", "bank", found, vectors)
"""

from __future__ import annotations

from .figure import write_figure
from .heatmap import Heatmap, sentence_similarity, word_similarity, write_heatmap
from .neighbors import Neighbor, neighbors
from .occurrences import (
    Found,
    Labelled,
    Occurrence,
    embed_occurrences,
    find_occurrences,
    occurrence_in,
)
from .page import write_page
from .projection import Projection, project, project_layers

__all__ = [
    "Found",
    "Heatmap",
    "Labelled",
    "Neighbor",
    "Occurrence",
    "Projection",
    "embed_occurrences",
    "find_occurrences",
    "neighbors",
    "occurrence_in",
    "project",
    "project_layers",
    "sentence_similarity",
    "word_similarity",
    "write_figure",
    "write_heatmap",
    "write_page",
]
