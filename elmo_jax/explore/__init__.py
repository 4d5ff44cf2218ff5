"""Look at contextual vectors: occurrences of a word, their neighbours, planes and heatmaps.

These functions are behind the commands ``neighbors``, ``explore`` and ``similarity``. They return
arrays, for notebooks.

Example:
    >>> from elmo_jax import Elmo, explore
    >>> elmo = Elmo()
    >>> occurrences = explore.find_occurrences("bank", sentences)
    >>> vectors = explore.embed_occurrences(elmo, occurrences)    # [N, L, D]
    >>> explore.project(vectors[:, -1]).points.shape              # top layer, on a plane
    (40, 2)
    >>> explore.write_page("bank.html", "bank", occurrences, vectors)
"""

from __future__ import annotations

from .heatmap import Heatmap, sentence_similarity, word_similarity, write_heatmap
from .nearest import Neighbor, neighbors
from .occurrences import (
    Labelled,
    Occurrence,
    Occurrences,
    embed_occurrences,
    find_occurrences,
    occurrence_in,
)
from .planes import write_figure, write_page
from .projection import Projection, project, project_layers

__all__ = [
    "Heatmap",
    "Labelled",
    "Neighbor",
    "Occurrence",
    "Occurrences",
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
