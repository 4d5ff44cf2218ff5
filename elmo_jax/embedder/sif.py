"""Weights of words for ``pooling="sif"``: the more frequent a word is, the less it counts.

Arora et al. 2017, *A simple but tough-to-beat baseline for sentence embeddings*, equation 3: the
weight a / (a + p(w)). Their second step, to remove a common direction, is left out: it would need
more text than one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..checkpoint.vocabulary import Vocabulary

_A = 1e-4
"""Best of 10^-2 to 10^-5 for the token layer of *mini* on the STS benchmark's dev set."""


def sif_weights(vocabulary: Vocabulary) -> Callable[[Sequence[str]], np.ndarray]:
    """The function from words to their weights, float32 [U], more than 0 and at most 1.

    A vocabulary has the most frequent words first, and frequencies in a language follow from ranks
    closely enough (Zipf's law): p(w) = log((r + 2) / (r + 1)) / log(V + 1) for rank r, as in the
    sampled softmax. Counts from a text gave the same scores. The rank is that of a word's most
    frequent spelling in upper and lower case; a word that is not there has rank V.
    """
    ranks: dict[str, int] = {}
    for rank, word in enumerate(vocabulary.words):
        ranks.setdefault(word.lower(), rank)
    n_words = len(vocabulary.words)

    def weigh(words: Sequence[str]) -> np.ndarray:
        ranks_U = np.array([ranks.get(word.lower(), n_words) for word in words], np.float64)
        frequencies_U = np.log1p(1 / (ranks_U + 1)) / np.log(n_words + 1)
        return (_A / (_A + frequencies_U)).astype(np.float32)

    return weigh
