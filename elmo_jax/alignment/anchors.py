"""Anchors: the mean vector of each word over the places where it occurs.

Schuster et al. 2019, "Cross-Lingual Alignment of Contextual Word Embeddings", align languages by
the anchors of words that translate each other.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..embedder import Elmo
from ..errors import ElmoError, check_count, count_problem, number_problem, shortened
from ..model.arrays import finite_floats
from ..model.layers import select_layers
from ..text.cut_words import CutWords
from ..text.sentences import check_collection, check_strings, checked_sentences
from .vector_text import is_storable

MOST_WORDS = 50_000
"""As many words as CrossLingualELMo has anchors for."""


@dataclasses.dataclass(frozen=True, eq=False)
class Anchors:
    """The anchors of V words in one layer.

    Attributes:
        words: V different words.
        vectors: float32 [V, D], the mean of each word's vectors.
        mean_norm: the mean Euclidean norm of the layer's vectors, over all places where these words
            occur; None if it is not known.
        layer: its number, from 0 (the token layer); None if it is not known.

    Raises:
        ElmoError: if a value has a wrong type or shape, or a number is not finite.
    """

    words: tuple[str, ...]
    vectors: np.ndarray
    mean_norm: float | None = None
    layer: int | None = None

    def __post_init__(self) -> None:
        check_strings(self.words, "the words of Anchors")
        object.__setattr__(self, "words", tuple(self.words))
        if len(self.rows) < len(self.words):
            raise ElmoError("The words of Anchors are not all different.")
        shape, meaning = (len(self.words), None), "one vector for each word"
        vectors = finite_floats(self.vectors, "The vectors of Anchors", shape, meaning)
        object.__setattr__(self, "vectors", np.asarray(vectors))
        if self.mean_norm is not None:
            problem = number_problem(self.mean_norm, "mean_norm of Anchors", positive=False)
            if problem:
                raise ElmoError(f"{problem}.")
        if self.layer is not None:
            check_count(self.layer, "layer of Anchors", least=0)

    @functools.cached_property
    def rows(self) -> dict[str, int]:
        """The row of each word in ``vectors``."""
        return {word: row for row, word in enumerate(self.words)}


def check_anchors(anchors: Any, name: str) -> None:
    """Raise ElmoError unless these are anchors."""
    if not isinstance(anchors, Anchors):
        raise ElmoError(f"Expected {name} as Anchors, got {shortened(anchors)}.")


def count_words(sentences: Iterable[Sequence[str]]) -> collections.Counter[str]:
    """Count the words of a text, given as lists of words. Raises ElmoError for a bad sentence."""
    check_collection(sentences, "count_words([{}.split()])")
    counts: collections.Counter[str] = collections.Counter()
    for sentence in checked_sentences(sentences):
        counts.update(sentence)
    return counts


def frequent_words(
    counts: Mapping[str, int],
    most: int | None = MOST_WORDS,
    *,
    min_count: int = 1,
    among: Iterable[str] | None = None,
) -> list[str]:
    """The words to make anchors for, most frequent first.

    Words that a file of anchors cannot hold are left out: those that contain whitespace or NUL,
    start with a byte order mark, or contain half a character.

    Args:
        counts: how often each word occurs; see ``count_words``.
        most: the number of words; None for all.
        min_count: leave rarer words out.
        among: consider only these words.

    Raises:
        ElmoError: if ``most`` or ``min_count`` is below 1.
    """
    if most is not None:
        check_count(most, "most")
    check_count(min_count, "min_count")
    if not isinstance(counts, Mapping):
        raise ElmoError(
            f"Expected counts of words, as count_words returns them, got {shortened(counts)}."
        )
    for word, count in counts.items():
        if not isinstance(word, str) or count_problem(count, "", least=0):
            raise ElmoError(
                "Expected counts of words, as count_words returns them; got "
                f"{shortened(word)}: {shortened(count)}."
            )
    if among is not None:
        among = _words(among, "among")
    candidates = counts if among is None else dict.fromkeys(among)
    frequent = [
        word for word in candidates if counts.get(word, 0) >= min_count and is_storable(word)
    ]
    frequent.sort(key=lambda word: -counts[word])  # stable, so that ties keep their order
    return frequent[:most]


def compute_anchors(
    elmo: Elmo,
    sentences: Iterable[Sequence[str]],
    words: Iterable[str],
    layers: Iterable[int] = (1,),
    *,
    done: Callable[[int], object] | None = None,
    cut_words: CutWords | None = None,
) -> dict[int, Anchors]:
    """Compute the anchors of words over a text, in one pass.

    Sums are float64. Memory holds one vector per word and layer, and no more of the text than
    ``Elmo.stream`` does. Like CrossLingualELMo, this averages the vectors as they are, without
    scaling them to one length. The mean norm counts every place where one of the words occurs.

    Args:
        elmo: the model. If it has an alignment, the anchors are those of the aligned vectors. To
            fit an alignment for its language, open it without one.
        sentences: the text, lists of words; read once.
        words: the words, for example ``frequent_words``. Words that do not occur get no anchor.
        layers: numbers of layers; negative ones count from the top.
        done: called after each sentence with the number of its words, to show progress.
        cut_words: as in ``Elmo.stream``.

    Returns:
        {number of the layer: its anchors}, in the order of ``words``.

    Raises:
        ElmoError: for an unknown layer or a bad sentence, or if none of the words occurs.

    Warns:
        WordsCutWarning: if words are longer than the model reads.

    Example:
        >>> words = alignment.frequent_words(alignment.count_words(sentences))
        >>> anchors = alignment.compute_anchors(elmo, sentences, words)[1]
        >>> anchors.vectors.shape
        (50000, 256)
    """
    check_collection(sentences, "compute_anchors(elmo, [{}.split()], words)")
    layers = as_list(layers, "layers as a list of numbers")
    numbers = list(dict.fromkeys(_layer_number(elmo, layer) for layer in layers))
    if not numbers:
        raise ElmoError("Expected layers as a list of numbers, got none.")
    rows = {word: row for row, word in enumerate(dict.fromkeys(_words(words, "words")))}
    sums = [np.zeros((len(rows), elmo.config.output_dim)) for _ in numbers]
    norm_sums = [0.0] * len(numbers)
    counts_V = np.zeros(len(rows), np.int64)
    # The stream reads sentences ahead; tee keeps them until their vectors come.
    ahead, behind = itertools.tee(sentences)
    for layers_TD, sentence in zip(_stream(elmo, ahead, numbers, cut_words), behind, strict=True):
        # Not sentence[position]: that is a label, not a place, if pandas holds the words.
        positions = [position for position, word in enumerate(sentence) if word in rows]
        rows_K = [rows[word] for word in sentence if word in rows]
        np.add.at(counts_V, np.array(rows_K, np.int64), 1)
        for i, vectors_TD in enumerate(layers_TD):
            vectors_KD = vectors_TD[positions].astype(np.float64)
            norm_sums[i] += float(np.linalg.norm(vectors_KD, axis=1).sum())
            for row, vector_D in zip(rows_K, vectors_KD, strict=True):
                sums[i][row] += vector_D
        if done is not None:
            done(len(sentence))
    if not counts_V.any():
        raise ElmoError(
            f"None of the {len(rows):,} words occurs in the text. Expected words of its "
            "language, spelled as in the text."
        )
    occurring_V = counts_V > 0
    words_in_text = tuple(itertools.compress(rows, occurring_V))
    anchors = {}
    for i, number in enumerate(numbers):
        vectors_VD = (sums[i][occurring_V] / counts_V[occurring_V, None]).astype(np.float32)
        anchors[number] = Anchors(
            words_in_text, vectors_VD, norm_sums[i] / int(counts_V.sum()), number
        )
    return anchors


def as_list(values: Any, expected: str) -> list[Any]:
    """The values of an iterable; raises ElmoError for anything else, and for a string."""
    # An array without axes is an Iterable, too.
    is_many = isinstance(values, Iterable) and getattr(values, "ndim", 1) > 0
    if not is_many or isinstance(values, str | bytes):
        raise ElmoError(f"Expected {expected}, got {shortened(values)}.")
    return list(values)


def _words(words: Any, name: str) -> list[str]:
    words = as_list(words, f"{name} as a list of words")
    check_strings(words, name)
    return words


def _layer_number(elmo: Elmo, layer: int) -> int:
    selection, _ = select_layers(layer, elmo.config)
    if selection.index is None:
        raise ElmoError(f"Unknown layer {layer!r}: expected the number of a layer.")
    return selection.index


def _stream(
    elmo: Elmo,
    sentences: Iterable[Sequence[str]],
    numbers: Sequence[int],
    cut_words: CutWords | None,
) -> Iterator[list[np.ndarray]]:
    """The vectors [T, D] of each sentence in each of the layers."""
    if len(numbers) == 1:  # the layers above it are not computed
        for vectors_TD in elmo.stream(sentences, numbers[0], cut_words=cut_words):
            yield [vectors_TD]
    else:
        for layers_LTD in elmo.stream(sentences, cut_words=cut_words):
            yield [layers_LTD[number] for number in numbers]
