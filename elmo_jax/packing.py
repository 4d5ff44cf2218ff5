"""Sentences to lanes: laid end to end, so that little of what a lane reads is padding."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np


class Packing(NamedTuple):
    """Where each of S sentences lies.

    Attributes:
        lanes_S: int64 [S], the lane of each sentence.
        starts_S: int64 [S], the position of its first token in the lane.
        ends_N: int64 [N], where each lane ends.
    """

    lanes_S: np.ndarray
    starts_S: np.ndarray
    ends_N: np.ndarray


def level(lengths_S: np.ndarray, ends_N: np.ndarray) -> Packing:
    """The longest sentence first, each into the lane that ends first.

    Scheduling by longest processing time (Graham 1969): the short sentences come last and level
    the lanes, so that they end together. Empty sentences take no room.

    Args:
        lengths_S: int [S].
        ends_N: int [N], where the lanes end before.
    """
    lanes_S = np.zeros(len(lengths_S), np.int64)
    starts_S = np.zeros(len(lengths_S), np.int64)
    lanes = [(int(end), lane) for lane, end in enumerate(ends_N)]
    heapq.heapify(lanes)
    for sentence in np.argsort(-lengths_S, kind="stable"):
        end, lane = lanes[0]
        lanes_S[sentence], starts_S[sentence] = lane, end
        heapq.heapreplace(lanes, (end + int(lengths_S[sentence]), lane))
    ends = np.zeros(len(ends_N), np.int64)
    for end, lane in lanes:
        ends[lane] = end
    return Packing(lanes_S, starts_S, ends)
