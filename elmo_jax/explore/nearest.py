"""The occurrences whose vectors are nearest to that of a query, by cosine.

As in the table of Peters et al. 2018 with two senses of "play" and their nearest neighbors. The
text is streamed: memory holds the best candidates so far, whatever its length.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..embedder import Elmo
from ..embedder.results import unit_vectors
from ..errors import ElmoError, check_count, shortened
from ..model.spelling import word_limit
from ..text.cut_words import CutWords
from ..text.tokenizers import CheckedWords
from .occurrences import (
    Labelled,
    Occurrence,
    check_occurrences,
    embed_occurrences,
    iter_occurrences,
)


class Neighbor(NamedTuple):
    """An occurrence, and its cosine with the query."""

    score: float
    occurrence: Occurrence


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
        queries: the occurrences to start from. Neither they nor their copies in equal sentences
            are neighbors.
        sentences: the text, lists of words or ``Labelled``; read once.
        n: the number of neighbors.
        word: consider only occurrences of this word; None considers every word of the text.
        exact: distinguish upper from lower case.

    Returns:
        ``[query][layer]``: neighbors, the nearest first.

    Raises:
        ElmoError: if ``n`` is not positive, or a sentence is bad.

    Warns:
        WordsCutWarning: if words of the queries or the text are longer than the model reads.

    Example:
        >>> query = occurrence_in("We sat by the bank of a stream .".split(), "bank")
        >>> text = [line.split() for line in ("The bank lends money .", "A bank of the river .")]
        >>> ((token_layer, lower, top),) = neighbors(elmo_jax.Elmo(), [query], text, word="bank")
        >>> [each.occurrence.marked() for each in top]
        ['A [bank] of the river .', 'The [bank] lends money .']
    """
    check_count(n, "n")
    if word is not None and not isinstance(word, str):
        raise ElmoError(f"Expected word as str or None, got {shortened(word)}.")
    limit = word_limit(elmo.config)
    check_occurrences(queries)
    if not queries:
        return []
    queries_QLD = unit_vectors(embed_occurrences(elmo, queries, cut_words=CutWords(limit)))
    best = [[_Best(n) for _ in range(queries_QLD.shape[1])] for _ in queries]
    own_keys = [_key(query) for query in queries]
    # The sentence of a query is counted with the text if the text has it, else at the end.
    cut_words, uncounted = CutWords(limit), dict.fromkeys(query.words for query in queries)
    for candidates, vectors_KLD in _embed_candidates(elmo, sentences, word, exact, cut_words):
        uncounted.pop(candidates[0].words, None)
        scores_QLK = np.einsum("qld,kld->qlk", queries_QLD, unit_vectors(vectors_KLD))
        # Few candidates beat the worst of the best, so NumPy filters before Python looks at any.
        worst_QL = np.array([[layer.worst for layer in row] for row in best])
        for q, layer, k in np.argwhere(scores_QLK > worst_QL[..., None]):
            if _key(candidates[k]) != own_keys[q]:
                best[q][layer].offer(float(scores_QLK[q, layer, k]), candidates[k])
    for words in uncounted:
        cut_words.add_sentence(words)
    cut_words.warn()
    return [[layer.ranked() for layer in row] for row in best]


class _Best:
    """The n highest scores so far. The same word in equal sentences counts once."""

    def __init__(self, n: int) -> None:
        self._n, self._heap, self._keys = n, list[tuple[float, int, Occurrence]](), set[tuple]()
        self._order = 0  # falls, so that the earlier of equal scores ranks higher

    @property
    def worst(self) -> float:
        return self._heap[0][0] if len(self._heap) == self._n else -np.inf

    def offer(self, score: float, occurrence: Occurrence) -> None:
        key = _key(occurrence)
        if score <= self.worst or key in self._keys:
            return
        self._order -= 1
        heapq.heappush(self._heap, (score, self._order, occurrence))
        self._keys.add(key)
        if len(self._heap) > self._n:
            _, _, dropped = heapq.heappop(self._heap)
            self._keys.discard(_key(dropped))

    def ranked(self) -> list[Neighbor]:
        ranking = sorted(self._heap, reverse=True)
        return [Neighbor(score, occurrence) for score, _, occurrence in ranking]


def _key(occurrence: Occurrence) -> tuple[tuple[str, ...], int]:
    return occurrence.words, occurrence.position


def _embed_candidates(
    elmo: Elmo,
    sentences: Iterable[Sequence[str] | Labelled],
    word: str | None,
    exact: bool,
    cut_words: CutWords,
) -> Iterator[tuple[list[Occurrence], np.ndarray]]:
    """For each sentence with candidates: its K candidates, and their vectors [K, L, D]."""
    occurrences = iter_occurrences(word, sentences, exact=exact)
    groups = itertools.groupby(occurrences, key=lambda occurrence: occurrence.sentence)
    # The stream reads sentences ahead; tee keeps their candidates until the vectors come.
    ahead, candidate_lists = itertools.tee(list(group) for _, group in groups)
    wanted_sentences = (CheckedWords(candidates[0].words) for candidates in ahead)
    results = elmo.stream(wanted_sentences, cut_words=cut_words)
    for layers_LTD, candidates in zip(results, candidate_lists, strict=True):
        positions = [candidate.position for candidate in candidates]
        yield candidates, layers_LTD[:, positions].swapaxes(0, 1)
