"""From the outputs of a batch's stretches to the results of its sentences."""

from __future__ import annotations

import abc
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ..config import ElmoConfig
from ..selection import LayerSelection
from .lanes import Outputs, add_to_pools, token_results
from .layout import Layout
from .plan import Batch


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
    """Takes the outputs of a batch, stretch by stretch, and gives results to its sentences.

    Attributes:
        batch: the sentences.
        layout: where they lie.
        request: what is wanted.
        config: the architecture.
        words: float32 [rows, P], the word table as the batch was read with it.
    """

    batch: Batch
    layout: Layout
    request: Request
    config: ElmoConfig
    words: jax.Array

    @abc.abstractmethod
    def add(self, stretch: int, forward: Outputs, backward: Outputs) -> None:
        """Take one stretch; returns before the device has computed it."""

    @abc.abstractmethod
    def finish(self, results: list[np.ndarray]) -> None:
        """Wait for the device, and put each sentence's result in its place of the window."""


@dataclasses.dataclass
class TokenCollector(Collector):
    """A vector a token."""

    on_device: dict[int, jax.Array] = dataclasses.field(default_factory=dict)

    def add(self, stretch: int, forward: Outputs, backward: Outputs) -> None:
        """Reduce a stretch to the wanted layers, on the device."""
        self.on_device[stretch] = token_results(
            self.words,
            self.layout.stretch(self.layout.slots, stretch),
            forward,
            backward,
            self.request.shares_L,
            self.request.selection,
            self.request.dtype,
        )

    def finish(self, results: list[np.ndarray]) -> None:
        """Copy each sentence's tokens out of the lanes."""
        sentences, layout, request = self.batch.sentences, self.layout, self.request
        for sentence, length in zip(sentences, layout.lengths, strict=True):
            results[sentence] = np.empty(request.shape(self.config, int(length)), request.dtype)
        for stretch in sorted(self.on_device):
            vectors = np.asarray(self.on_device.pop(stretch))
            for nth, inside, outside in layout.overlaps(stretch):
                lane = layout.lanes[nth]
                results[sentences[nth]][..., outside, :] = vectors[lane, ..., inside, :]


@dataclasses.dataclass
class PoolCollector(Collector):
    """A vector a sentence."""

    pooled: jax.Array = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        shape = _few_sizes(len(self.batch.sentences)), *self.request.shape(self.config, 0)
        nothing = 0.0 if self.request.pooling == "mean" else -jnp.inf
        self.pooled = jnp.full(shape, nothing, jnp.float32)

    def add(self, stretch: int, forward: Outputs, backward: Outputs) -> None:
        """Add a stretch to the sums (or maxima) of its sentences, on the device."""
        self.pooled = add_to_pools(
            self.pooled,
            self.words,
            self.layout.stretch(self.layout.slots, stretch),
            self.layout.stretch(self.layout.sentence, stretch),
            forward,
            backward,
            self.request.shares_L,
            self.request.selection,
            self.request.pooling,
        )

    def finish(self, results: list[np.ndarray]) -> None:
        """Divide sums by lengths, and copy each vector."""
        vectors = np.asarray(self.pooled)[: len(self.batch.sentences)]
        if self.request.pooling == "mean":
            lengths = self.layout.lengths.astype(np.float32)
            vectors = vectors / lengths.reshape(-1, *[1] * (vectors.ndim - 1))
        for sentence, vector in zip(self.batch.sentences, vectors, strict=True):
            results[sentence] = vector.astype(self.request.dtype)


def _few_sizes(n: int) -> int:
    """The next power of four, so that few shapes are compiled."""
    size = 16
    while size < n:
        size *= 4
    return size
