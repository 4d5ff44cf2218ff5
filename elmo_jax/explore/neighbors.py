"""Where is a word used as it is here? The occurrences nearest to a given one, by cosine.

As in the table of Peters et al. 2018 that sets "play" in two senses beside its nearest neighbours.
The text is streamed: memory holds the best so far, whatever its length.
"""

from __future__ import annotations

import collections
import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..embedder import Elmo
from ..errors import check_count
from ..text.cut_words import CutWords
from .occurrences import Labelled, Occurrence, embed_occurrences, labelled


class Neighbor(NamedTuple):
    """An occurrence, and its cosine with the one that was asked about."""

    score: float
    occurrence: Occurrence


class _Best:
    """The n highest scores so far; the same words in the same sentence count once."""

    def __init__(self, n: int) -> None:
        self._n, self._heap, self._keys = n, list[tuple[float, int, Occurrence]](), set[tuple]()
        self._pushed = 0

    @property
    def worst(self) -> float:
        return self._heap[0][0] if len(self._heap) == self._n else -np.inf

    def offer(self, score: float, occurrence: Occurrence) -> None:
        key = (occurrence.words, occurrence.position)
        if score <= self.worst or key in self._keys:
            return
        self._pushed -= 1  # of equal scores the earlier one ranks higher
        heapq.heappush(self._heap, (score, self._pushed, occurrence))
        self._keys.add(key)
        if len(self._heap) > self._n:
            _, _, dropped = heapq.heappop(self._heap)
            self._keys.discard((dropped.words, dropped.position))

    def ranked(self) -> list[Neighbor]:
        return [Neighbor(score, found) for score, _, found in sorted(self._heap, reverse=True)]


def neighbors(
    elmo: Elmo,
    queries: Sequence[Occurrence],
    sentences: Iterable[Sequence[str] | Labelled],
    *,
    n: int = 10,
    word: str | None = None,
    exact: bool = False,
) -> list[list[list[Neighbor]]]:
    """The nearest occurrences of each query in a text, in each layer.

    Args:
        elmo: the model.
        queries: the occurrences to start from; none is its own neighbour, nor is a sentence
            that says the same at the same place.
        sentences: the text, lists of words or ``Labelled``; read once.
        n: how many to keep.
        word: look only at this word; None looks at every word of the text.
        exact: tell upper from lower case.

    Returns:
        ``[query][layer]``: neighbours, the nearest first.

    Raises:
        ElmoError: if ``n`` is not positive, or a sentence is none.

    Warns:
        WordsCutWarning: if words of the query or the sentences are longer than the model reads.
    """
    check_count(n, "n")
    width = elmo.config.max_characters_per_token
    cut, uncounted = CutWords(width), dict.fromkeys(query.words for query in queries)
    queries_QLD = _unit(embed_occurrences(elmo, queries, cut_words=CutWords(width)))
    best = [[_Best(n) for _ in range(queries_QLD.shape[1])] for _ in queries]
    own = [(query.words, query.position) for query in queries]
    for candidates, vectors_KLD in _candidates(elmo, sentences, word, exact, cut):
        uncounted.pop(candidates[0].words, None)  # the text has it, too
        scores_QLK = np.einsum("qld,kld->qlk", queries_QLD, _unit(vectors_KLD))
        worst_QL = np.array([[layer.worst for layer in row] for row in best])
        for q, layer, k in np.argwhere(scores_QLK > worst_QL[..., None]):
            if (candidates[k].words, candidates[k].position) != own[q]:
                best[q][layer].offer(float(scores_QLK[q, layer, k]), candidates[k])
    for words in uncounted:
        cut.add_sentence(words)
    cut.warn()
    return [[layer.ranked() for layer in row] for row in best]


def _candidates(
    elmo: Elmo,
    sentences: Iterable[Sequence[str] | Labelled],
    word: str | None,
    exact: bool,
    cut: CutWords,
) -> Iterator[tuple[list[Occurrence], np.ndarray]]:
    """Of each sentence that has any: the occurrences to look at, and their vectors [K, L, D]."""
    wanted = word if exact or word is None else word.casefold()
    waiting: collections.deque[list[Occurrence]] = collections.deque()

    def read() -> Iterator[Sequence[str]]:
        for number, (words, label) in enumerate(labelled(sentences)):
            told = tuple(words)
            found = [
                Occurrence(told, position, number, label)
                for position, candidate in enumerate(told)
                if wanted is None or (candidate if exact else candidate.casefold()) == wanted
            ]
            if found:  # other sentences need not be embedded
                waiting.append(found)
                yield words

    for layers_LTD in elmo.stream(read(), cut_words=cut):
        found = waiting.popleft()
        yield found, layers_LTD[:, [each.position for each in found]].swapaxes(0, 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
