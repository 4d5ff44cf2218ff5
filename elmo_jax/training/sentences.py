"""Sentences that are counted first and split later: only those that a process needs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

_LINES_AT_ONCE = 1024  # their bytes stay in the processor's cache

_IS_SPACE = bytes(chr(byte).isspace() and byte < 128 for byte in range(256))
"""For each byte of ASCII text, 1 if ``str.split`` splits there."""


class Sentences(Protocol):
    """A stream of sentences: where each one lies depends on all lengths, but on no words."""

    def lengths(self) -> Iterator[int]:
        """How many words each of the next sentences has. One that is taken is handed out."""

    def words(self, chosen: Sequence[int]) -> list[str]:
        """The words of some of the sentences that were handed out since the last call, end to end.

        They are numbered from 0 in the order in which they were handed out.
        """


class SplitSentences:
    """A stream of sentences that are split already."""

    def __init__(self, sentences: Iterator[Sequence[str]]) -> None:
        self._sentences = sentences
        self._handed_out: list[Sequence[str]] = []

    def lengths(self) -> Iterator[int]:
        """See ``Sentences``."""
        for words in self._sentences:
            self._handed_out.append(words)
            yield len(words)

    def words(self, chosen: Sequence[int]) -> list[str]:
        """See ``Sentences``."""
        handed_out, self._handed_out = self._handed_out, []
        return list(itertools.chain.from_iterable(handed_out[i] for i in chosen))


def count_words(lines: Sequence[str]) -> list[int]:
    """``len(line.split())`` of each line, counted in the bytes of many lines at once."""
    counts: list[int] = []
    for start in range(0, len(lines), _LINES_AT_ONCE):
        group = lines[start : start + _LINES_AT_ONCE]
        # Other lines may have whitespace beyond ASCII.
        in_ascii = iter(_count_in_ascii([line for line in group if line.isascii()]))
        counts += [next(in_ascii) if line.isascii() else len(line.split()) for line in group]
    return counts


def _count_in_ascii(lines: Sequence[str]) -> list[int]:
    text = " ".join(["", *lines, ""]).encode("ascii")  # a space before and after each line
    is_space = np.frombuffer(text.translate(_IS_SPACE), np.uint8)
    spaces_before_words = np.flatnonzero(is_space[:-1] > is_space[1:])
    line_ends = np.cumsum(np.fromiter(map(len, lines), np.int64, len(lines)) + 1)
    n_words = np.searchsorted(spaces_before_words, line_ends)
    counts: list[int] = np.diff(n_words, prepend=0).tolist()
    return counts
