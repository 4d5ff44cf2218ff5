"""From a step's outputs to the results of sentences: reduced on the device, then copied.

A result is [x; x] for the token layer and [forward; backward] above it, so each direction gives
one half of every result: of layers, of their weighted sums, and of pooled sentences.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..errors import ElmoError
from ..lanes.devices import Devices
from ..model.config import ElmoConfig
from ..model.layers import LayerSelection
from .layer_maps import LayerMaps
from .step import Outputs
from .timeline import Chunk, Parts
from .word_table import Words

Results = dict[int, Any]
"""By sentence number, what ``finish`` takes, until the user has the result."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What the user wants of each sentence."""

    selection: LayerSelection
    layer_weights_L: jax.Array  # see ``LayerSelection.apply``
    pooling: str | None  # "mean", "max", "sif", or None for one vector per token
    dtype: str  # "float32" or "float16"
    maps: LayerMaps | None = None  # that the selection needs

    def shape(self, config: ElmoConfig, n_tokens: int) -> tuple[int, ...]:
        """The shape of the result for a sentence of ``n_tokens``."""
        layers = (self.selection.n_result_layers,) if self.selection.n_result_layers else ()
        tokens = () if self.pooling else (n_tokens,)
        bias = None if self.maps is None else self.maps.bias
        return (*layers, *tokens, config.output_dim if bias is None else len(bias))


class TokenPiece(NamedTuple):
    """Where some tokens of a sentence are: in the outputs of one call, on the host."""

    forward: np.ndarray  # [..., T, N, P]
    backward: np.ndarray  # [..., T, N, P]
    lane: int
    step: int  # at which the first of them was read
    tokens_before: int  # that earlier calls read
    n_tokens: int


class PendingTokens(NamedTuple):
    """The token vectors of one call, on their way to the host."""

    parts: Parts
    forward: jax.Array
    backward: jax.Array

    def put_into(self, results: Results) -> None:
        """Wait for the vectors, and add them to their sentences."""
        halves = np.asarray(self.forward), np.asarray(self.backward)
        for number, *position in zip(*(column.tolist() for column in self.parts[:5]), strict=True):
            piece = TokenPiece(*halves, *position)
            if piece.tokens_before == 0:  # anew: before a restart, the run may have read some
                results[number] = []
            results[number].append(piece)


class TokenOutputs:
    """Results of one vector per token.

    A result is put together only when the user gets it, so that the memory of one that the user
    drops serves the next. If all results of a call were made at once, they would take new memory
    each time, which costs more than the copying.
    """

    def __init__(self, request: Request, config: ElmoConfig) -> None:
        self._request, self._config = request, config

    @property
    def empty(self) -> list[TokenPiece]:
        """What ``finish`` takes for a sentence without tokens."""
        return []

    def take_lanes(self, former_N: np.ndarray) -> None:
        """Nothing to do: no lane carries vectors from call to call."""

    def send(self, words: Words, chunk: Chunk, outputs: tuple[Outputs, Outputs]) -> PendingTokens:
        """Reduce a call's outputs on the device, and start the copy to the host."""
        request = self._request
        wanted = request.layer_weights_L, request.selection, request.dtype
        rows = chunk.forward_TN, chunk.backward_TN
        halves = [
            token_halves(words, rows_TN, layers, *wanted)
            for rows_TN, layers in zip(rows, outputs, strict=True)
        ]
        for half in halves:
            half.copy_to_host_async()
        return PendingTokens(chunk.parts, *halves)

    def finish(self, pieces: list[TokenPiece]) -> np.ndarray:
        """The array of a sentence that was read to its end."""
        length = sum(piece.n_tokens for piece in pieces)
        result = np.empty(self._request.shape(self._config, length), self._request.dtype)
        half = self._config.projection_dim
        for forward, backward, lane, step, start, count in pieces:
            steps, end = slice(step, step + count), length - start
            result[..., start : start + count, :half] = forward[..., steps, lane, :]
            # The backward stack reads the last token first.
            result[..., end - count : end, half:] = backward[..., steps, lane, :][..., ::-1, :]
        return result


