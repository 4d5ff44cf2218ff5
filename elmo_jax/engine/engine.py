"""Engine: a stream of sentences to a stream of results, in order and in bounded memory."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..config import ElmoConfig
from ..model import BiLMState
from ..parameters import Params
from ..selection import LayerSelection
from .lanes import Reading, add_to_pools, read_lanes, start_state, token_results
from .layout import Layout, lay_out
from .plan import WINDOW_TOKENS, Batch, plan_window
from .word_table import WordTable

Sentence = Sequence[str]


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


class Engine:
    """Runs one model over sentences. Threads may share it; they take turns by window."""

    def __init__(self, config: ElmoConfig, params: Params, precision: str) -> None:
        self._config, self._params, self._precision = config, params, precision
        self._table = WordTable(config, params, precision)
        self._starts: dict[int, BiLMState] = {}
        self._lock = threading.Lock()

    def run(self, sentences: Iterable[Sentence], request: Request) -> Iterator[np.ndarray]:
        """Results in the order of the sentences, computed a window at a time.

        Args:
            sentences: lists of words, checked already.
            request: what is wanted of each.

        Yields:
            An array of its own for each sentence: [T, D] or [L, T, D], pooled [D] or [L, D].
        """
        for window in _windows(sentences):
            with self._lock:
                results = self._run_window(window, request)
            yield from results

    def _run_window(self, window: list[Sentence], request: Request) -> list[np.ndarray]:
        lengths = np.fromiter(map(len, window), np.int64, len(window))
        slots = self._table.slots(word for sentence in window for word in sentence)
        # Those of sentences with words are replaced; the shape of one without is known now.
        results = [np.zeros(request.shape(self._config, 0), request.dtype) for _ in window]
        unfinished: Callable[[], None] | None = None
        for batch in plan_window(lengths):
            # The device reads this batch while the host takes the results of the one before.
            finish = self._start_batch(batch, lay_out(batch, lengths, slots), request, results)
            if unfinished:
                unfinished()
            unfinished = finish
        if unfinished:
            unfinished()
        return results

    def _start_batch(
        self, batch: Batch, layout: Layout, request: Request, results: list[np.ndarray]
    ) -> Callable[[], None]:
        """Send a batch to the device; what is returned waits for it and stores its results."""
        stretches = self._read(batch, layout, request.selection.n_computed - 1)
        if request.pooling is None:
            return self._start_tokens(batch, layout, request, results, stretches)
        return self._start_pools(batch, layout, request, results, stretches)

    def _read(self, batch: Batch, layout: Layout, n_layers: int) -> Iterator[tuple[int, Any, Any]]:
        """Read the lanes of a batch; gives (stretch, forward, backward) as soon as both are there.

        The forward stack goes through the stretches from the first, the backward stack from the
        last, each with the state that its stretch before left.
        """
        start = self._start(n_layers)
        state = jax.tree.map(lambda x: jnp.zeros((batch.n_lanes, *x.shape), x.dtype), start)
        forward_outputs, backward_outputs = {}, {}
        for call in range(batch.n_calls):
            ahead, back = call, batch.n_calls - 1 - call
            forward_outputs[ahead], backward_outputs[back], state = read_lanes(
                self._params,
                self._table.vectors,
                start,
                state,
                Reading(layout.stretch(layout.slots, ahead), layout.stretch(layout.first, ahead)),
                Reading(layout.stretch(layout.slots, back), layout.stretch(layout.last, back)),
                self._config,
                self._precision,
            )
            for ready in sorted({ahead, back}):
                if ready in forward_outputs and ready in backward_outputs:
                    yield ready, forward_outputs.pop(ready), backward_outputs.pop(ready)

    def _start_tokens(
        self,
        batch: Batch,
        layout: Layout,
        request: Request,
        results: list[np.ndarray],
        stretches: Iterator[tuple[int, Any, Any]],
    ) -> Callable[[], None]:
        on_device = {
            stretch: token_results(
                self._table.vectors,
                layout.stretch(layout.slots, stretch),
                forward,
                backward,
                request.shares_L,
                request.selection,
                request.dtype,
            )
            for stretch, forward, backward in stretches
        }

        def finish() -> None:
            for sentence, length in zip(batch.sentences, layout.lengths, strict=True):
                shape = request.shape(self._config, int(length))
                results[sentence] = np.empty(shape, request.dtype)
            for stretch in sorted(on_device):
                vectors = np.asarray(on_device.pop(stretch))
                for nth, inside, outside in layout.overlaps(stretch):
                    lane = layout.lanes[nth]
                    results[batch.sentences[nth]][..., outside, :] = vectors[lane, ..., inside, :]

        return finish

    def _start_pools(
        self,
        batch: Batch,
        layout: Layout,
        request: Request,
        results: list[np.ndarray],
        stretches: Iterator[tuple[int, Any, Any]],
    ) -> Callable[[], None]:
        n_sentences = len(batch.sentences)
        shape = (_few_sizes(n_sentences), *request.shape(self._config, 0))
        pooled = jnp.full(shape, 0.0 if request.pooling == "mean" else -jnp.inf, jnp.float32)
        for stretch, forward, backward in stretches:
            pooled = add_to_pools(
                pooled,
                self._table.vectors,
                layout.stretch(layout.slots, stretch),
                layout.stretch(layout.sentence, stretch),
                forward,
                backward,
                request.shares_L,
                request.selection,
                request.pooling,
            )

        def finish() -> None:
            vectors = np.asarray(pooled)[:n_sentences]
            if request.pooling == "mean":
                lengths = layout.lengths.astype(np.float32)
                vectors = vectors / lengths.reshape(-1, *[1] * (vectors.ndim - 1))
            for sentence, vector in zip(batch.sentences, vectors, strict=True):
                results[sentence] = vector.astype(request.dtype)

        return finish

    def _start(self, n_layers: int) -> BiLMState:
        if n_layers not in self._starts:
            arguments = (self._params, self._config, n_layers, self._precision)
            self._starts[n_layers] = start_state(*arguments)
        return self._starts[n_layers]


def _windows(sentences: Iterable[Sentence]) -> Iterator[list[Sentence]]:
    """Runs of sentences of at most WINDOW_TOKENS tokens, or one longer sentence."""
    window: list[Sentence] = []
    n_tokens = 0
    for sentence in sentences:
        # An empty sentence counts too, so that any number of them stays bounded.
        size = max(1, len(sentence))
        if window and n_tokens + size > WINDOW_TOKENS:
            yield window
            window, n_tokens = [], 0
        window.append(sentence)
        n_tokens += size
    if window:
        yield window


def _few_sizes(n: int) -> int:
    """The next power of four, so that few shapes are compiled."""
    size = 16
    while size < n:
        size *= 4
    return size
