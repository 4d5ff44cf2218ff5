"""Bring the vectors of several languages into one space.

A matrix maps one layer of a language's model into the space of another language (Schuster et al.
2019). ``Elmo(alignment=...)`` applies a published matrix, or one that you fit here to the anchors
of both languages and a dictionary of word pairs.

Example:
    >>> from elmo_jax import Elmo, alignment
    >>> words = alignment.frequent_words(alignment.count_words(sentences))
    >>> german = alignment.compute_anchors(Elmo("german"), sentences, words)[1]
    >>> english = alignment.read_anchors("english_anchors")
    >>> pairs = alignment.read_dictionary("de-en.txt")
    >>> matrix = alignment.fit_alignment(german, english, pairs)
    >>> Elmo("german", alignment=matrix).embed([["die", "Bank"]], layers=1)
"""

from __future__ import annotations

from ..checkpoint.matrices import read_matrix, write_matrix
from .anchor_files import read_anchors, write_anchors
from .anchors import Anchors, compute_anchors, count_words, frequent_words
from .dictionary import read_dictionary
from .procrustes import AlignmentScores, fit_alignment, scaling_alignment, score_alignment

__all__ = [
    "AlignmentScores",
    "Anchors",
    "compute_anchors",
    "count_words",
    "fit_alignment",
    "frequent_words",
    "read_anchors",
    "read_dictionary",
    "read_matrix",
    "scaling_alignment",
    "score_alignment",
    "write_anchors",
    "write_matrix",
]
