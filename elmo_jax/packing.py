"""Sentences to lanes: laid end to end, so that little of a compiled shape is padding."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Packing(NamedTuple):
    """Where each of S sentences lies.

    Attributes:
        lanes_S: int64 [S], the lane of each sentence.
        starts_S: int64 [S], the position of its first token in the lane.
        n_lanes: how many lanes are in use.
    """

    lanes_S: np.ndarray
    starts_S: np.ndarray
    n_lanes: int


def pack(lengths_S: np.ndarray, capacity: int) -> Packing:
    """Best-fit decreasing: the longest sentence first, into the fullest lane that has room.

    All sentences of one length are placed at once, so the work grows with the number of
    different lengths, not of sentences. Empty sentences take no room.

    Args:
        lengths_S: int [S], none above ``capacity``.
        capacity: positions in a lane.
    """
    lanes_S = np.zeros(len(lengths_S), np.int64)
    starts_S = np.zeros(len(lengths_S), np.int64)
    room_N = np.zeros(0, np.int64)
    for length in np.unique(lengths_S[lengths_S > 0])[::-1]:
        sentences = np.flatnonzero(lengths_S == length)
        # A lane that takes one sentence has become the fullest with room, and takes the next.
        fitting = np.flatnonzero(room_N >= length)
        fitting = fitting[np.argsort(room_N[fitting], kind="stable")]
        missing = len(sentences) - int((room_N[fitting] // length).sum())
        if missing > 0:
            n_new = -(-missing // (capacity // length))
            fitting = np.concatenate([fitting, len(room_N) + np.arange(n_new)])
            room_N = np.concatenate([room_N, np.full(n_new, capacity)])
        taken = np.repeat(fitting, room_N[fitting] // length)[: len(sentences)]
        place = np.arange(len(taken))
        is_first_of_lane = np.r_[True, taken[1:] != taken[:-1]]
        nth_of_lane = place - np.maximum.accumulate(np.where(is_first_of_lane, place, 0))
        lanes_S[sentences] = taken
        starts_S[sentences] = capacity - room_N[taken] + nth_of_lane * length
        np.subtract.at(room_N, taken, length)
    return Packing(lanes_S, starts_S, len(room_N))
