"""Sentences that are measured first and split later: only those that a process needs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from .word_counts import count_words


class Words(NamedTuple):
    """The words of S sentences."""

    words: list[str]  # of all sentences, end to end
    lengths_S: np.ndarray  # int64, how many words each sentence has

    @classmethod
    def joined(cls, parts: Sequence[Words]) -> Words:
        """The words of all sentences of some parts."""
        if len(parts) == 1:
            return parts[0]
        words, lengths = zip(*parts, strict=True)
        return cls(list(itertools.chain.from_iterable(words)), np.concatenate(lengths))


class Sentences(Protocol):
    """A stream of sentences: where each one lies depends on all lengths, but on no words."""

    @property
    def steps(self) -> Iterator[int]:
        """How many steps each of the next sentences takes: its words, and one for its marker."""

    def take(self, count: int, chosen_S: np.ndarray) -> Words:
        """Hand out the ``count`` sentences that were read from ``steps`` since the last call.

        Returns the words of those that are chosen, by ascending numbers from 0 to count - 1.
        """


class SplitSentences:
    """A stream of sentences that have to be split to be measured, or are split already."""

    def __init__(self, sentences: Iterable[Sequence[str]]) -> None:
        self._measured: list[Sequence[str]] = []
        self.steps = self._measure(sentences)

    def take(self, count: int, chosen_S: np.ndarray) -> Words:
        """See ``Sentences``."""
        measured, self._measured = self._measured[:count], self._measured[count:]
        sentences = [measured[i] for i in chosen_S.tolist()]
        lengths_S = np.array(list(map(len, sentences)), np.int64)
        return Words(list(itertools.chain.from_iterable(sentences)), lengths_S)

    def _measure(self, sentences: Iterable[Sequence[str]]) -> Iterator[int]:
        for words in sentences:
            self._measured.append(words)
            yield len(words) + 1


class SpacedLines:
    """A stream of the sentences of some lines, which are split at whitespace.

    The words of all lines are counted at once. Those of a line are made when it is chosen.
    """

    def __init__(self, lines: list[str]) -> None:
        self._lines, self._lengths_S = lines, count_words(lines)
        self._n_given = 0
        self.steps = iter((self._lengths_S + 1).tolist())

    def take(self, count: int, chosen_S: np.ndarray) -> Words:
        """See ``Sentences``."""
        numbers_S = self._n_given + chosen_S
        self._n_given += count
        lines = map(self._lines.__getitem__, numbers_S.tolist())
        return Words(" ".join(lines).split(), self._lengths_S[numbers_S])
