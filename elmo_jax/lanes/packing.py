"""Which lane each sentence goes into. Sentences lie end to end, so little of a lane is padding."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Packing(NamedTuple):
    """Where each of S sentences lies; int64."""

    lanes_S: np.ndarray  # the lane of each sentence
    starts_S: np.ndarray  # the position of its first token in the lane
    ends_N: np.ndarray  # where each lane ends


def pack_in_order(lengths: Iterable[int], ends_N: np.ndarray, until: int | None = None) -> Packing:
    """Put one sentence after the other into the lane that ends first.

    ``lengths`` are the tokens of each sentence, and ``ends_N`` is where the lanes end now. Packing
    stops when every lane reaches ``until``, and reads no length after that; None packs all.
    """
    n_lanes = len(ends_N)
    # The end of a lane and its number as one integer, which compares faster than a pair.
    heap = (np.asarray(ends_N, np.int64) * n_lanes + np.arange(n_lanes)).tolist()
    heapq.heapify(heap)
    limit = math.inf if until is None else until * n_lanes
    starts: list[int] = []
    if heap[0] < limit:
        for length in lengths:
            starts.append(heapq.heapreplace(heap, heap[0] + length * n_lanes))
            if heap[0] >= limit:
                break
    starts_S, lanes_S = np.divmod(np.array(starts, np.int64), n_lanes)
    ends, lanes = np.divmod(np.array(heap, np.int64), n_lanes)
    return Packing(lanes_S, starts_S, ends[np.argsort(lanes)])


def pack_longest_first(lengths_S: np.ndarray, ends_N: np.ndarray) -> Packing:
    """Put the longest sentence first into the lane that ends first, and so on.

    This is scheduling by longest processing time (Graham 1969): the short sentences come last and
    fill the lanes up, so that they end together. Empty sentences take no room.
    """
    order_S = np.argsort(-lengths_S, kind="stable")
    packing = pack_in_order(lengths_S[order_S].tolist(), ends_N)
    lanes_S, starts_S = np.empty((2, len(lengths_S)), np.int64)
    lanes_S[order_S], starts_S[order_S] = packing.lanes_S, packing.starts_S
    return Packing(lanes_S, starts_S, packing.ends_N)
