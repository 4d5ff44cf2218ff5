"""Which sentences run together, in how many lanes, and how long the lanes are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from ..packing import Packing, pack

LANE_SHAPES = {1: 8, 4: 8, 16: 16, 64: 32}
"""Lanes of a compiled step -> tokens of a lane that one call reads. These are all the shapes.

A lane may be longer than a call reads: the state then goes from call to call, so that a sentence
of any length needs no shape of its own. Few lanes read few tokens a call, because what a lane's
end leaves unused of a call is waste.
"""

MAX_LANES = max(LANE_SHAPES)
_USUAL_LANE = 128
"""Tokens in a lane at most, unless a sentence is longer."""

WINDOW_TOKENS = 2 * MAX_LANES * _USUAL_LANE
"""Tokens that are packed together. The more, the fuller the lanes, and the more memory."""

_LONG = WINDOW_TOKENS // MAX_LANES
"""Sentences above this length are packed among themselves: a lane must hold the longest."""

_STEP_COST_IN_LANES = 8
"""A step reads all weights once, whatever the lanes. To choose among plans, that is counted as the
arithmetic of this many lanes."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Sentences that run together.

    Attributes:
        sentences: int [S], their indices in the window.
        packing: where they lie.
        n_lanes: lanes of the compiled shape, at least those in use.
        n_calls: calls that it takes to read the lanes.
    """

    sentences: np.ndarray
    packing: Packing
    n_lanes: int
    n_calls: int

    @property
    def call_length(self) -> int:
        """Tokens of a lane that one call reads."""
        return LANE_SHAPES[self.n_lanes]

    @property
    def lane_length(self) -> int:
        """Tokens in a lane."""
        return self.n_calls * self.call_length


def plan_window(lengths: np.ndarray) -> Iterator[Batch]:
    """Divide the non-empty sentences of a window into batches.

    Args:
        lengths: int, tokens of each sentence.
    """
    short = np.flatnonzero((lengths > 0) & (lengths <= _LONG))
    yield from _plan_group(short, lengths)
    long = np.flatnonzero(lengths > _LONG)
    long = long[np.argsort(-lengths[long], kind="stable")]
    while len(long):
        together = max(1, WINDOW_TOKENS // int(lengths[long[0]]))
        yield from _plan_group(long[:together], lengths)
        long = long[together:]


def _plan_group(sentences: np.ndarray, lengths: np.ndarray) -> Iterator[Batch]:
    if not len(sentences):
        return
    n_lanes, n_batches = _choose_lanes(lengths[sentences])
    capacity = _lane_length(lengths[sentences], n_lanes, n_batches)
    packing = pack(lengths[sentences], capacity)
    while packing.n_lanes > n_lanes * n_batches:
        capacity += LANE_SHAPES[n_lanes]
        packing = pack(lengths[sentences], capacity)
    for batch in range(n_batches):
        inside = np.flatnonzero(packing.lanes_S // n_lanes == batch)
        if len(inside):
            lanes_S, starts_S = packing.lanes_S[inside] % n_lanes, packing.starts_S[inside]
            last = int((starts_S + lengths[sentences[inside]]).max())
            yield Batch(
                sentences[inside],
                Packing(lanes_S, starts_S, int(lanes_S.max()) + 1),
                n_lanes,
                -(-last // LANE_SHAPES[n_lanes]),
            )


def _choose_lanes(lengths: np.ndarray) -> tuple[int, int]:
    """The lanes of a batch and the number of batches that cost least."""
    choices = [(n_lanes, 1) for n_lanes in LANE_SHAPES if n_lanes < MAX_LANES]
    # Longer lanes would do too, but then a batch holds more results at once.
    at_most = max(_USUAL_LANE, int(lengths.max()))
    fewest = -(-int(lengths.sum()) // (MAX_LANES * at_most))
    choices += [(MAX_LANES, fewest), (MAX_LANES, fewest + 1)]

    def cost(choice: tuple[int, int]) -> int:
        n_lanes, n_batches = choice
        return n_batches * _lane_length(lengths, *choice) * (_STEP_COST_IN_LANES + n_lanes)

    return min(choices, key=cost)


def _lane_length(lengths: np.ndarray, n_lanes: int, n_batches: int) -> int:
    """The shortest lanes that could hold the sentences, in whole calls."""
    needed = max(int(lengths.max()), -(-int(lengths.sum()) // (n_lanes * n_batches)))
    call = LANE_SHAPES[n_lanes]
    return -(-needed // call) * call
