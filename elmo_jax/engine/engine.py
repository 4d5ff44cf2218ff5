"""Engine: a stream of sentences to a stream of results, in order and in bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ..config import ElmoConfig
from ..model import BiLMState
from ..parameters import Params
from .collectors import Collector, PoolCollector, Request, TokenCollector
from .lanes import Outputs, Reading, read_lanes, start_state
from .layout import Layout, lay_out
from .plan import WINDOW_TOKENS, Batch, plan_window
from .word_table import WordTable

Sentence = Sequence[str]


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
        running: Collector | None = None
        for batch in plan_window(lengths):
            # The device reads this batch while the host takes the results of the one before.
            started = self._start_batch(batch, lay_out(batch, lengths, slots), request)
            if running:
                running.finish(results)
            running = started
        if running:
            running.finish(results)
        return results

    def _start_batch(self, batch: Batch, layout: Layout, request: Request) -> Collector:
        """Send a batch to the device."""
        kind = TokenCollector if request.pooling is None else PoolCollector
        collector = kind(batch, layout, request, self._config, self._table.vectors)
        for stretch, forward, backward in self._read(batch, layout, request.selection.n_computed):
            collector.add(stretch, forward, backward)
        return collector

    def _read(
        self, batch: Batch, layout: Layout, n_output_layers: int
    ) -> Iterator[tuple[int, Outputs, Outputs]]:
        """Read the lanes of a batch; gives (stretch, forward, backward) when both are there.

        The forward stack goes through the stretches from the first, the backward stack from the
        last, each with the state that its stretch before left.
        """
        start = self._start(n_output_layers - 1)
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
