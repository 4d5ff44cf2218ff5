"""Layout: a batch's tokens written into lanes, and where each sentence is found again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from .plan import Batch
from .word_table import PADDING_SLOT


@dataclasses.dataclass(frozen=True)
class Layout:
    """The arrays that describe a batch's lanes; W is the lane's whole length.

    Attributes:
        lengths: int64 [S], tokens of each sentence.
        lanes: int64 [S], its lane.
        starts: int64 [S], the place of its first token in the lane.
        slots: int32 [N, W], rows of the word table.
        first: bool [N, W], first tokens of sentences.
        last: bool [N, W], last tokens of sentences.
        sentence: int32 [N, W], the sentence of each token; the largest int32 at padding.
        call_length: T, tokens of a stretch: what one call reads.
    """

    lengths: np.ndarray
    lanes: np.ndarray
    starts: np.ndarray
    slots: np.ndarray
    first: np.ndarray
    last: np.ndarray
    sentence: np.ndarray
    call_length: int

    def stretch(self, array_NW: np.ndarray, index: int) -> np.ndarray:
        """What one call reads of an array: [N, T]."""
        return array_NW[:, index * self.call_length : (index + 1) * self.call_length]

    def overlaps(self, index: int) -> Iterator[tuple[int, slice, slice]]:
        """The sentences in a stretch: (sentence, its places there, its tokens)."""
        begin = index * self.call_length
        low = np.maximum(self.starts, begin)
        high = np.minimum(self.starts + self.lengths, begin + self.call_length)
        for nth in np.flatnonzero(low < high):
            inside = slice(low[nth] - begin, high[nth] - begin)
            yield int(nth), inside, slice(low[nth] - self.starts[nth], high[nth] - self.starts[nth])


def lay_out(batch: Batch, lengths: np.ndarray, slots: np.ndarray) -> Layout:
    """Write a batch's tokens into lanes.

    Args:
        batch: the sentences and where they lie.
        lengths: int64, tokens of each sentence of the window.
        slots: int32, rows of the word table for all tokens of the window, in order.
    """
    n_tokens = lengths[batch.sentences]
    # For every token of the batch: the sentence it is of, its number in it, and its two places.
    owner = np.repeat(np.arange(len(n_tokens)), n_tokens)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(n_tokens) - n_tokens, n_tokens)
    origin = (np.cumsum(lengths) - lengths)[batch.sentences]
    begin = batch.packing.lanes_S * batch.lane_length + batch.packing.starts_S
    place = begin[owner] + number

    def lanes(fill: int | bool, dtype: type, where: np.ndarray, values: object) -> np.ndarray:
        flat: np.ndarray = np.full(batch.n_lanes * batch.lane_length, fill, dtype)
        flat[where] = values
        return flat.reshape(batch.n_lanes, batch.lane_length)

    return Layout(
        lengths=n_tokens,
        lanes=batch.packing.lanes_S,
        starts=batch.packing.starts_S,
        slots=lanes(PADDING_SLOT, np.int32, place, slots[origin[owner] + number]),
        first=lanes(False, bool, begin, True),
        last=lanes(False, bool, begin + n_tokens - 1, True),
        sentence=lanes(np.iinfo(np.int32).max, np.int32, place, owner),
        call_length=batch.call_length,
    )
