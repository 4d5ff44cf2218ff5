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


def places(first_S: np.ndarray, lengths_S: np.ndarray, step: int) -> np.ndarray:
    """Where the tokens of sentences go in a flat array, int64, sentence by sentence.

    Args:
        first_S: int64 [S], the place of each sentence's first token.
        lengths_S: int64 [S], how many each has.
        step: from one token's place to the next; negative for a sentence that is laid backwards.
    """
    # The k-th of all tokens is the (k - before)-th of its sentence.
    before_S = np.cumsum(lengths_S) - lengths_S
    return np.repeat(first_S - before_S * step, lengths_S) + np.arange(lengths_S.sum()) * step


def level(lengths_S: np.ndarray, ends_N: np.ndarray) -> Packing:
    """The longest sentence first, each into the lane that ends first.

    Scheduling by longest processing time (Graham 1969): the short sentences come last and level
    the lanes, so that they end together. Empty sentences take no room.

    Args:
        lengths_S: int [S].
        ends_N: int [N], where the lanes end before.
    """
    n_lanes = len(ends_N)
    order_S = np.argsort(-lengths_S, kind="stable")
    # An end and its lane as one number, which compares faster than two.
    heap = (np.asarray(ends_N, np.int64) * n_lanes + np.arange(n_lanes)).tolist()
    heapq.heapify(heap)
    taken = [
        heapq.heapreplace(heap, heap[0] + length)
        for length in (lengths_S[order_S].astype(np.int64) * n_lanes).tolist()
    ]
    lanes_S, starts_S = np.zeros((2, len(lengths_S)), np.int64)
    starts_S[order_S], lanes_S[order_S] = np.divmod(np.array(taken, np.int64), n_lanes)
    ends, lanes = np.divmod(np.array(heap, np.int64), n_lanes)
    return Packing(lanes_S, starts_S, ends[np.argsort(lanes)])
