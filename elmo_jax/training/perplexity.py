"""Measuring the perplexity of a model on a text, by as many processes as there are."""

from __future__ import annotations

import dataclasses
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
from ..errors import ElmoError, count_problem, flag_problem
from ..forking import check_process
from ..lanes.devices import Devices
from ..model.bilm import BiLMState
from ..model.characters import EOS
from ..model.config import PRECISIONS, ElmoConfig
from ..model.parameters import Params, check_params
from ..model.spelling import word_limit
from ..processes import Processes
from ..text.cut_words import CutWords
from .argument_types import check_config, choice_problem, refuse
from .language_model import Reading, initial_rows, read_window
from .lexicon import END, Lexicon
from .losses import chunked_losses
from .placement import copied_to_own, devices_for_rows, place_window
from .sentences import SplitSentences
from .text_files import Corpus
from .windows import LanePair, Window, WordWindow, assemble


class Perplexity(NamedTuple):
    """How well a model predicts a text, with the full softmax and every token counted.

    Attributes:
        perplexity: exp of the mean of the two directions' mean losses.
        tokens: number of tokens that each direction predicted: every word, and one marker per
            sentence.
        oov_rate: share of the words that are not in the vocabulary. They count as ``<UNK>``,
            which makes the perplexity look better than it is if the vocabulary is small.
        words_cut: number of words that are longer than the model reads.
    """

    perplexity: float
    forward_perplexity: float
    backward_perplexity: float
    tokens: int
    oov_rate: float
    words_cut: int = 0


@dataclasses.dataclass(frozen=True)
class EvaluationSettings:
    """The arguments of ``evaluate``; ElmoError for values out of range."""

    batch_size: int = 32
    unroll_steps: int = 64
    max_tokens: int | None = None
    reset_state: bool = False
    precision: str = "float32"
    progress: bool = False

    def __post_init__(self) -> None:
        flags = ("reset_state", "progress")
        refuse(
            [
                choice_problem(self.precision, "precision", PRECISIONS),
                count_problem(self.batch_size, "batch_size"),
                count_problem(self.unroll_steps, "unroll_steps"),
                None if self.max_tokens is None else count_problem(self.max_tokens, "max_tokens"),
                *(flag_problem(getattr(self, name), name) for name in flags),
            ]
        )


def measure(
    config: ElmoConfig,
    params: Params,
    vocabulary: Vocabulary,
    corpus: Corpus,
    settings: EvaluationSettings,
    processes: Processes,
) -> tuple[Perplexity, CutWords]:
    """``evaluate`` without its warnings; the words that are cut are returned instead.

    Each process reads rows of its own, on its own devices, until they end.
    """
    with processes.together():
        own = _sums_of_own_rows(config, params, vocabulary, corpus, settings, processes)
    total = functools.reduce(_Sums.plus, map(_Sums.from_json, processes.gather(own.to_json())))
    if not total.n_tokens:
        raise ElmoError(f"No sentence to evaluate in {corpus.files[0]}.")
    forward, backward = (loss / total.n_tokens for loss in total.losses)
    oov_rate = total.n_unknown / max(1, total.n_words)
    cut = CutWords(word_limit(config), *total.cut)
    result = Perplexity(
        exp_of_loss((forward + backward) / 2),
        exp_of_loss(forward),
        exp_of_loss(backward),
        total.n_tokens,
        oov_rate,
        cut.n_cut,
    )
    return result, cut


class _Sums(NamedTuple):
    """What the rows of a process add up to."""

    losses: tuple[float, float]  # of both directions
    n_tokens: int  # that each direction predicted
    n_words: int  # among them
    n_unknown: int  # among those
    cut: tuple[int, int, str]  # the fields of CutWords

    def to_json(self) -> list[Any]:
        return [[loss.hex() for loss in self.losses], *self[1:]]  # JSON has no infinity

    @classmethod
    def from_json(cls, content: list[Any]) -> _Sums:
        losses, *others = content
        forward, backward = map(float.fromhex, losses)
        return cls((forward, backward), *others)

    def plus(self, other: _Sums) -> _Sums:
        forward, backward = (a + b for a, b in zip(self.losses, other.losses, strict=True))
        (n_read, n_cut, example), more = self.cut, other.cut
        return _Sums(
            (forward, backward),
            self.n_tokens + other.n_tokens,
            self.n_words + other.n_words,
            self.n_unknown + other.n_unknown,
            (n_read + more[0], n_cut + more[1], example or more[2]),
        )


