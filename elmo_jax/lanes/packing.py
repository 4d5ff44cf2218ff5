"""Which lane each sentence goes into. Sentences lie end to end, so little of a lane is padding."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Packing(NamedTuple):
    """Where each of S sentences lies; int64."""

    lanes_S: np.ndarray  # the lane of each sentence
    starts_S: np.ndarray  # the position of its first token in the lane
    ends_N: np.ndarray  # where each lane ends


def pack_in_order(lengths: Iterable[int], ends_N: np.ndarray, until: int) -> Packing:
    """Put one sentence after the other into the lane that ends first, of several the first one.

    ``lengths`` are the tokens of each sentence, at least 1, and ``ends_N`` is where the lanes end
    now. Packing stops when every lane reaches ``until``, and reads no length after that.
    """
    # A lane that gets a sentence ends later. So all lanes with one end can be served together, and
    # the ends are few: that is faster than a heap.
    lanes_at: list[list[int]] = [[] for _ in range(until)]
    short = np.flatnonzero(ends_N < until)
    for lane, end in zip(short.tolist(), ends_N[short].tolist(), strict=True):
        lanes_at[end].append(lane)
    lengths, ends = iter(lengths), ends_N.tolist()
    lanes: list[int] = []
    starts: list[int] = []
    for start, waiting in enumerate(lanes_at):
        waiting.sort()
        taken = list(itertools.islice(lengths, len(waiting)))
        for lane, length in zip(waiting, taken, strict=False):
            ends[lane] = end = start + length
            if end < until:
                lanes_at[end].append(lane)
        lanes += waiting[: len(taken)]
        starts += [start] * len(taken)
    return Packing(*(np.array(column, np.int64) for column in (lanes, starts, ends)))


def pack_longest_first(lengths_S: np.ndarray, ends_N: np.ndarray) -> Packing:
    """Put the longest sentence first into the lane that ends first, and so on.

    This is scheduling by longest processing time (Graham 1969): the short sentences come last and
    fill the lanes up, so that they end together. Empty sentences take no room.
    """
    n_lanes = len(ends_N)
    # The end of a lane and its number as one integer, which compares faster than a pair.
    heap = (np.asarray(ends_N, np.int64) * n_lanes + np.arange(n_lanes)).tolist()
    heapq.heapify(heap)
    order_S = np.argsort(-lengths_S, kind="stable")
    taken = [
        heapq.heapreplace(heap, heap[0] + length * n_lanes)
        for length in lengths_S[order_S].tolist()
    ]
    lanes_S, starts_S = np.empty((2, len(lengths_S)), np.int64)
    starts_S[order_S], lanes_S[order_S] = np.divmod(np.array(taken, np.int64), n_lanes)
    ends, lanes = np.divmod(np.array(heap, np.int64), n_lanes)
    return Packing(lanes_S, starts_S, ends[np.argsort(lanes)])
