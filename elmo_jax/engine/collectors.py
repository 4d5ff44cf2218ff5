"""From what the calls of a run give to the results of its sentences."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..lanes.devices import Devices
from ..model.config import ElmoConfig
from ..model.layers import LayerSelection
from .lanes import Outputs
from .results import pool_lanes, token_halves
from .timeline import Chunk, Parts
from .word_table import Words

Results = dict[int, Any]
"""What is known of the sentences that have not been given out, by their number; what that is, the
collector knows."""


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
        devices: that share the lanes.
    """

    request: Request
    config: ElmoConfig
    devices: Devices

    @abc.abstractmethod
    def take_lanes(self, former_N: np.ndarray) -> None:
        """From the next call on, the lanes are these of before, see ``Timeline.resize``."""

    @abc.abstractmethod
    def reduce(
        self, words: Words, chunk: Chunk, outputs: tuple[Outputs, Outputs]
    ) -> Callable[[Results], None]:
        """Send the reduction of a call's outputs to the device.

        Returns:
            A function that waits for it and puts it into the results.
        """

    @abc.abstractmethod
    def result(self, known: Any) -> np.ndarray:
        """The array of a sentence that is known to its end, a new one."""

    @property
    @abc.abstractmethod
    def nothing(self) -> Any:
        """What is known of a sentence without tokens."""


class _Piece(NamedTuple):
    """Where some tokens of a sentence are: in one call's outputs on the host.

    Attributes:
        forward: [..., T, N, P].
        backward: the same of the other direction.
        lane: of the sentence.
        step: the step of its first token here.
        tokens_before: how many tokens come before, in reading order.
        n_tokens: how many are here.
    """

    forward: np.ndarray
    backward: np.ndarray
    lane: int
    step: int
    tokens_before: int
    n_tokens: int


class TokenCollector(Collector):
    """A vector a token.

    A result is put together when it is given out. One that its user drops then makes room for the
    next; made all at once, those of a call would take up new memory each time, which costs more
    than the copying.
    """

    def take_lanes(self, former_N: np.ndarray) -> None:
        """See ``Collector``; nothing is carried from call to call."""

    def reduce(
        self, words: Words, chunk: Chunk, outputs: tuple[Outputs, Outputs]
    ) -> Callable[[Results], None]:
        """See ``Collector``."""
        request = self.request
        halves = [
            token_halves(words, rows_TN, layers, request.shares_L, request.selection, request.dtype)
            for rows_TN, layers in zip((chunk.forward_TN, chunk.backward_TN), outputs, strict=True)
        ]
        _send_to_host(*halves)
        return lambda results: self._fill(results, chunk.parts, halves)

    def _fill(self, results: Results, parts: Parts, halves: list[jax.Array]) -> None:
        forward, backward = map(np.asarray, halves)
        for number, lane, step, tokens_before, count in zip(
            *(column.tolist() for column in parts[:5]), strict=True
        ):
            piece = _Piece(forward, backward, lane, step, tokens_before, count)
            if tokens_before == 0:
                results[number] = [piece]
            else:
                results[number].append(piece)

    def result(self, known: list[_Piece]) -> np.ndarray:
        """See ``Collector``."""
        length = sum(piece.n_tokens for piece in known)
        result = np.empty(self.request.shape(self.config, length), self.request.dtype)
        half = self.config.projection_dim
        for forward, backward, lane, step, tokens_before, count in known:
            steps, end = slice(step, step + count), length - tokens_before
            result[..., tokens_before : tokens_before + count, :half] = forward[..., steps, lane, :]
            # The backward stack reads the last token first.
            result[..., end - count : end, half:] = backward[..., steps, lane, :][..., ::-1, :]
        return result

    @property
    def nothing(self) -> list[_Piece]:
        """See ``Collector``."""
        return []


@dataclasses.dataclass
class PoolCollector(Collector):
    """A vector a sentence."""

    pooled: jax.Array = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.pooled = jnp.zeros((0, *self.request.shape(self.config, 0)))

    def take_lanes(self, former_N: np.ndarray) -> None:
        """See ``Collector``."""
        self.pooled = self.devices.take_lanes(self.pooled, former_N)

    def reduce(
        self, words: Words, chunk: Chunk, outputs: tuple[Outputs, Outputs]
    ) -> Callable[[Results], None]:
        """See ``Collector``."""
        parts, (n_steps, n_lanes) = chunk.parts, chunk.fresh_TN.shape
        ends = np.flatnonzero(parts.finished)
        steps, lanes = (parts.steps + parts.counts - 1)[ends], parts.lanes[ends]
        # The ends of each device's lanes, behind each other.
        n_shards = self.devices.n_shards(n_lanes)
        shard, lane = np.divmod(lanes, n_lanes // n_shards)
        order = np.argsort(shard, kind="stable")
        counts = np.bincount(shard, minlength=n_shards)
        nth = np.arange(len(ends)) - np.repeat(np.cumsum(counts) - counts, counts)
        # Two compiled sizes: one end a lane is more than there are, as a rule.
        size = n_lanes // n_shards * (1 if counts.max() <= n_lanes // n_shards else n_steps)
        places_KS = np.zeros((3, n_shards, size), np.int32)
        places_KS[2] = 1  # nothing is divided by 0 where there is no sentence
        shard, ends = shard[order], ends[order]
        places_KS[:, shard, nth] = steps[order], lane[order], parts.lengths[ends]
        self.pooled, vectors = pool_lanes(
            self.pooled,
            words,
            (chunk.forward_TN, chunk.backward_TN),
            chunk.fresh_TN,
            outputs,
            *self.devices.divide(tuple(places_KS), axis=0),
            self.request.shares_L,
            self.request.selection,
            self.request.pooling or "",
            self.request.dtype,
        )

        _send_to_host(vectors)

        def fill(results: Results) -> None:
            places = zip(shard.tolist(), nth.tolist(), strict=True)
            rows = map(np.asarray(vectors).__getitem__, places)
            results.update(zip(parts.numbers[ends].tolist(), rows, strict=True))

        return fill

    def result(self, known: np.ndarray) -> np.ndarray:
        """See ``Collector``."""
        return known.copy()  # what is known of others need not stay for it

    @property
    def nothing(self) -> np.ndarray:
        """See ``Collector``."""
        return np.zeros(self.request.shape(self.config, 0), self.request.dtype)


def _send_to_host(*arrays: jax.Array) -> None:
    """Let the copies begin as soon as the arrays are there, not when somebody asks for them."""
    for array in arrays:
        array.copy_to_host_async()
