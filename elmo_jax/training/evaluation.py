"""Perplexity, with the full softmax: the one number that can be compared between models."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from ..characters import EOS
from ..config import ElmoConfig
from ..errors import ElmoError
from ..forking import check_process
from ..model import BiLMState, check_precision
from ..parameters import Params, check_params
from ..readers import Files
from .corpus import Corpus
from .lanes import LanePair, Taken
from .language_model import Reading, initial_rows, read_window
from .lexicon import Lexicon
from .losses import chunked_losses
from .placement import Placement
from .vocabulary import Vocabulary
from .windows import Window, assemble


class Perplexity(NamedTuple):
    """How well a model predicts a text. Full softmax, every token counted.

    Attributes:
        perplexity: exp of the mean of both directions' mean losses.
        forward_perplexity: of the forward direction.
        backward_perplexity: of the backward direction.
        tokens: how many each direction predicted: every word, and one marker a sentence.
        oov_rate: share of the words that are not in the vocabulary; they count as ``<UNK>``,
            which makes a perplexity with a small vocabulary look better than it is.
    """

    perplexity: float
    forward_perplexity: float
    backward_perplexity: float
    tokens: int
    oov_rate: float


def evaluate(
    config: ElmoConfig,
    params: Params,
    vocabulary: Vocabulary,
    files: Files | Corpus,
    *,
    batch_size: int = 32,
    unroll_steps: int = 64,
    max_tokens: int | None = None,
    reset_state: bool = False,
    precision: str = "float32",
    progress: bool = False,
) -> Perplexity:
    """The perplexity of a model on text files.

    The text fills ``batch_size`` rows, each a stream in the order of the files; as in training,
    the state is carried from sentence to sentence. Which sentences follow each other in a row
    depends on ``batch_size``, and with it, slightly, the result; not so with ``reset_state``.

    Args:
        config: the architecture.
        params: with the softmax, ``params["softmax"]``.
        vocabulary: of the softmax.
        files: paths or patterns, or a Corpus.
        batch_size: rows.
        unroll_steps: steps that are computed at once; without influence on the result.
        max_tokens: stop after about as many tokens; all if None.
        reset_state: start each sentence from zeros, as a model of the "modern" recipe was
            trained; otherwise the state is carried on, as bilm-tf does.
        precision: of the matrix products.
        progress: show a progress bar on stderr, if that is a terminal.

    Raises:
        ElmoError: for a model without a softmax or with one of another vocabulary, or a text
            without a sentence.

    Example:
        >>> config, params = elmo_jax.load("run/model")
        >>> vocabulary = Vocabulary.read("run/model/vocab.txt")
        >>> evaluate(config, params, vocabulary, "valid.txt").perplexity
    """
    check_head(config, params, vocabulary)
    check_precision(precision)
    corpus = files if isinstance(files, Corpus) else Corpus.of(files)
    placement = _placement(batch_size)
    reading = Reading(reset_state=reset_state, precision=precision)
    params = placement.place_params(_trained_parts(params))
    rows = placement.place_rows(initial_rows(config, batch_size, params["softmax"]["bias"].dtype))
    lexicon = Lexicon(vocabulary, config)
    sums, counts = np.zeros(2), np.zeros(3, np.int64)
    hidden = None if progress else True  # None: if this is no terminal
    with tqdm(unit="tok", unit_scale=True, disable=hidden, leave=False) as bar:
        for taken in _windows(corpus, batch_size, unroll_steps, lexicon):
            window = assemble(taken, lexicon, placement.n_devices)
            window_sums, rows = _sum_losses(
                params, rows, placement.place_window(window), config, reading
            )
            # In float64 on the host: a float32 sum over a corpus loses what is added late.
            sums += np.asarray(window_sums, np.float64)
            counts += _counts(window, vocabulary)
            bar.update(int(counts[0]) - bar.n)
            if max_tokens is not None and counts[0] >= max_tokens:
                break
    n_tokens, n_words, n_unknown = map(int, counts)
    if not n_tokens:
        raise ElmoError(f"No sentence to evaluate in {corpus.files[0]}.")
    forward, backward = sums / n_tokens
    return Perplexity(
        _exp((forward + backward) / 2),
        _exp(forward),
        _exp(backward),
        n_tokens,
        n_unknown / max(1, n_words),
    )


def check_head(config: ElmoConfig, params: Params, vocabulary: Vocabulary) -> None:
    """Raise ElmoError unless the model has a softmax over this vocabulary."""
    check_process()
    check_params(config, params)
    if "softmax" not in params:
        raise ElmoError(
            "This model has no softmax (softmax/W and softmax/b), which the published models "
            "were given out without. Train or fine-tune it first: that gives it one."
        )
    n_words = np.shape(params["softmax"]["bias"])[0]
    if n_words != len(vocabulary):
        raise ElmoError(
            f"The vocabulary has {len(vocabulary)} words, but the model's softmax has {n_words}. "
            "Expected the vocab.txt that was written beside the model."
        )


def _placement(n_rows: int) -> Placement:
    """All devices if the rows can be divided, otherwise one: the result is the same."""
    devices = jax.local_devices()
    return Placement(n_rows, devices if n_rows % len(devices) == 0 else devices[:1])


def _trained_parts(params: Params) -> dict[str, Any]:
    return {name: part for name, part in params.items() if name != "word_embedding"}


def _windows(
    corpus: Corpus, n_rows: int, n_steps: int, lexicon: Lexicon
) -> Iterator[tuple[Taken, Taken]]:
    # Sentences of one length each way: both directions take them in the same order.
    forward, backward = itertools.tee(corpus.sentences())
    lanes = LanePair((forward, backward), n_rows, lexicon)
    while taken := lanes.take(n_steps):
        yield taken


@functools.partial(jax.jit, static_argnames=("config", "reading"))
def _sum_losses(
    params: Params, rows: BiLMState, window: Window, config: ElmoConfig, reading: Reading
) -> tuple[jax.Array, BiLMState]:
    """The summed loss of each direction's real tokens, [2], and the state after them."""
    outputs, rows = read_window(params, rows, window, config=config, reading=reading)
    losses = [
        chunked_losses(
            params["softmax"],
            outputs[number].reshape(-1, outputs.shape[-1]),
            window.targets[number].reshape(-1),
            reading.precision,
        )
        for number in range(2)
    ]
    real = window.real.reshape(2, -1)
    return jnp.where(real, jnp.stack(losses), 0).sum(axis=1), rows


def _counts(window: Window, vocabulary: Vocabulary) -> tuple[int, int, int]:
    """Tokens, words among them, and words out of the vocabulary of the forward direction."""
    targets = window.targets[0][window.real[0]]
    n_words = int((targets != vocabulary.ids([EOS])[0]).sum())
    return len(targets), n_words, int((targets == vocabulary.unknown).sum())


def _exp(loss: float) -> float:
    """Infinity where the number is too large."""
    return math.exp(loss) if loss < 700 else math.inf
