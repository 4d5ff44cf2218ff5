"""Timeline: which token each lane reads at which step, in both directions.

Sentences are written behind each other as they come, and each call reads the next chunk of every
lane. Both stacks read from left to right: for the backward one each sentence is written in
reverse, so it starts and ends at the same steps as for the forward one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..lanes.buffer import LaneBuffer
from ..lanes.packing import pack_longest_first
from .word_table import PADDING_ROW


class Parts(NamedTuple):
    """The sentences, or parts of sentences, in a chunk: one entry for each.

    Attributes:
        numbers: int64, the number of the sentence.
        lanes: int64, its lane.
        steps: int64, the step of the chunk at which the part begins.
        tokens_before: int64, tokens of the sentence that earlier chunks have read.
        counts: int64, tokens in the part.
        lengths: int64, tokens in the whole sentence.
    """

    numbers: np.ndarray
    lanes: np.ndarray
    steps: np.ndarray
    tokens_before: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray

    @property
    def finished(self) -> np.ndarray:
        """Bool, whether the sentence ends here."""
        return self.tokens_before + self.counts == self.lengths


class Chunk(NamedTuple):
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
    def n_steps(self) -> np.ndarray:
        """How many of the T steps any lane needs, int32."""
        return (self.parts.steps + self.parts.counts).max().astype(np.int32)


class _Sentences(NamedTuple):
    """Sentences that are not read to their end; int64, one entry for each."""

    numbers: np.ndarray
    lanes: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray


class Timeline:
    """What the lanes still have to read. Positions count from the next step to be read.

    Args:
        chunk_steps: T of each chunk.

    Attributes:
        ends_N: int64 [N], where the last sentence of each lane ends.
    """

    def __init__(self, chunk_steps: int) -> None:
        self._chunk_steps = chunk_steps
        self.ends_N = np.zeros(0, np.int64)
        self._forward, self._backward = LaneBuffer(0, PADDING_ROW), LaneBuffer(0, PADDING_ROW)
        self._sentences = _Sentences(*np.zeros((4, 0), np.int64))

    @property
    def first_unfinished(self) -> int | None:
        """The lowest number of a sentence that is not read to its end; None if there is none."""
        numbers = self._sentences.numbers
        return int(numbers.min()) if len(numbers) else None

    @property
    def rows(self) -> np.ndarray:
        """int32, the rows of the word table that are still to be read, with repetitions."""
        return np.concatenate([self._forward.values_WN, self._backward.values_WN]).ravel()

    def resize(self, n_lanes: int) -> np.ndarray:
        """Change the number of lanes. Lanes that have something to read stay, and come first.

        Returns:
            int64 [n_lanes], which lane each was before; a new one has the former number of lanes.
        """
        n_before = len(self.ends_N)
        former_N = np.argsort(self.ends_N == 0, kind="stable")[:n_lanes]
        lane_of_former = np.full(n_before, -1)
        lane_of_former[former_N] = np.arange(len(former_N))
        self._sentences = self._sentences._replace(lanes=lane_of_former[self._sentences.lanes])
        former_N = np.pad(former_N, (0, n_lanes - len(former_N)), constant_values=n_before)
        self.ends_N = np.append(self.ends_N, 0)[former_N]
        self._forward.resize(former_N)
        self._backward.resize(former_N)
        return former_N

    def place(self, numbers_S: np.ndarray, lengths_S: np.ndarray, rows: np.ndarray) -> None:
        """Write sentences at the ends of the lanes.

        Args:
            numbers_S: int64 [S], their numbers.
            lengths_S: int64 [S], tokens of each, none 0.
            rows: int32, rows of the word table for all their tokens, in order.
        """
        lanes_S, starts_S, self.ends_N = pack_longest_first(lengths_S, self.ends_N)
        self._forward.write(lanes_S, starts_S, lengths_S, rows)
        self._backward.write(lanes_S, starts_S, lengths_S, rows, backward=True)
        new = _Sentences(numbers_S, lanes_S, starts_S, lengths_S)
        pairs = zip(self._sentences, new, strict=True)
        self._sentences = _Sentences(*(np.concatenate(pair) for pair in pairs))

    def take(self) -> Chunk:
        """Cut off the next chunk."""
        n_steps, sentences = self._chunk_steps, self._sentences
        is_here = sentences.starts < n_steps
        numbers, lanes, starts, lengths = (column[is_here] for column in sentences)
        steps = np.maximum(starts, 0)  # a sentence begun in an earlier chunk starts below 0
        counts = np.minimum(starts + lengths, n_steps) - steps
        parts = Parts(numbers, lanes, steps, steps - starts, counts, lengths)
        fresh_TN = np.zeros((n_steps, len(self.ends_N)), bool)
        begins = starts >= 0
        fresh_TN[steps[begins], lanes[begins]] = True
        is_left = sentences.starts + sentences.lengths > n_steps
        left = _Sentences(*(column[is_left] for column in sentences))
        self._sentences = left._replace(starts=left.starts - n_steps)
        self.ends_N = np.maximum(self.ends_N - n_steps, 0)
        forward_TN, backward_TN = self._forward.take(n_steps), self._backward.take(n_steps)
        return Chunk(forward_TN, backward_TN, fresh_TN, parts)
