"""A trained biLM as a language model: how likely each word is, and what else could be there."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..checkpoint.vocabulary import Vocabulary
from ..engine.memory import explain_out_of_memory
from ..errors import ElmoError, check_count, counted
from ..model.config import PRECISIONS, ElmoConfig
from ..model.parameters import DIRECTIONS, Params
from ..model.precision import linear
from ..model.spelling import word_limit
from ..text.cut_words import CutWords
from ..text.sentences import check_collection, check_sentence, check_sentences
from .argument_types import choice_problem, refuse
from .evaluation import warn_of_unknown_words
from .language_model import Reading, initial_rows, read_window
from .lexicon import Lexicon
from .losses import chunked_losses
from .perplexity import check_softmax, exp_of_loss
from .sentences import SplitSentences
from .windows import LanePair, Window, assemble, bucket

_DIRECTION_CHOICES = ("both", *DIRECTIONS)

UNKNOWN = ("as_unk", "skip")
"""What a word counts as that is not in the vocabulary: ``<UNK>``, or nothing."""

_BATCH_TOKENS = 4096


class SentenceScores(NamedTuple):
    """Log-probabilities of a sentence of n words, in nats.

    Attributes:
        forward: float32 [n], log p(word | BOS and the words before it).
        backward: float32 [n], log p(word | the words after it and EOS).
        forward_end: log p(EOS | BOS and all words).
        backward_end: log p(BOS | all words and EOS).
        known: bool [n], whether the word is in the vocabulary. If not, it gets the numbers of
            ``<UNK>``, which stands for all unknown words. They are often high, so nonsense may
            score better than words. With ``unknown="skip"`` they are 0.
        unknown: "as_unk" or "skip", the argument of ``score``.
    """

    forward: np.ndarray
    backward: np.ndarray
    forward_end: float
    backward_end: float
    known: np.ndarray
    unknown: str = UNKNOWN[0]

    @property
    def n_unknown(self) -> int:
        """Words that are not in the vocabulary."""
        return len(self.known) - int(self.known.sum())

    @property
    def perplexity(self) -> float:
        """Exp of the mean loss of both directions, sentence markers included.

        Unknown words count as ``<UNK>``. With ``unknown="skip"`` they do not count.
        """
        total = self.forward.sum() + self.backward.sum() + self.forward_end + self.backward_end
        n_words = len(self.forward) - (self.n_unknown if self.unknown == "skip" else 0)
        return exp_of_loss(-float(total) / (2 * (n_words + 1)))


@explain_out_of_memory("Split the longest sentence, or take a device with more of it.")
def score(
    config: ElmoConfig,
    params: Params,
    vocabulary: Vocabulary,
    sentences: Iterable[Sequence[str]],
    *,
    unknown: str = UNKNOWN[0],
    precision: str = "float32",
) -> list[SentenceScores]:
    """Score each sentence by itself in both directions, from a zero state, with the full softmax.

    Args:
        config: the architecture.
        params: the parameters, including the softmax.
        vocabulary: the words of the softmax.
        sentences: lists of words. Sentences of about the same length are computed together, about
            4,096 words at a time. Results are in the order of the sentences.
        unknown: how to count a word that is not in the vocabulary. "as_unk": as ``<UNK>``, which
            stands for all unknown words and is often likely. "skip": the word is read, but left
            out of sums and perplexity. Either way, compare only sentences with the same unknown
            words.
        precision: for matrix products.

    Raises:
        ElmoError: for a model without a softmax, a softmax with a different vocabulary, an
            unknown value of ``unknown``, or sentences that are not lists of words.

    Warns:
        UnknownWordsWarning: if more than a fifth of the words of all sentences are not in the
            vocabulary, and count as ``<UNK>``.
        WordsCutWarning: if words are longer than the model reads.

    Example:
        >>> scores = score(config, params, vocabulary, [["It", "works", "."]])
        >>> scores[0].forward.shape, scores[0].n_unknown
        ((3,), 0)
    """
    check_softmax(config, params, vocabulary)
    refuse(
        [
            choice_problem(precision, "precision", PRECISIONS),
            choice_problem(unknown, "unknown", UNKNOWN),
        ]
    )
    check_collection(sentences)
    sentences = list(sentences)
    check_sentences(sentences)
    lexicon = Lexicon(vocabulary, config)
    _warn_of_cut_words(config, sentences)
    results: dict[int, SentenceScores] = {}
    for batch in _batches(sentences):
        window = _one_sentence_per_row([sentences[i] for i in batch], lexicon)
        losses = np.asarray(_losses(params, window, config, Reading(precision=precision)))
        for row, index in enumerate(batch):
            n_words = len(sentences[index])
            forward = -losses[0, row, : n_words + 1]
            backward = -losses[1, row, losses.shape[2] - n_words - 1 :]
            known = vocabulary.ids(sentences[index]) != vocabulary.unknown
            is_counted = known | (unknown != "skip")
            results[index] = SentenceScores(
                np.where(is_counted, forward[:-1], np.float32(0)),
                np.where(is_counted, backward[1:], np.float32(0)),
                float(forward[-1]),
                float(backward[0]),
                known,
                unknown,
            )
    if unknown == "as_unk":
        n_words = sum(map(len, sentences))
        n_unknown = sum(scores.n_unknown for scores in results.values())
        warn_of_unknown_words(n_unknown / max(1, n_words), "the sentences")
    return [results[index] for index in range(len(sentences))]


@explain_out_of_memory("Split the longest sentence, or take a device with more of it.")
def substitutes(
    config: ElmoConfig,
    params: Params,
    vocabulary: Vocabulary,
    sentence: Sequence[str],
    position: int,
    *,
    n: int = 10,
    direction: str = "both",
    precision: str = "float32",
) -> list[tuple[str, float]]:
    """The likeliest words at a position in a sentence, whatever word is there now.

    Args:
        config: the architecture.
        params: the parameters, including the softmax.
        vocabulary: the words of the softmax.
        sentence: a list of words.
        position: index of the word; a negative one counts from the end.
        n: number of words.
        direction: "forward" (from the words before it), "backward" (from the words after it), or
            "both": the product of the two distributions, scaled to a sum of 1.
        precision: for matrix products.

    Returns:
        Words of the vocabulary with their log-probabilities in nats, the likeliest first. The
        markers and ``<UNK>``, which stands for all words outside the vocabulary, are left out, so
        the probabilities of all words sum to less than 1.

    Raises:
        ElmoError: for an unknown direction or position, or as ``score``.

    Warns:
        WordsCutWarning: as ``score``.

    Example:
        >>> substitutes(config, params, vocabulary, ["the", "bank", "of", "the", "river"], 1)
    """
    check_softmax(config, params, vocabulary)
    refuse(
        [
            choice_problem(precision, "precision", PRECISIONS),
            choice_problem(direction, "direction", _DIRECTION_CHOICES),
        ]
    )
    check_sentence(sentence)
    check_count(position, "position", -len(sentence))
    if not -len(sentence) <= position < len(sentence):
        raise ElmoError(
            f"There is no word {position} in a sentence of {counted(len(sentence), 'word')}; "
            f"expected a position below {len(sentence)}."
        )
    check_count(n, "n")
    _warn_of_cut_words(config, [sentence])
    position %= len(sentence)
    window = _one_sentence_per_row([sentence], Lexicon(vocabulary, config))
    # The backward row predicts the last word at its last step, the one before it a step earlier.
    n_steps = window.slots.shape[2]
    steps = np.array([position, n_steps - len(sentence) + position])
    log_V = _distribution(params, window, steps, config, Reading(precision=precision), direction)
    log_V = log_V.at[vocabulary.non_word_ids].set(-jnp.inf)
    values, indices = jax.lax.top_k(log_V, min(n, len(vocabulary) - len(vocabulary.non_word_ids)))
    words = [vocabulary.words[index] for index in np.asarray(indices)]
    return list(zip(words, np.asarray(values).tolist(), strict=True))


def _warn_of_cut_words(config: ElmoConfig, sentences: Iterable[Sequence[str]]) -> None:
    cut = CutWords(word_limit(config))
    for sentence in sentences:
        cut.add_sentence(sentence)
    cut.warn()


def _batches(sentences: Sequence[Sequence[str]]) -> Iterator[list[int]]:
    """Indices of sentences of about the same length, as many as make up one batch."""
    order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]))
    batch: list[int] = []
    for index in order:
        n_steps = _n_steps(len(sentences[index]))
        if batch and (len(batch) + 1) * n_steps > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _n_steps(n_words: int) -> int:
    return bucket(n_words + 1, steps=2, least=8)


def _one_sentence_per_row(sentences: Sequence[Sequence[str]], lexicon: Lexicon) -> Window:
    n_steps = _n_steps(max(map(len, sentences)))
    # Each row takes a sentence before any row takes a second one.
    n_rows = bucket(len(sentences), steps=1, least=1)
    forward, backward = (SplitSentences(iter(sentences)) for _ in range(2))
    pair = LanePair((forward, backward), n_rows, lexicon).take(n_steps)
    assert pair is not None  # there is a sentence
    return assemble(pair, lexicon)


def _outputs(params: Params, window: Window, config: ElmoConfig, reading: Reading) -> jax.Array:
    rows = initial_rows(config, window.slots.shape[1], params["softmax"]["bias"].dtype)
    return read_window(params, rows, window, config=config, reading=reading)[0]


@functools.partial(jax.jit, static_argnames=("config", "reading"))
def _losses(params: Params, window: Window, config: ElmoConfig, reading: Reading) -> jax.Array:
    """The loss of every token, [2, N, T]."""
    outputs = _outputs(params, window, config, reading)
    losses_M = chunked_losses(
        params["softmax"],
        outputs.reshape(-1, outputs.shape[-1]),
        jnp.asarray(window.targets).reshape(-1),
        reading.precision,
    )
    return losses_M.reshape(outputs.shape[:-1])


@functools.partial(jax.jit, static_argnames=("config", "reading", "direction"))
def _distribution(
    params: Params,
    window: Window,
    steps: jax.Array,
    config: ElmoConfig,
    reading: Reading,
    direction: str,
) -> jax.Array:
    """Log p of every word, [V], at one step of each direction of the first row."""
    outputs = _outputs(params, window, config, reading)
    head = params["softmax"]
    top_2P = jnp.stack([outputs[number, 0, steps[number]] for number in range(2)])
    logits_2V = linear(head["kernel"], top_2P, reading.precision) + head["bias"][None]
    log_2V = jax.nn.log_softmax(logits_2V, axis=-1)
    if direction == "both":
        return jax.nn.log_softmax(log_2V.sum(axis=0))
    return log_2V[DIRECTIONS.index(direction)]
