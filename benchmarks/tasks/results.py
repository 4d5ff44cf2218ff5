"""What a task gives: a row for each way to read vectors."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from .bootstrap import Score
from .variants import MODEL

MIX = "mix"  # the trained one
AVERAGE = "average"


def layer_name(layer: int) -> str:
    """How rows name a layer."""
    return f"layer {layer}"


TOKEN_LAYER = layer_name(0)


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to read vectors, measured.

    Attributes:
        variant: whose vectors, see ``variants``.
        reading: "layer 0", "layer 1", …, "average", "mix", or a baseline's name.
        dev: the score on dev, for choices; by cross-validation, the mean over the folds.
        test: the score on test.
        details: further scores on test.
    """

    variant: str
    reading: str
    dev: float
    test: Score
    details: dict[str, float] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def draws(self) -> np.ndarray:
        """The test score's bootstrap draws."""
        return self.test.draws()


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """One task, measured.

    Attributes:
        task: its name.
        metric: what a score is.
        sizes: how many sentences each split has.
        rows: in the order of the table.
    """

    task: str
    metric: str
    sizes: dict[str, int]
    rows: list[Row]

    def row(self, variant: str, reading: str) -> Row | None:
        """The row of that name, if there is one."""
        rows = (row for row in self.rows if (row.variant, row.reading) == (variant, reading))
        return next(rows, None)

    @property
    def token_layer(self) -> Row:
        """The model's own token layer."""
        row = self.row(MODEL, TOKEN_LAYER)
        assert row is not None, "every task measures the token layer"
        return row

    def best_layer(self, variant: str) -> Row:
        """A variant's best biLM layer: chosen on dev, so that its test score is a fair one."""
        return max(
            (
                row
                for row in self.rows
                if row.variant == variant
                and row.reading.startswith("layer")
                and row.reading != TOKEN_LAYER
            ),
            key=lambda row: row.dev,
        )
