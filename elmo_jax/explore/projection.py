"""Vectors as points on a plane, by principal component analysis."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ElmoError
from ..model.arrays import finite_floats


class Projection(NamedTuple):
    """Points on a plane, float64 [N, 2], and the share of each axis in the variance [2]."""

    points: np.ndarray
    explained: np.ndarray


def project(vectors: np.ndarray) -> Projection:
    """Project vectors [N, D] on the two directions in which they differ most.

    This is PCA. It leaves the sign of an axis open; here, the dimension with the largest weight in
    the axis has a positive one.

    Raises:
        ElmoError: for another shape, no vectors, or numbers that are not finite.

    Example:
        >>> points, explained = project(np.array([[1.0, 0, 0], [0, 0, 0], [-1, 0, 0]]))
        >>> points.shape, explained
        ((3, 2), array([1., 0.]))
    """
    vectors_ND = np.asarray(finite_floats(vectors, "vectors"), np.float64)
    if vectors_ND.ndim != 2 or not vectors_ND.size:
        raise ElmoError(f"Expected vectors of shape [N, D], got {vectors_ND.shape}.")
    centered_ND = vectors_ND - vectors_ND.mean(axis=0)
    squared_sizes, axes = _principal_axes(centered_ND)
    total = squared_sizes.sum()
    if total <= 1e-12 * len(vectors_ND) * max(1e-12, float((vectors_ND**2).max())):
        # All vectors are equal, up to rounding.
        return Projection(np.zeros((len(vectors_ND), 2)), np.zeros(2))
    # With one dimension or one vector there is one axis only: the other stays zero.
    axes_2D, shares = np.zeros((2, vectors_ND.shape[1])), np.zeros(2)
    axes_2D[: len(axes)], shares[: len(axes)] = axes[:2], squared_sizes[:2] / total
    strongest = np.abs(axes_2D).argmax(axis=1)
    axes_2D *= np.where(axes_2D[np.arange(2), strongest] < 0, -1, 1)[:, None]
    # An axis without variance holds only rounding errors, which would look like a difference.
    return Projection(centered_ND @ axes_2D.T * (shares > 1e-9), shares * (shares > 1e-9))


def _principal_axes(centered_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The squared singular values, the largest first, and the axes that belong to them, as rows."""
    n, dimensions = centered_ND.shape
    if n <= dimensions:
        _, sizes, axes = np.linalg.svd(centered_ND, full_matrices=False)
        return sizes**2, axes
    # The singular values of 20,000 vectors would take a minute; these are the same, from a matrix
    # that has one row per dimension only.
    squared_sizes, axes = np.linalg.eigh(centered_ND.T @ centered_ND)
    return squared_sizes[::-1].clip(0), axes.T[::-1]


def project_layers(vectors: np.ndarray) -> list[Projection]:
    """Project each layer of vectors [N, L, D].

    An axis is mirrored where that makes the picture more like that of the layer before.

    Raises:
        ElmoError: for another shape, no vectors, or numbers that are not finite.
    """
    vectors = finite_floats(vectors, "vectors")
    if np.ndim(vectors) != 3 or not vectors.size:
        raise ElmoError(f"Expected vectors of shape [N, L, D], got {np.shape(vectors)}.")
    projections: list[Projection] = []
    for layer_ND in np.swapaxes(vectors, 0, 1):
        points, explained = project(layer_ND)
        if projections:
            points = points * np.where((points * projections[-1].points).sum(axis=0) < 0, -1, 1)
        projections.append(Projection(points, explained))
    return projections
