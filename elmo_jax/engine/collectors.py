"""From what the calls of a run give to the results of its sentences."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ..config import ElmoConfig
from ..selection import LayerSelection
from .lanes import Outputs
from .placement import Placement
from .results import pool_lanes, token_halves
from .timeline import Parts, Stretch
from .word_table import Words

Results = dict[int, np.ndarray]
"""What is known of the sentences that have not been given out: by their number."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What is wanted of each sentence.

    Attributes:
        selection: the layers.
        shares_L: see ``LayerSelection.apply``.
        pooling: "mean", "max", or None for a vector a token.
        dtype: of the results, "float32" or "float16".
    """

    selection: LayerSelection
    shares_L: jax.Array
    pooling: str | None
    dtype: str

    def shape(self, config: ElmoConfig, n_tokens: int) -> tuple[int, ...]:
        """Of the result for a sentence of ``n_tokens``."""
        layers = (self.selection.n_kept,) if self.selection.n_kept else ()
        tokens = () if self.pooling else (n_tokens,)
        return (*layers, *tokens, config.output_dim)


@dataclasses.dataclass
class Collector(abc.ABC):
    """Takes the outputs of a run, call by call.

    Attributes:
        request: what is wanted.
        config: the architecture.
        placement: of the lanes.
    """

    request: Request
    config: ElmoConfig
    placement: Placement

    @abc.abstractmethod
    def take_lanes(self, kept_N: np.ndarray) -> None:
        """From the next call on, the lanes are these of before, see ``Timeline.resize``."""

    @abc.abstractmethod
    def reduce(
        self, words: Words, stretch: Stretch, outputs: tuple[Outputs, Outputs]
    ) -> Callable[[Results], None]:
        """Send the reduction of a call's outputs to the device.

        Returns:
            A function that waits for it and puts it into the results.
        """


class TokenCollector(Collector):
    """A vector a token."""

    def take_lanes(self, kept_N: np.ndarray) -> None:
        """See ``Collector``; nothing is carried from call to call."""

    def reduce(
        self, words: Words, stretch: Stretch, outputs: tuple[Outputs, Outputs]
    ) -> Callable[[Results], None]:
        """See ``Collector``."""
        request = self.request
        halves = [
            token_halves(words, rows_TN, layers, request.shares_L, request.selection, request.dtype)
            for rows_TN, layers in zip(
                (stretch.forward_TN, stretch.backward_TN), outputs, strict=True
            )
        ]
        return lambda results: self._fill(results, stretch.parts, halves)

    def _fill(self, results: Results, parts: Parts, halves: list[jax.Array]) -> None:
        forward, backward = map(np.asarray, halves)
        half = self.config.projection_dim
        for number, lane, inside, outside, count, length in zip(
            *(column.tolist() for column in parts), strict=True
        ):
            if outside == 0:
                shape = self.request.shape(self.config, length)
                results[number] = np.empty(shape, self.request.dtype)
            result, steps = results[number], slice(inside, inside + count)
            result[..., outside : outside + count, :half] = forward[..., steps, lane, :]
            # The backward stack reads the last token first.
            place = slice(length - outside - count, length - outside)
            result[..., place, half:] = backward[..., steps, lane, :][..., ::-1, :]


@dataclasses.dataclass
class PoolCollector(Collector):
    """A vector a sentence."""

    pooled: jax.Array = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.pooled = jnp.zeros((0, *self.request.shape(self.config, 0)))

    def take_lanes(self, kept_N: np.ndarray) -> None:
        """See ``Collector``."""
        self.pooled = self.placement.take_lanes(self.pooled, kept_N)

    def reduce(
        self, words: Words, stretch: Stretch, outputs: tuple[Outputs, Outputs]
    ) -> Callable[[Results], None]:
        """See ``Collector``."""
        parts, (n_steps, n_lanes) = stretch.parts, stretch.fresh_TN.shape
        ends = np.flatnonzero(parts.finished)
        steps, lanes = (parts.inside + parts.counts - 1)[ends], parts.lanes[ends]
        # The ends of each device's lanes, behind each other.
        n_shards = self.placement.n_shards(n_lanes)
        shard, lane = np.divmod(lanes, n_lanes // n_shards)
        order = np.argsort(shard, kind="stable")
        counts = np.bincount(shard, minlength=n_shards)
        nth = np.arange(len(ends)) - np.repeat(np.cumsum(counts) - counts, counts)
        # Two compiled sizes: one end a lane is more than there are, as a rule.
        size = n_lanes // n_shards * (1 if counts.max() <= n_lanes // n_shards else n_steps)
        places_KS = np.zeros((2, n_shards, size), np.int32)
        places_KS[:, shard[order], nth] = steps[order], lane[order]
        ends, found = ends[order], (shard[order], nth)
        self.pooled, vectors = pool_lanes(
            self.pooled,
            words,
            (stretch.forward_TN, stretch.backward_TN),
            stretch.fresh_TN,
            outputs,
            *self.placement.divide(tuple(places_KS), axis=0),
            self.request.shares_L,
            self.request.selection,
            self.request.pooling or "",
        )
        return lambda results: self._fill(
            results, parts.numbers[ends], parts.lengths[ends], vectors, found
        )

    def _fill(
        self,
        results: Results,
        numbers_S: np.ndarray,
        lengths_S: np.ndarray,
        vectors: jax.Array,
        places: tuple[np.ndarray, np.ndarray],
    ) -> None:
        found = np.asarray(vectors)[places]
        if self.request.pooling == "mean":
            found = found / lengths_S.astype(np.float32).reshape(-1, *[1] * (found.ndim - 1))
        for number, vector in zip(numbers_S.tolist(), found, strict=True):
            results[number] = vector.astype(self.request.dtype)