class PendingSentences(NamedTuple):
    """The vectors of the sentences that ended in one call, on their way to the host."""

    numbers: np.ndarray  # of the sentences
    positions: tuple[np.ndarray, np.ndarray]  # of each, in axes 0 and 1 of ``vectors``
    vectors: jax.Array  # [K, S, D] or [K, S, L, D], see ``pool_lanes``

    def put_into(self, results: Results) -> None:
        """Wait for the vectors, and give them to their sentences."""
        vectors = np.asarray(self.vectors)
        positions = zip(*(axis.tolist() for axis in self.positions), strict=True)
        rows = map(vectors.__getitem__, positions)
        results.update(zip(self.numbers.tolist(), rows, strict=True))


class PooledOutputs:
    """Results of one vector per sentence, which may be read in several calls."""

    def __init__(self, request: Request, config: ElmoConfig, devices: Devices) -> None:
        self._request, self._devices = request, devices
        self._shape = request.shape(config, 0)
        *layers, dim = self._shape
        self._pooled = jnp.zeros((0, *layers, dim + int(request.pooling == "sif")))

    @property
    def empty(self) -> np.ndarray:
        """What ``finish`` takes for a sentence without tokens."""
        return np.zeros(self._shape, self._request.dtype)

    def take_lanes(self, former_N: np.ndarray) -> None:
        """Follow lanes that move before the next call, see ``Timeline.resize``."""
        self._pooled = self._devices.take_lanes(self._pooled, former_N)

    def send(
        self, words: Words, chunk: Chunk, outputs: tuple[Outputs, Outputs]
    ) -> PendingSentences:
        """Pool a call's outputs on the device, and start the copy to the host."""
        request, (n_steps, n_lanes) = self._request, chunk.fresh_TN.shape
        n_shards = self._devices.n_shards(n_lanes)
        parts = Parts(*(column[chunk.parts.finished] for column in chunk.parts))
        positions, ends = _ends_by_shard(parts, n_steps, n_lanes, n_shards)
        self._pooled, vectors = pool_lanes(
            self._pooled,
            words,
            (chunk.forward_TN, chunk.backward_TN),
            chunk.fresh_TN,
            outputs,
            *self._devices.divide(ends, axis=0),
            request.layer_weights_L,
            request.selection,
            request.pooling or "",
            request.dtype,
        )
        vectors.copy_to_host_async()
        return PendingSentences(parts.numbers, positions, vectors)

    def finish(self, vector: np.ndarray) -> np.ndarray:
        """The array of a sentence that was read to its end."""
        return vector.copy()  # or it would hold the memory of all that ended in the same call


_FLOAT16_INFINITY = np.uint16(0x7C00)
"""Its bits; those of a NaN are more, and those of any other number less, but for the sign."""


def check_float16(result: np.ndarray, sentence: str) -> None:
    """Raise ElmoError if the result is float16, and float16 cannot hold it.

    ``sentence`` says in the error which one it is of.
    """
    if result.dtype.char != "e" or not result.size:
        return
    # Much faster than numpy.isfinite, which has no fast code for float16.
    if (result.view(np.uint16) & 0x7FFF).max() >= _FLOAT16_INFINITY:
        raise ElmoError(
            f"The vectors of {sentence} have numbers beyond 65,504, the largest of float16: "
            "choose dtype='float32'."
        )


