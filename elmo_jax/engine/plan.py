"""How many lanes run, and how much text is looked at together."""

from __future__ import annotations

import numpy as np

from ..packing import level

LANE_SHAPES = (1, 4, 16, 64, 128)
"""How many lanes a compiled call may have; nothing else is ever compiled."""

MAX_LANES = LANE_SHAPES[-1]

STRETCH = 8
"""Tokens of each lane that one call reads: what a lane's end leaves unused of it is waste."""

WINDOW_TOKENS = MAX_LANES * 64
"""Tokens that are spread over the lanes together; twice as many at the end of the text. The more,
the more evenly the lanes end, and the more results wait for their turn."""

LONGEST_LEAD = 512
"""No text is laid down while a lane still has more than this before it, which bounds what waits
for the results of a long sentence."""

_STEP_COST_IN_LANES = 8
"""A step reads all weights once, whatever the lanes. To choose among shapes, that is counted as
the arithmetic of this many lanes."""

_WORTH_COMPILING = 2048
"""Steps of a lane that a smaller shape must save before lanes are moved into it."""


def choose_lanes(lengths_S: np.ndarray) -> int:
    """The shape that reads some sentences, and no others, at the least cost."""

    def cost(n_lanes: int) -> int:
        last = int(level(lengths_S, np.zeros(n_lanes, np.int64)).ends_N.max())
        return -(-last // STRETCH) * (_STEP_COST_IN_LANES + n_lanes)

    return min(LANE_SHAPES, key=cost)


def smaller_shape(ends_N: np.ndarray) -> int:
    """The shape for lanes some of which have come to their end; the same unless it pays."""
    n_lanes, n_active = len(ends_N), int((ends_N > 0).sum())
    fitting = next(shape for shape in LANE_SHAPES if shape >= n_active)
    saved = (n_lanes - fitting) * int(ends_N.max(initial=0))
    return fitting if saved >= _WORTH_COMPILING else n_lanes
