"""Word vectors from a model: the mean over a text, the token layer alone, a word in context."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..alignment.anchors import MOST_WORDS, as_list, compute_anchors, count_words, frequent_words
from ..embedder import Elmo
from ..errors import ElmoError, shortened
from ..explore.occurrences import Labelled, embed_occurrences, find_occurrences
from ..model.layers import Layers, LayerSelection, project_output, select_layers
from ..text.sentences import check_collection, check_strings
from .lookup import WordVectors

_WORDS_AT_ONCE = 1024


def average(
    elmo: Elmo,
    sentences: Iterable[Sequence[str]],
    layers: Layers = 1,
    *,
    mix_weights: Any = None,
    mix_gamma: Any = 1.0,
    n: int | None = MOST_WORDS,
    min_count: int = 1,
    among: Iterable[str] | None = None,
) -> WordVectors:
    """The mean of each word's vectors over the places where it occurs in a text.

    Args:
        elmo: the model.
        sentences: lists of words, read twice: a list, not a generator.
        layers: a layer's number, "top", "average" or "mix", as in ``Elmo.stream``.
        mix_weights: as in ``Elmo.stream``.
        mix_gamma: as in ``Elmo.stream``.
        n: the most words, by falling frequency; None for all.
        min_count: leave rarer words out.
        among: consider only these words.

    Returns:
        The words by falling frequency, and their vectors, float32 [V, D]. Words with spaces or line
        ends, which files of vectors cannot hold, are left out.

    Raises:
        ElmoError: for unknown layers or "all", a bad sentence, or if no word is left.

    Warns:
        WordsCutWarning: if words are longer than the model reads.

    Example:
        >>> vectors = word_vectors.average(elmo, sentences, layers="top", min_count=5)
        >>> vectors["bank"].shape
        (256,)
    """
    check_collection(sentences)
    if iter(sentences) is sentences:
        raise ElmoError(
            f"Expected sentences that can be read twice, got {type(sentences).__name__}, which can "
            "be read only once. Pass a list."
        )
    selected_layers(elmo, layers, mix_weights, mix_gamma)  # an error before the text is read
    words = frequent_words(count_words(sentences), n, min_count=min_count, among=among)
    mix = {"mix_weights": mix_weights, "mix_gamma": mix_gamma}
    return average_of(elmo, sentences, words, layers, **mix)


def selected_layers(
    elmo: Elmo, layers: Layers, mix_weights: Any = None, mix_gamma: Any = 1.0
) -> tuple[LayerSelection, Any]:
    """What ``layers=`` stands for; raises ElmoError if it does not give one vector per word."""
    choice = layers, elmo.config, mix_weights, mix_gamma, elmo.params
    selection, layer_weights_L = select_layers(*choice)
    if selection.n_result_layers is not None:
        raise ElmoError(
            f"layers={shortened(layers)} gives a word several vectors. Expected one layer: its "
            "number, 'top', 'average' or 'mix'."
        )
    return selection, layer_weights_L


def average_of(
    elmo: Elmo,
    sentences: Iterable[Sequence[str]],
    words: Iterable[str],
    layers: Layers = 1,
    *,
    mix_weights: Any = None,
    mix_gamma: Any = 1.0,
    done: Callable[[int], object] | None = None,
) -> WordVectors:
    """``average`` for words that are chosen already; the text is read once.

    ``done`` is called after each sentence with the number of its words, to show progress.
    """
    selection, layer_weights_L = selected_layers(elmo, layers, mix_weights, mix_gamma)
    numbers = [*range(selection.n_computed)] if selection.index is None else [selection.index]
    anchors = compute_anchors(elmo, sentences, words, numbers, done=done)
    if selection.index is not None:
        of_layer = anchors[selection.index]
        return WordVectors(of_layer.words, of_layer.vectors)
    # A weighted sum of layers is linear, and what may follow it is affine: the mean of the sums is
    # the sum of the means.
    means = [anchors[number].vectors for number in numbers]
    vectors = _apply(selection, means, layer_weights_L, elmo)
    return WordVectors(anchors[0].words, vectors)


def without_context(
    elmo: Elmo, words: Iterable[str], *, done: Callable[[int], object] | None = None
) -> WordVectors:
    """The vectors that words have in layer 0, the token layer, which knows only their spelling.

    Args:
        elmo: the model.
        words: the words; one that comes twice counts once.
        done: called with the number of words after each part of them, to show progress.

    Returns:
        The words in their order, and their vectors, float32 [V, D], as ``embed(layers=0)`` has
        them: both halves of a vector are the same.

    Raises:
        ElmoError: if there are no words, or one is an empty string.

    Warns:
        WordsCutWarning: if words are longer than the model reads.

    Example:
        >>> word_vectors.without_context(elmo, ["bank", "banks"]).most_similar("bank")
        [('banks', 0.8)]
    """
    words = as_list(words, "words as a list of strings")
    check_strings(words, "words")
    words = list(dict.fromkeys(words))
    if not words:
        raise ElmoError("Expected words as a list of strings, got none.")
    starts = range(0, len(words), _WORDS_AT_ONCE)
    parts = (words[start : start + _WORDS_AT_ONCE] for start in starts)
    vectors_VD = np.empty((len(words), elmo.config.output_dim), np.float32)
    for start, vectors_UD in zip(starts, elmo.stream(parts, layers=0), strict=True):
        vectors_VD[start : start + len(vectors_UD)] = vectors_UD
        if done is not None:
            done(len(vectors_UD))
    return WordVectors(words, vectors_VD)


def in_context(
    elmo: Elmo,
    word: str,
    sentences: Iterable[Sequence[str] | Labelled],
    layers: Layers = "all",
    *,
    mix_weights: Any = None,
    mix_gamma: Any = 1.0,
    most: int | None = None,
    exact: bool = False,
) -> np.ndarray:
    """The vectors of one word in all the places where it occurs.

    Args:
        elmo: the model.
        word: the word.
        sentences: the text, lists of words; read once.
        layers: as in ``Elmo.stream``.
        mix_weights: as in ``Elmo.stream``.
        mix_gamma: as in ``Elmo.stream``.
        most: take a sample of this size, spread evenly over the text; None takes all.
        exact: distinguish upper from lower case.

    Returns:
        float32 [N, D] for N occurrences in the order of the text, or [N, L, D] for all layers.
        ``explore.find_occurrences`` with the same arguments says where they are.

    Raises:
        ElmoError: for unknown layers, a bad sentence, or if the word does not occur.

    Warns:
        WordsCutWarning: if words are longer than the model reads.

    Example:
        >>> word_vectors.in_context(elmo, "bank", sentences, layers="top").shape
        (40, 256)
    """
    choice = layers, elmo.config, mix_weights, mix_gamma, elmo.params
    selection, layer_weights_L = select_layers(*choice)
    occurrences = find_occurrences(word, sentences, most=most, exact=exact)
    vectors_NLD = embed_occurrences(elmo, occurrences)
    if selection.n_result_layers is not None:
        return vectors_NLD
    return _apply(selection, list(vectors_NLD.swapaxes(0, 1)), layer_weights_L, elmo)


def _apply(
    selection: LayerSelection, layers: Sequence[np.ndarray], layer_weights_L: Any, elmo: Elmo
) -> np.ndarray:
    """What is selected of layers [N, D]: [N, D], or [N, O] after an output projection."""
    selected: Any = selection.apply(layers, layer_weights_L, axis=0)  # type: ignore[arg-type]
    if selection.projected:
        selected = project_output(selected, elmo.params)
    return np.asarray(selected)
