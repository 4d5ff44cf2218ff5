"""A text that anyone can make again: words of falling frequency, in sentences of natural lengths.

Word r of V has a probability proportional to 1 / (r + 2.7) (Zipf and Mandelbrot), so that a window
holds about as many distinct words as one of running English, and rarer words are longer. There is
nothing to learn from it but how frequent words are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

_SHIFT = 2.7
_MEAN_LENGTH = 20
_LETTERS = "etaoinshrdlucmfwypvbgkqjxz"


def write_text(file: Path, n_tokens: int, n_words: int, seed: int = 0) -> Path:
    """Write at least ``n_tokens`` tokens of ``n_words`` words, one sentence a line."""
    rng = np.random.default_rng(seed)
    spelled = np.array([spell(rank) for rank in range(n_words)])
    share = 1 / (np.arange(n_words) + 1 + _SHIFT)
    drawn = rng.choice(n_words, n_tokens + 10 * _MEAN_LENGTH, p=share / share.sum())
    # The last sentence ends beyond n_tokens.
    ends = np.cumsum(rng.geometric(1 / _MEAN_LENGTH, n_tokens))
    ends = ends[: int(np.searchsorted(ends, n_tokens)) + 1]
    sentences = np.split(drawn, ends)[: len(ends)]
    lines = (" ".join(spelled[words]) + "\n" for words in sentences)
    file.write_text("".join(lines), encoding="utf-8")
    return file


def spell(rank: int) -> str:
    """The word of a rank, from 0: no two are alike, and rarer ones are longer."""
    letters = ""
    rank += 1
    while rank:
        rank, digit = divmod(rank - 1, len(_LETTERS))
        letters += _LETTERS[digit] * (1 + digit % 2)
    return letters