def _sums_of_own_rows(
    config: ElmoConfig,
    params: Params,
    vocabulary: Vocabulary,
    corpus: Corpus,
    settings: EvaluationSettings,
    processes: Processes,
) -> _Sums:
    """Read the rows of this process on its own devices. The rows do not depend on each other."""
    check_softmax(config, params, vocabulary)
    own_rows = processes.own(settings.batch_size)
    n_own = own_rows.stop - own_rows.start
    devices = _devices_for(n_own)
    reading = Reading(reset_state=settings.reset_state, precision=settings.precision)
    # Words are read from their characters, as in training, even if there is a table of vectors.
    params = {name: part for name, part in params.items() if name != "word_embedding"}
    params = copied_to_own(params, devices)
    rows = initial_rows(config, n_own, params["softmax"]["bias"].dtype)
    rows = jax.device_put(rows, devices.divided())
    lexicon, cut = Lexicon(vocabulary, config), CutWords(word_limit(config))
    loss_sums, counts = np.zeros(2), np.zeros(3, np.int64)
    shows = settings.progress and processes.is_first
    hidden = None if shows else True  # None: hidden unless stderr is a terminal
    with tqdm(unit="tok", unit_scale=True, disable=hidden, leave=False) as bar:
        for pair in _word_windows(corpus, lexicon, settings, own_rows):
            _count_cut_words(pair[0], lexicon, cut)
            window = assemble(pair, lexicon, devices.count)
            placed = place_window(window, devices)
            window_sums, rows = _sum_losses(params, rows, placed, config, reading)
            # Summed in float64: float32 would lose what is added late in a long text.
            loss_sums += np.asarray(window_sums, np.float64)
            counts += _count_targets(window, vocabulary)
            bar.update(int(counts[0]) - bar.n)
    forward, backward = loss_sums.tolist()
    n_tokens, n_words, n_unknown = counts.tolist()
    cut_words = (cut.n_words, cut.n_cut, cut.example)
    return _Sums((forward, backward), n_tokens, n_words, n_unknown, cut_words)


def check_softmax(config: ElmoConfig, params: Params, vocabulary: Vocabulary) -> None:
    """Raise ElmoError unless the model has a softmax over this vocabulary."""
    check_process()
    check_config(config)
    check_params(config, params)
    check_vocabulary(params, vocabulary)


def _devices_for(n_rows: int) -> Devices:
    """All devices if the rows can be divided among them, otherwise one: the result is the same."""
    devices = jax.local_devices()
    return devices_for_rows(n_rows, devices if n_rows % len(devices) == 0 else devices[:1])


def _word_windows(
    corpus: Corpus, lexicon: Lexicon, settings: EvaluationSettings, own_rows: slice
) -> Iterator[tuple[WordWindow, WordWindow]]:
    # A sentence has as many tokens in both directions, so both can take them in the same order.
    forward, backward = itertools.tee(_first_sentences(corpus, settings.max_tokens))
    streams = SplitSentences(forward), SplitSentences(backward)
    lanes = LanePair(streams, settings.batch_size, lexicon, own=own_rows)
    while pair := lanes.take(settings.unroll_steps):
        yield pair


def _first_sentences(corpus: Corpus, max_tokens: int | None) -> Iterator[list[str]]:
    """Whole sentences, until they have ``max_tokens`` to predict; all if None."""
    n_tokens = 0
    for words in corpus.sentences():
        yield words
        n_tokens += len(words) + 1
        if max_tokens is not None and n_tokens >= max_tokens:
            return


@functools.partial(jax.jit, static_argnames=("config", "reading"))
def _sum_losses(
    params: Params, rows: BiLMState, window: Window, config: ElmoConfig, reading: Reading
) -> tuple[jax.Array, BiLMState]:
    """The summed loss of each direction over real tokens, float32 [2], and the new state."""
    outputs, rows = read_window(params, rows, window, config=config, reading=reading)
    outputs_2MP = outputs.reshape(2, -1, outputs.shape[-1])
    targets_2M, real_2M = (jnp.asarray(x).reshape(2, -1) for x in (window.targets, window.real))
    losses = [
        chunked_losses(params["softmax"], outputs_MP, targets_M, reading.precision)
        for outputs_MP, targets_M in zip(outputs_2MP, targets_2M, strict=True)
    ]
    return jnp.where(real_2M, jnp.stack(losses), 0).sum(axis=1), rows


def _count_targets(window: Window, vocabulary: Vocabulary) -> tuple[int, int, int]:
    """Tokens of the forward direction, the words among them, and the unknown words among those."""
    targets = window.targets[0][window.real[0]]
    n_words = int((targets != vocabulary.ids([EOS])[0]).sum())
    return len(targets), n_words, int((targets == vocabulary.unknown).sum())


def _count_cut_words(forward: WordWindow, lexicon: Lexicon, cut: CutWords) -> None:
    """Count the words that the forward direction reads, and those that are cut."""
    is_real = np.arange(forward.inputs.shape[1])[None] < forward.n_real[:, None]
    numbers = forward.inputs[is_real & (forward.inputs > END)]
    cut_numbers = numbers[lexicon.entries.is_cut_U[numbers]]
    example = lexicon.words(cut_numbers[:1])
    cut.add(len(numbers), len(cut_numbers), example[0] if example else "")


def exp_of_loss(loss: float) -> float:
    """exp, or infinity where the result is too large for a float; NaN stays NaN."""
    return math.inf if loss >= 700 else math.exp(loss)
