"""Timeline: which token each lane reads at which step, for both directions.

The lanes have no end: sentences are laid down behind each other as they come, and a call reads
the next stretch of every lane. Both stacks read from left to right. For the backward one each
sentence stands reversed in its own place, so it starts and ends where the forward one does.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from ..lanes.packing import level, places
from .word_rows import PADDING_ROW


class Parts(NamedTuple):
    """The sentences, or parts of them, that a stretch holds: one entry each.

    Attributes:
        numbers: int64, the sentence.
        lanes: int64, its lane.
        inside: int64, the step of the stretch at which the part begins.
        outside: int64, how many tokens of the sentence were read before it.
        counts: int64, tokens in the part.
        lengths: int64, tokens in the sentence.
    """

    numbers: np.ndarray
    lanes: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray

    @property
    def finished(self) -> np.ndarray:
        """Bool, whether the sentence ends here."""
        return self.outside + self.counts == self.lengths


@dataclasses.dataclass(frozen=True)
class Stretch:
    """What one call reads: T steps of N lanes.

    Attributes:
        forward_TN: int32 [T, N], rows of the word table.
        backward_TN: int32 [T, N], the same for the backward stack.
        fresh_TN: bool [T, N], where a sentence begins.
        parts: the sentences in it.
    """

    forward_TN: np.ndarray
    backward_TN: np.ndarray
    fresh_TN: np.ndarray
    parts: Parts

    @property
    def arrays(self) -> dict[str, Any]:
        """Those that go to the device."""
        return {name: getattr(self, name) for name in ("forward_TN", "backward_TN", "fresh_TN")}

    @property
    def n_steps(self) -> np.ndarray:
        """How many of the T steps any lane needs, int32."""
        return (self.parts.inside + self.parts.counts).max().astype(np.int32)


class Timeline:
    """What the lanes have before them. Positions count from the next step to be read.

    Args:
        stretch: steps that are cut off at a time.

    Attributes:
        ends_N: int64 [N], where each lane's last sentence ends.
    """

    def __init__(self, stretch: int) -> None:
        self._stretch = stretch
        self.ends_N = np.zeros(0, np.int64)
        self._forward_WN = self._backward_WN = np.zeros((0, 0), np.int32)
        self._fresh_WN = np.zeros((0, 0), bool)
        nothing = np.zeros(0, np.int64)
        self._numbers, self._lanes, self._starts, self._lengths = (nothing,) * 4

    @property
    def oldest(self) -> int | None:
        """The lowest number of a sentence that is not read to its end."""
        return int(self._numbers.min()) if len(self._numbers) else None

    @property
    def rows(self) -> np.ndarray:
        """int32, the rows of the word table that are still to be read, with repetitions."""
        return np.concatenate([self._forward_WN, self._backward_WN]).ravel()

    def resize(self, n_lanes: int) -> np.ndarray:
        """Take as many lanes; those with work before them stay, in the first places.

        Returns:
            int64 [n_lanes], what each lane was before; the former number of lanes for a new one.
        """
        n_before = len(self.ends_N)
        kept = np.argsort(self.ends_N == 0, kind="stable")[:n_lanes]
        missing = n_lanes - len(kept)
        place = np.full(n_before, -1)
        place[kept] = np.arange(len(kept))
        self._lanes = place[self._lanes]
        self.ends_N = np.pad(self.ends_N[kept], (0, missing))
        wider = ((0, 0), (0, missing))
        self._forward_WN = np.pad(self._forward_WN[:, kept], wider, constant_values=PADDING_ROW)
        self._backward_WN = np.pad(self._backward_WN[:, kept], wider, constant_values=PADDING_ROW)
        self._fresh_WN = np.pad(self._fresh_WN[:, kept], wider)
        return np.concatenate([kept, np.full(missing, n_before)])

    def place(self, numbers_S: np.ndarray, lengths_S: np.ndarray, rows: np.ndarray) -> None:
        """Lay sentences down at the ends of the lanes.

        Args:
            numbers_S: int64 [S], their numbers.
            lengths_S: int64 [S], tokens of each, none 0.
            rows: int32, rows of the word table for all their tokens, in order.
        """
        packing = level(lengths_S, self.ends_N)
        self.ends_N = packing.ends_N
        self._lengthen(int(self.ends_N.max()))
        n_lanes = len(self.ends_N)  # a step on in the text is so many places on in the arrays
        first_S = packing.starts_S * n_lanes + packing.lanes_S
        last_S = first_S + (lengths_S - 1) * n_lanes
        np.put(self._forward_WN, places(first_S, lengths_S, n_lanes), rows)
        np.put(self._backward_WN, places(last_S, lengths_S, -n_lanes), rows)
        self._fresh_WN[packing.starts_S, packing.lanes_S] = True
        self._numbers = np.concatenate([self._numbers, numbers_S])
        self._lanes = np.concatenate([self._lanes, packing.lanes_S])
        self._starts = np.concatenate([self._starts, packing.starts_S])
        self._lengths = np.concatenate([self._lengths, lengths_S])

    def take(self) -> Stretch:
        """Cut off the next stretch."""
        cut = self._stretch
        self._lengthen(cut)
        here = np.flatnonzero(self._starts < cut)
        starts, lengths = self._starts[here], self._lengths[here]
        inside = np.maximum(starts, 0)
        parts = Parts(
            self._numbers[here],
            self._lanes[here],
            inside,
            inside - starts,
            np.minimum(starts + lengths, cut) - inside,
            lengths,
        )
        stretch = Stretch(
            self._forward_WN[:cut], self._backward_WN[:cut], self._fresh_WN[:cut], parts
        )
        self._forward_WN = self._forward_WN[cut:]
        self._backward_WN = self._backward_WN[cut:]
        self._fresh_WN = self._fresh_WN[cut:]
        left = np.ones(len(self._starts), bool)
        left[here] = ~parts.finished
        self._numbers, self._lanes = self._numbers[left], self._lanes[left]
        self._starts, self._lengths = self._starts[left] - cut, self._lengths[left]
        self.ends_N = np.maximum(self.ends_N - cut, 0)
        return stretch

    def _lengthen(self, width: int) -> None:
        """Let the arrays reach at least as far as ``width``."""
        missing = ((0, max(0, width - len(self._fresh_WN))), (0, 0))
        self._forward_WN = np.pad(self._forward_WN, missing, constant_values=PADDING_ROW)
        self._backward_WN = np.pad(self._backward_WN, missing, constant_values=PADDING_ROW)
        self._fresh_WN = np.pad(self._fresh_WN, missing)
