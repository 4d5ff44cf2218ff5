"""Vectors of all layers, for tasks that need them all at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from elmo_jax import Elmo


def token_vectors(elmo: Elmo, sentences: Sequence[Sequence[str]]) -> np.ndarray:
    """The vectors of all words of all sentences, end to end.

    Returns:
        float16 [N, L, D] for N words: half precision, for they are many, and far more exact
        than a probe needs.
    """
    config = elmo.config
    n_words = sum(map(len, sentences))
    vectors_NLD = np.empty((n_words, config.n_output_layers, config.output_dim), np.float16)
    start = 0
    for vectors_LTD in elmo.stream(sentences, "all", dtype="float16"):
        end = start + vectors_LTD.shape[1]
        vectors_NLD[start:end] = vectors_LTD.swapaxes(0, 1)
        start = end
    return vectors_NLD


def sentence_vectors(elmo: Elmo, sentences: Sequence[Sequence[str]]) -> np.ndarray:
    """Each sentence's mean over its tokens, in all layers: float32 [S, L, D]."""
    return elmo.embed_sentences(sentences, "all", "mean")