def _ends_by_shard(
    parts: Parts, n_steps: int, n_lanes: int, n_shards: int
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, ...]]:
    """Where sentences end, from their last parts, for each of the K devices that share the lanes.

    Returns the row and column of each sentence in arrays [K, S]; and these arrays, int32: the steps
    at which sentences end, their lanes, and their lengths, as ``pool_lanes`` takes them.
    """
    shards, lanes = np.divmod(parts.lanes, n_lanes // n_shards)
    counts = np.bincount(shards, minlength=n_shards)
    # The sentences of each device are numbered from 0.
    order = np.argsort(shards, kind="stable")
    columns = np.empty_like(order)
    columns[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    # Two compiled sizes: more than one end per lane is rare.
    size = n_lanes // n_shards * (1 if counts.max() <= n_lanes // n_shards else n_steps)
    steps_KS, lanes_KS = np.zeros((2, n_shards, size), np.int32)
    lengths_KS = np.ones((n_shards, size), np.int32)  # no division by 0 where there is no sentence
    steps_KS[shards, columns] = parts.steps + parts.counts - 1
    lanes_KS[shards, columns] = lanes
    lengths_KS[shards, columns] = parts.lengths
    return (shards, columns), (steps_KS, lanes_KS, lengths_KS)


@functools.partial(jax.jit, static_argnames=("selection", "dtype"))
def token_halves(
    words: Words,
    rows_TN: jax.Array,
    outputs: Outputs,
    layer_weights_L: jax.Array,
    selection: LayerSelection,
    dtype: str,
) -> jax.Array:
    """One direction's half of the wanted layers: ``dtype`` [T, N, P], or [L, T, N, P] for all."""
    layers = (words.vectors[rows_TN], *outputs)
    return selection.apply(layers, layer_weights_L, axis=0).astype(dtype)


@functools.partial(jax.jit, static_argnames=("selection", "pooling", "dtype"))
def pool_lanes(
    pooled: jax.Array,
    words: Words,
    rows_TN: tuple[jax.Array, jax.Array],
    fresh_TN: jax.Array,
    outputs: tuple[Outputs, Outputs],
    steps_KS: jax.Array,
    lanes_KS: jax.Array,
    lengths_KS: jax.Array,
    layer_weights_L: jax.Array,
    selection: LayerSelection,
    pooling: str,
    dtype: str,
) -> tuple[jax.Array, jax.Array]:
    """Mean, weighted mean or maximum of the wanted layers over each sentence.

    ``pooled`` is float32 [N, D] or [N, L, D], the sum (or maximum) so far of the sentence that each
    lane is in the middle of; for a weighted mean, with the sum of the weights in one more column.
    Sentences that end here are listed for each Kth of the lanes, so that each of K devices needs
    only its own outputs: int32, the steps at which they end, their lanes counted from 0 in each
    Kth, and their tokens.

    Returns ``pooled`` for the next call; and ``dtype`` [K, S, D] or [K, S, L, D], the sentences
    that ended.
    """
    halves = [
        selection.apply((words.vectors[rows], *layers), layer_weights_L, axis=2)
        for rows, layers in zip(rows_TN, outputs, strict=True)
    ]
    if pooling == "sif":
        halves = _weighted(halves, [words.weights[rows] for rows in rows_TN])
    vectors = jnp.concatenate(halves, axis=-1)

    def add(so_far: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        new, fresh_N = now
        fresh = fresh_N.reshape(-1, *[1] * (new.ndim - 1))
        longer = jnp.maximum(so_far, new) if pooling == "max" else so_far + new
        total = jnp.where(fresh, new, longer)
        return total, total

    last, totals = lax.scan(add, pooled, (vectors, fresh_TN))
    (n_steps, n_lanes), n_shards = fresh_TN.shape, len(steps_KS)
    shards = totals.reshape(n_steps, n_shards, n_lanes // n_shards, *totals.shape[2:])
    take_ends: Callable[..., jax.Array] = jax.vmap(
        lambda shard, steps, lanes: shard[steps, lanes], (1, 0, 0)
    )
    results = take_ends(shards, steps_KS, lanes_KS)
    if pooling == "mean":
        sizes = lengths_KS.astype(results.dtype)
        results = results / sizes.reshape(*sizes.shape, *[1] * (results.ndim - 2))
    elif pooling == "sif":
        # Not 0 / 0 where no sentence is: its row may be of padding alone.
        total_weight = results[..., -1:]
        results = results[..., :-1] / jnp.where(total_weight == 0, 1, total_weight)
    return last, results.astype(dtype)


def _weighted(halves: list[jax.Array], weights_TN1: list[jax.Array]) -> list[jax.Array]:
    """Each direction's half times the weights of its tokens, and the weights as a last column."""
    over_layers = halves[0].ndim > weights_TN1[0].ndim
    weights = [w[:, :, None] if over_layers else w for w in weights_TN1]
    column = jnp.broadcast_to(weights[0], (*halves[0].shape[:-1], 1))
    return [*(half * w for half, w in zip(halves, weights, strict=True)), column]
