"""Scores of a test set, and how far they would vary on other test sets of its kind.

The percentile bootstrap: the test set's units (sentences, or pairs of them) are drawn with
replacement, and the score is taken anew. Words of one sentence stay together, for they are not
independent. Every score of a test set sees the same draws, so a difference of two is paired.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

N_DRAWS = 1000
_SEED = 0


@dataclasses.dataclass(frozen=True)
class Score:
    """A score in points as a function of the units it is taken over.

    Attributes:
        n_units: how many units the test set has.
        of: from the numbers of some units, int [n], with repetitions, to the score.
    """

    n_units: int
    of: Callable[[np.ndarray], float]

    @property
    def value(self) -> float:
        """The score of the test set itself."""
        return self.of(np.arange(self.n_units))

    def draws(self) -> np.ndarray:
        """The score of each drawn test set: float [N_DRAWS], the same draws for all scores."""
        rng = np.random.default_rng(_SEED)
        drawn = (rng.integers(self.n_units, size=self.n_units) for _ in range(N_DRAWS))
        return np.array([self.of(units) for units in drawn])


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of drawn scores, or of their differences."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def share(right_S: np.ndarray, all_S: np.ndarray) -> Score:
    """How many of all things are right, both counted in each unit."""

    def of(units: np.ndarray) -> float:
        return 100 * _ratio(right_S[units].sum(), all_S[units].sum())

    return Score(len(right_S), of)


def f1(counts_S3: np.ndarray) -> Score:
    """F1 from counts in each unit: found and right, found, there to be found."""

    def of(units: np.ndarray) -> float:
        right, found, wanted = counts_S3[units].sum(axis=0)
        return 100 * _ratio(2 * right, found + wanted)

    return Score(len(counts_S3), of)


def spearman(a_S: np.ndarray, b_S: np.ndarray) -> Score:
    """Correlation of ranks; equal values share the mean of their ranks."""
    return Score(len(a_S), lambda units: pearson(ranks(a_S[units]), ranks(b_S[units])))


def pearson(a_S: np.ndarray, b_S: np.ndarray) -> float:
    """Correlation in points; 0 where one side does not vary."""
    a, b = a_S - a_S.mean(), b_S - b_S.mean()
    return 100 * _ratio(float(a @ b), float(np.sqrt((a @ a) * (b @ b))))


def ranks(values_S: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, group, sizes = np.unique(values_S, return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    return (ends - (sizes - 1) / 2)[group]


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
