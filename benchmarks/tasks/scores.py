"""Scores in points, 0 to 100, and how much they would vary on other test sets of the same kind.

The bootstrap draws the units of a test set (sentences, or pairs of them) with replacement and
takes the score again. The words of a sentence stay together, since they are not independent.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import scipy.stats

MODEL = "model"
RANDOM_LSTM = "random LSTM"
MINILM = "MiniLM"
BASELINE = "baseline"  # uses no vectors
AVERAGE = "average"
MIX = "mix"  # the trained one
SENTENCE = "sentence vector"  # of MiniLM, which has one alone
SIF = ", sif"  # after the name of a layer: pooled so, not by the plain mean
_N_DRAWS = 1000


def layer_name(layer: int) -> str:
    return f"layer {layer}"


def layer_names(variant: str, n_layers: int) -> dict[int, str]:
    """The layers of a variant that are in the table: number and name."""
    if variant == MINILM and n_layers == 1:
        return {0: SENTENCE}
    # Random LSTMs share the model's token layer, which is in the table already.
    layers = range(1 if variant == RANDOM_LSTM else 0, n_layers)
    return {layer: layer_name(layer) for layer in layers}


TOKEN_LAYER = layer_name(0)


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to use one model's vectors, measured."""

    variant: str  # whose vectors: MODEL, RANDOM_LSTM, MINILM or BASELINE
    name: str  # "layer 0", "layer 1", …, "average", "mix", SENTENCE, or a baseline's name
    dev: float  # by this score the best layer and the penalty are chosen
    metric: Callable[..., float]  # from ``columns`` to the score
    columns: tuple[np.ndarray, ...]  # one entry per unit of the test set
    details: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def test(self) -> float:
        return self.metric(*self.columns)

    @functools.cached_property
    def draws(self) -> np.ndarray:
        """The score on each drawn test set: float [_N_DRAWS].

        Every row of a task sees the same draws, so a difference of two rows is paired.
        """
        options = {"paired": True, "vectorized": False, "method": "percentile", "rng": 0}
        result = scipy.stats.bootstrap(self.columns, self.metric, n_resamples=_N_DRAWS, **options)
        return result.bootstrap_distribution


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """One task, measured: what a score is, the size of each split, and the rows of the table."""

    metric: str
    sizes: dict[str, int]
    rows: list[Row]

    def best_layer(self, variant: str) -> Row:
        """A variant's best layer above layer 0, or its one vector of a sentence.

        It is chosen on dev, so that its test score is a fair one.
        """
        rows = [row for row in self.rows if row.variant == variant and row.name != TOKEN_LAYER]
        layers = (row for row in rows if row.name[-1].isdigit() or row.name == SENTENCE)
        return max(layers, key=lambda row: row.dev)


def interval(draws: np.ndarray) -> dict[str, float]:
    """The middle 95 % of drawn scores, or of their differences: from "low" to "high"."""
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"low": float(low), "high": float(high)}


def accuracy(right_S: np.ndarray, all_S: np.ndarray) -> float:
    """The share of right things, from counts in each unit."""
    return 100 * float(right_S.sum() / max(all_S.sum(), 1))


def f1(right_S: np.ndarray, predicted_S: np.ndarray, gold_S: np.ndarray) -> float:
    """F1 from counts in each unit."""
    return 100 * float(2 * right_S.sum() / max(predicted_S.sum() + gold_S.sum(), 1))


def spearman(a_S: np.ndarray, b_S: np.ndarray) -> float:
    """Correlation of ranks, in points."""
    return 100 * float(scipy.stats.spearmanr(a_S, b_S).statistic)
