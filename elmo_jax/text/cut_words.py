"""Words that are longer than a model reads: count them, and warn the user.

A model spells a word in a fixed number of bytes or characters and cuts off the rest. Words that
differ only in the rest have the same token vector.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ElmoError, WordsCutWarning, counted, shortened, warn

_SHOWN_CHARACTERS = 24


class WordLimit(NamedTuple):
    """How much of a word a model reads."""

    most: int | None  # how many units; None for a model that knows words as a whole
    unit: str = "byte"  # "byte" (of UTF-8) or "character" (a Unicode code point)

    def cuts(self, word: str) -> bool:
        """Whether a word is longer, or cannot be spelled in these units."""
        if self.most is None:
            return False
        if self.unit == "character" or word.isascii():
            return len(word) > self.most
        try:
            return len(word.encode()) > self.most
        except UnicodeEncodeError:  # a lone surrogate
            return True


@dataclasses.dataclass
class CutWords:
    """A count of words and of those that are cut, with repetitions."""

    limit: WordLimit  # of the model
    n_words: int = 0
    n_cut: int = 0
    example: str = ""  # the first word that is cut

    def add(self, n_words: int, n_cut: int, example: str) -> None:
        """Add counts; ``example`` is one of the words that are cut."""
        if n_cut and not self.n_cut:
            self.example = example
        self.n_words += n_words
        self.n_cut += n_cut

    def add_sentence(self, words: Sequence[str]) -> int:
        """Count the words of a sentence; returns how many are cut."""
        most = self.limit.most
        is_short = most is None or max(map(len, words), default=0) <= most
        if is_short and (self.limit.unit != "byte" or "".join(words).isascii()):
            cut = []  # the usual case, at the speed of C
        else:
            cut = list(filter(self.limit.cuts, words))
        self.add(len(words), len(cut), cut[0] if cut else "")
        return len(cut)

    def add_counts(self, counts: Mapping[str, int]) -> None:
        """Count words, each as often as ``counts`` says."""
        for word, n in counts.items():
            self.add(n, n if self.limit.cuts(word) else 0, word)

    def warn(self, text: str = "", *, so_far: bool = False) -> None:
        """Give a WordsCutWarning if any word is cut.

        ``text`` names the text if there are several; with ``so_far``, more words may follow.
        """
        if not self.n_cut:
            return
        example = f", such as {_shown(self.example, self.limit.unit)}" if self.example else ""
        units = f"{self.limit.unit}s of a word" + " in UTF-8" * (self.limit.unit == "byte")
        warn(
            f"{self.n_cut:,} of {'the first ' if so_far else ''}{counted(self.n_words, 'word')} "
            f"{f'of {text} ' if text else ''}{'is' if self.n_cut == 1 else 'are'} not read whole"
            f"{example}. The model reads at most {self.limit.most} {units} and "
            "cuts off the rest, so words that differ only there have the same token vector. If "
            "these are not words, split the text with a tokenizer (tokenizer=), or "
            "read sequences such as proteins from a .fasta file.",
            WordsCutWarning,
        )


def check_cut_words(cut_words: Any) -> None:
    """Raise ElmoError unless ``cut_words`` is None or a count."""
    if not isinstance(cut_words, CutWords | None):
        raise ElmoError(f"Expected cut_words as a CutWords, got {shortened(cut_words)}.")


def are_cut(words: Iterable[str], limit: WordLimit) -> np.ndarray:
    """Which words a model does not read whole; bool [U]."""
    return np.array(list(map(limit.cuts, words)), bool)


def _shown(word: str, unit: str) -> str:
    start = word if len(word) <= _SHOWN_CHARACTERS else word[:_SHOWN_CHARACTERS] + "…"
    if unit == "character":
        return f"{start!r} ({counted(len(word), 'character')})"
    try:
        return f"{start!r} ({counted(len(word.encode()), 'byte')})"
    except UnicodeEncodeError:
        return f"{start!r} (which has a lone surrogate, half a character)"
