"""The orthogonal map from one language's layer to another's, and how well it fits.

Schuster et al. 2019, section 3: of all orthogonal maps W, take the one with the least sum of
|W s - t|² over pairs of anchors s and t of words that translate each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ElmoError, ElmoWarning, counted, warn
from ..model.arrays import finite_floats
from .anchors import Anchors, check_anchors
from .dictionary import Pairs, match_pairs

_BLOCK_ROWS = 256  # bounds the memory for cosines with all target anchors


def fit_alignment(source: Anchors, target: Anchors, pairs: Pairs) -> np.ndarray:
    """Fit the matrix that maps vectors of a source language into the space of a target language.

    The matrix M is the orthogonal W divided by the mean norm of the source's layer. So M v has a
    length of about 1, like a vector of the target language after ``scaling_alignment(target)``.

    Args:
        source: anchors of the language to map.
        target: anchors of the language to map it to, from the same layer of another model.
        pairs: pairs (source word, target word). Pairs without both anchors are not used.

    Returns:
        float32 [D, D]; aligned = M v for a vector v of the source language, as its model gives it.

    Raises:
        ElmoError: if the anchors differ in size or layer, the source's mean norm is not known, or
            no pair has both anchors.

    Warns:
        ElmoWarning: if there are fewer pairs than dimensions. Then many maps fit equally well.

    Example:
        >>> pairs = alignment.read_dictionary("de-en.txt")
        >>> matrix = alignment.fit_alignment(german, english, pairs)
        >>> elmo = elmo_jax.Elmo("german", alignment=matrix)
    """
    _check_comparable(source, target)
    norm = _positive_norm(source)
    source_rows_K, target_rows_K, _ = match_pairs(pairs, source, target)
    dim = source.vectors.shape[1]
    if len(source_rows_K) < dim:
        warn(
            f"The alignment has {counted(len(source_rows_K), 'pair')} of words for "
            f"{dim:,} dimensions, so many maps fit equally well, and this one will not be good for "
            "other words. Use a larger dictionary, or anchors of more words.",
            ElmoWarning,
        )
    source_KD = source.vectors[source_rows_K].astype(np.float64)
    target_KD = target.vectors[target_rows_K].astype(np.float64)
    # Schönemann 1966: with the singular value decomposition T' S = U diag(s) V', W = U V'.
    left_DD, _, right_DD = np.linalg.svd(target_KD.T @ source_KD)
    return (left_DD @ right_DD / norm).astype(np.float32)


def scaling_alignment(anchors: Anchors) -> np.ndarray:
    """The matrix of the target language itself, float32 [D, D]: the identity over the mean norm.

    It brings the target's vectors to the same scale as the languages aligned to it. The published
    matrix for English, to which the others are aligned, has this form.

    Raises:
        ElmoError: if the mean norm is not known.
    """
    norm = _positive_norm(anchors)
    return (np.eye(anchors.vectors.shape[1]) / norm).astype(np.float32)


class AlignmentScores(NamedTuple):
    """How well a matrix fits pairs of words.

    Attributes:
        pairs: the number of pairs with both anchors.
        missing: the number of the other pairs.
        cosine: the mean cosine of the aligned source anchor and the target anchor of a pair.
        precision: the share of source words for which the nearest of all target anchors, by cosine,
            is one of the word's translations.
    """

    pairs: int
    missing: int
    cosine: float
    precision: float


def score_alignment(
    matrix: np.ndarray, source: Anchors, target: Anchors, pairs: Pairs
) -> AlignmentScores:
    """Score a matrix [D, D] on pairs of words.

    Use pairs that the matrix was not fitted to: it always fits its own pairs best.

    Raises:
        ElmoError: if the anchors differ in size or layer, the matrix has another shape or is not
            finite, or no pair has both anchors.
    """
    _check_comparable(source, target)
    dim = source.vectors.shape[1]
    matrix_DD = np.asarray(finite_floats(matrix, "matrix", (dim, dim)), np.float32)
    matches = match_pairs(pairs, source, target)
    translations: dict[int, set[int]] = {}
    for row, target_row in zip(matches.source_rows, matches.target_rows, strict=True):
        translations.setdefault(int(row), set()).add(int(target_row))
    words_U, numbers_K = np.unique(matches.source_rows, return_inverse=True)
    aligned_UD = _unit(source.vectors[words_U] @ matrix_DD.T)
    target_VD = _unit(target.vectors)
    cosines_K = np.einsum("kd,kd->k", aligned_UD[numbers_K], target_VD[matches.target_rows])
    n_right = sum(
        nearest in translations[int(row)]
        for row, nearest in zip(words_U, _nearest(aligned_UD, target_VD), strict=True)
    )
    return AlignmentScores(
        pairs=len(matches.source_rows),
        missing=matches.missing,
        cosine=float(cosines_K.mean()),
        precision=n_right / len(words_U),
    )


def _nearest(vectors_UD: np.ndarray, target_VD: np.ndarray) -> list[int]:
    """The row of ``target_VD`` with the largest product, for each vector."""
    rows: list[int] = []
    for start in range(0, len(vectors_UD), _BLOCK_ROWS):
        products_BV = vectors_UD[start : start + _BLOCK_ROWS] @ target_VD.T
        rows += products_BV.argmax(axis=1).tolist()
    return rows


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length 1; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _check_comparable(source: Anchors, target: Anchors) -> None:
    check_anchors(source, "source")
    check_anchors(target, "target")
    source_dim, target_dim = source.vectors.shape[1], target.vectors.shape[1]
    if source_dim != target_dim:
        raise ElmoError(
            f"The anchors differ in size: {source_dim:,} dimensions in the source language, "
            f"{target_dim:,} in the target language. Expected models with the same projection_dim."
        )
    if None not in (source.layer, target.layer) and source.layer != target.layer:
        raise ElmoError(
            f"The anchors are of layer {source.layer} in the source language, and of layer "
            f"{target.layer} in the target language. Expected the same layer."
        )


def _positive_norm(anchors: Anchors) -> float:
    check_anchors(anchors, "the anchors")
    if anchors.mean_norm is None:
        raise ElmoError(
            "The mean norm of the anchors' layer is not known, and the matrix is divided by it. "
            "Expected norms.json beside avg_embeds_<layer>.txt, as `elmo-jax anchors` writes them."
        )
    if not anchors.mean_norm > 0:
        raise ElmoError(f"The mean norm is {anchors.mean_norm}, expected a number above 0.")
    return anchors.mean_norm
