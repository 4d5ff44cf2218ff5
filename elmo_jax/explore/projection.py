"""Vectors to points on a plane: principal component analysis, the same picture every time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..errors import ElmoError


class Projection(NamedTuple):
    """Points on a plane.

    Attributes:
        points: float64 [N, 2].
        explained: float64 [2], each axis' share of the variance; zeros where there is none.
    """

    points: np.ndarray
    explained: np.ndarray


def project(vectors: np.ndarray) -> Projection:
    """The two directions in which vectors differ most (PCA by singular value decomposition).

    An axis may point either way; here each points to where its strongest dimension grows.

    Args:
        vectors: [N, D].

    Raises:
        ElmoError: if ``vectors`` has another shape, or none in it.
    """
    if np.ndim(vectors) != 2 or not len(vectors):
        raise ElmoError(f"Expected vectors of shape [N, D], got {np.shape(vectors)}.")
    centred_ND = np.asarray(vectors, np.float64)
    centred_ND = centred_ND - centred_ND.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred_ND, full_matrices=False)
    axes_2D = np.zeros((2, centred_ND.shape[1]))
    axes_2D[: min(2, len(axes))] = axes[:2]
    strongest = np.abs(axes_2D).argmax(axis=1)
    axes_2D *= np.where(axes_2D[np.arange(2), strongest] < 0, -1, 1)[:, None]
    variances = np.zeros(2)
    variances[: min(2, len(sizes))] = sizes[:2] ** 2
    total = (sizes**2).sum()
    if total <= 1e-12 * len(vectors) * max(1e-12, float((np.asarray(vectors) ** 2).max())):
        return Projection(np.zeros((len(vectors), 2)), np.zeros(2))  # all the same, but rounding
    shares = variances / total
    # An axis without variance is rounding error; drawn, it would look like a difference.
    return Projection(centred_ND @ axes_2D.T * (shares > 1e-9), shares * (shares > 1e-9))


def project_layers(vectors: np.ndarray) -> list[Projection]:
    """A projection of each layer, each mirrored so that it resembles the one before.

    Args:
        vectors: [N, L, D].

    Raises:
        ElmoError: if ``vectors`` has another shape, or none in it.
    """
    if np.ndim(vectors) != 3:
        raise ElmoError(f"Expected vectors of shape [N, L, D], got {np.shape(vectors)}.")
    return list(_aligned(project(layer_ND) for layer_ND in np.swapaxes(vectors, 0, 1)))


def _aligned(projections: Iterable[Projection]) -> Iterable[Projection]:
    before = None
    for points, explained in projections:
        if before is not None:
            points = points * np.where((points * before).sum(axis=0) < 0, -1, 1)
        before = points
        yield Projection(points, explained)
