"""Look at contextual vectors: occurrences of a word, their neighbors, planes and heatmaps.

These functions are behind the commands ``neighbors``, ``explore`` and ``similarity``. They return
arrays, for notebooks.

Example:
    >>> from elmo_jax import Elmo, explore
    >>> elmo = Elmo()
    >>> text = ["She sat by the bank of the river .", "The bank gave him a loan ."]
    >>> occurrences = explore.find_occurrences("bank", [line.split() for line in text])
    >>> vectors = explore.embed_occurrences(elmo, occurrences)
    >>> vectors.shape  # occurrences, layers, dimensions
    (2, 3, 256)
    >>> explore.project(vectors[:, 2]).points.shape  # the top layer, on a plane
    (2, 2)
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
