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

from ..checkpoint import check_vocabulary
from ..checkpoint.vocabulary import Vocabulary
from ..errors import ElmoError, UnknownWordsWarning, check_count, warn
from ..forking import check_process
from ..model.bilm import BiLMState
from ..model.characters import EOS
from ..model.config import ElmoConfig
from ..model.parameters import Params, check_params
from ..model.precision import check_precision
from ..text.cut_words import CutWords
from ..text.readers import Files
from .corpus import Corpus
from .language_model import Reading, initial_rows, read_window
from .lexicon import END, Lexicon
from .losses import chunked_losses
from .memory import tell_out_of_memory
from .placement import Placement
from .windows import LanePair, Window, WordWindow, assemble

_MOST_UNKNOWN = 0.2


class Perplexity(NamedTuple):
    """How well a model predicts a text. Full softmax, every token counted.

    Attributes:
        perplexity: exp of the mean of both directions' mean losses.
        forward_perplexity: of the forward direction.
        backward_perplexity: of the backward direction.
        tokens: how many each direction predicted: every word, and one marker a sentence.
        oov_rate: share of the words that are not in the vocabulary; they count as ``<UNK>``,
            which makes a perplexity with a small vocabulary look better than it is.
        words_cut: words that are longer than the model reads.
    """

    perplexity: float
    forward_perplexity: float
    backward_perplexity: float
    tokens: int
    oov_rate: float
    words_cut: int = 0


@tell_out_of_memory("Take a smaller batch_size (in a command --batch-size).")
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
        max_tokens: measure the sentences from the start until they have so many tokens to
            predict, the last one as a whole; all if None.
        reset_state: start each sentence from zeros, as a model of the "modern" recipe was
            trained; otherwise the state is carried on, as bilm-tf does.
        precision: of the matrix products.
        progress: show a progress bar on stderr, if that is a terminal.

    Raises:
        ElmoError: for numbers out of range, a model without a softmax or with one of another
            vocabulary, a text without a sentence, or too little memory.

    Warns:
        UnknownWordsWarning: if more than a fifth of the words are not in the vocabulary.
        WordsCutWarning: if words are longer than the model reads.

    Example:
        >>> model = load_language_model("run/model")
        >>> evaluate(*model, "valid.txt").perplexity
    """
    cut = CutWords(config.max_characters_per_token)
    result = measure(
        config,
        params,
        vocabulary,
        files,
        cut,
        batch_size=batch_size,
        unroll_steps=unroll_steps,
        max_tokens=max_tokens,
        reset_state=reset_state,
        precision=precision,
        progress=progress,
    )
    cut.warn()
    warn_of_unknown_words(result.oov_rate, "the text")
    return result


def measure(
    config: ElmoConfig,
    params: Params,
    vocabulary: Vocabulary,
    files: Files | Corpus,
    cut: CutWords,
    *,
    batch_size: int = 32,
    unroll_steps: int = 64,
    max_tokens: int | None = None,
    reset_state: bool = False,
    precision: str = "float32",
    progress: bool = False,
) -> Perplexity:
    """What ``evaluate`` does, without a warning; the words of the text are counted in ``cut``."""
    check_precision(precision)
    check_count(batch_size, "batch_size")
    check_count(unroll_steps, "unroll_steps")
    if max_tokens is not None:
        check_count(max_tokens, "max_tokens")
    check_head(config, params, vocabulary)
    corpus = files if isinstance(files, Corpus) else Corpus.of(files)
    placement = _placement(batch_size)
    reading = Reading(reset_state=reset_state, precision=precision)
    params = placement.place_params(_trained_parts(params))
    rows = placement.place_rows(initial_rows(config, batch_size, params["softmax"]["bias"].dtype))
    lexicon = Lexicon(vocabulary, config)
    sums, counts = np.zeros(2), np.zeros(3, np.int64)
    hidden = None if progress else True  # None: if this is no terminal
    with tqdm(unit="tok", unit_scale=True, disable=hidden, leave=False) as bar:
        for taken in _windows(_first_tokens(corpus, max_tokens), batch_size, unroll_steps, lexicon):
            _count_cut(taken[0], lexicon, cut)
            window = assemble(taken, lexicon, placement.n_devices)
            window_sums, rows = _sum_losses(
                params, rows, placement.place_window(window), config, reading
            )
            # In float64 on the host: a float32 sum over a corpus loses what is added late.
            sums += np.asarray(window_sums, np.float64)
            counts += _counts(window, vocabulary)
            bar.update(int(counts[0]) - bar.n)
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
        cut.n_cut,
    )


def warn_of_unknown_words(share: float, text: str) -> None:
    """Warn if more than a fifth of the words of ``text`` are not in the vocabulary."""
    if share > _MOST_UNKNOWN:
        warn(
            f"{share:.0%} of the words of {text} are not in the vocabulary of the softmax. They "
            "count as <UNK>, which is easily predicted, so that a perplexity says little. "
            "Expected a vocabulary of words as the text has them: of its language, its "
            "tokenisation, its upper and lower case.",
            UnknownWordsWarning,
        )


def check_head(config: ElmoConfig, params: Params, vocabulary: Vocabulary) -> None:
    """Raise ElmoError unless the model has a softmax over this vocabulary."""
    check_process()
    check_params(config, params)
    check_vocabulary(params, vocabulary)


def _placement(n_rows: int) -> Placement:
    """All devices if the rows can be divided, otherwise one: the result is the same."""
    devices = jax.local_devices()
    return Placement(n_rows, devices if n_rows % len(devices) == 0 else devices[:1])


def _trained_parts(params: Params) -> dict[str, Any]:
    return {name: part for name, part in params.items() if name != "word_embedding"}


def _first_tokens(corpus: Corpus, max_tokens: int | None) -> Iterator[list[str]]:
    """Whole sentences, until they have ``max_tokens`` to predict; all if None."""
    n_tokens = 0
    for words in corpus.sentences():
        yield words
        n_tokens += len(words) + 1
        if max_tokens is not None and n_tokens >= max_tokens:
            return


def _windows(
    sentences: Iterator[list[str]], n_rows: int, n_steps: int, lexicon: Lexicon
) -> Iterator[tuple[WordWindow, WordWindow]]:
    # Sentences of one length each way: both directions take them in the same order.
    forward, backward = itertools.tee(sentences)
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


def _count_cut(taken: WordWindow, lexicon: Lexicon, cut: CutWords) -> None:
    """Count the words that one direction reads, among them those that are cut."""
    is_read = np.arange(taken.inputs.shape[1])[None] < taken.n_real[:, None]
    numbers = taken.inputs[is_read & (taken.inputs > END)]
    cut_numbers = numbers[lexicon.are_cut(numbers)]
    example = lexicon.words(cut_numbers[:1])
    cut.add(len(numbers), len(cut_numbers), example[0] if example else "")


def _exp(loss: float) -> float:
    """Infinity where the number is too large."""
    return math.exp(loss) if loss < 700 else math.inf
