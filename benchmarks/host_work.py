"""What the workers of ``host`` do, each in a process of its own: the host's work, and no device's.

Windows of training are those that a run would take from its streams. For embedding, the compiled
functions are replaced by stand-ins that give results that are there already, in the sizes of an
accelerator; all else is the library's own code.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from elmo_jax import Elmo, ElmoConfig
from elmo_jax.engine import word_table
from elmo_jax.model.bilm import init_params
from elmo_jax.training import Corpus, TrainingSettings, Vocabulary, survey
from elmo_jax.training.lexicon import Lexicon
from elmo_jax.training.streams import TrainingStreams
from elmo_jax.training.text_contents import TextContents
from elmo_jax.training.windows import Window, assemble

from .calls import planned, replaced
from .texts import Sentence, read_sentences

_WORD_ROWS = (1 << 13, 1 << 15)
"""Of the word table: about as many as the largest published model has room for."""


class Workers:
    """Processes that work at the same time, one job each. Those without a job wait."""

    def __init__(self, n_workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._processes = [
            concurrent.futures.ProcessPoolExecutor(1, mp_context=context) for _ in range(n_workers)
        ]

    def __enter__(self) -> Workers:
        with mock.patch.dict(os.environ, JAX_PLATFORMS="cpu"):
            self.run([int] * len(self._processes))  # the processes start with their first job
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.shutdown()

    def run(self, jobs: Sequence[Callable[[], Any]]) -> list[Any]:
        """Give one job to each of the first workers, and wait for what they return."""
        pairs = zip(self._processes, jobs, strict=False)
        started = [process.submit(job) for process, job in pairs]
        return [job.result() for job in started]


@dataclasses.dataclass(frozen=True)
class TrainingText:
    """A text to train on, and the sizes of a run."""

    file: Path
    vocabulary: Path
    config: ElmoConfig
    n_predictions: int  # of one pass over it
    unroll_steps: int

    def n_windows(self, n_rows: int) -> int:
        """Windows that need more than one pass, so that each time the text is read anew once."""
        return -(-self.n_predictions // (n_rows * self.unroll_steps))

    def windows(self, n_rows: int, own: slice) -> Iterator[Window]:
        """The windows of a process that owns some of the rows, without an end."""
        corpus, vocabulary = _opened(self)
        lexicon = Lexicon(vocabulary, self.config)
        settings = TrainingSettings(batch_size=n_rows, unroll_steps=self.unroll_steps)
        streams = TrainingStreams(corpus, lexicon, settings, own=own)
        while True:
            window = assemble(streams.take(), lexicon)
            _ = streams.mark  # as ``WindowFeed`` does
            yield window


@functools.lru_cache(maxsize=1)
def _opened(text: TrainingText) -> tuple[Corpus, Vocabulary]:
    """The corpus as a run has it: counted, and watched for changes."""
    corpus = dataclasses.replace(Corpus.of(text.file), contents=TextContents())
    survey(corpus)
    watched = dataclasses.replace(corpus.without_reports(), contents=corpus.contents)
    return watched, Vocabulary.of(text.vocabulary)


def prepare(text: TrainingText, n_rows: int, own: slice) -> float:
    """Seconds for the windows of one pass after the first window, which opens the streams."""
    windows = text.windows(n_rows, own)
    next(windows)
    started = time.perf_counter()
    for _ in range(text.n_windows(n_rows)):
        next(windows)
    return time.perf_counter() - started


def embed(file: Path, config: ElmoConfig, share: tuple[int, int], **wanted: Any) -> float:
    """Seconds for the host's work on the ``share`` (number, of how many) of a text."""
    sentences = _sentences(file)
    first, end = (len(sentences) * number // share[1] for number in (share[0], share[0] + 1))
    # Nothing reads the weights: small ones, and zeros, will do.
    config = dataclasses.replace(config, cell_dim=config.projection_dim)
    shapes = jax.eval_shape(functools.partial(init_params, config, 0))
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    with _without_device():
        elmo = Elmo.from_params(config, params)
        started = time.perf_counter()
        for _ in elmo.stream(sentences[first:end], **wanted):
            pass
        return time.perf_counter() - started


@functools.lru_cache(maxsize=1)
def _sentences(file: Path) -> list[Sentence]:
    return read_sentences(file)


@contextlib.contextmanager
def _without_device() -> Iterator[None]:
    """An Elmo that is used within computes nothing, in the sizes of an accelerator."""
    stand_ins: dict[str, Any] = {
        "_write_words": lambda params, words, *rest: words,
        "read_lanes": lambda params, words, start, state, *rest: (((), ()), state),
        "token_halves": _token_halves,
        "pool_lanes": _pool_lanes,
    }
    with contextlib.ExitStack() as stack:
        for name, stand_in in stand_ins.items():
            stack.enter_context(replaced(name, functools.partial(_instead, stand_in)))
        stack.enter_context(planned("gpu", word_rows=_WORD_ROWS))
        stack.enter_context(mock.patch.object(word_table, "GATES", ()))  # gigabytes
        yield


def _instead(stand_in: Callable[..., Any], function: Any) -> Callable[..., Any]:
    return stand_in


def _token_halves(
    words: Any, rows_TN: Any, outputs: Any, weights_L: Any, selection: Any, dtype: str
) -> jax.Array:
    n_layers = selection.n_result_layers
    shape = (*rows_TN.shape, words.vectors.shape[-1])
    return _ready((n_layers, *shape) if n_layers else shape, dtype)


def _pool_lanes(
    pooled: jax.Array, words: Any, rows: Any, fresh_TN: Any, outputs: Any, steps_KS: Any, *rest: Any
) -> tuple[jax.Array, jax.Array]:
    return pooled, _ready((*steps_KS.shape, *pooled.shape[1:]), rest[-1])


@functools.lru_cache(maxsize=8)
def _ready(shape: tuple[int, ...], dtype: str) -> jax.Array:
    return jnp.ones(shape, dtype)
