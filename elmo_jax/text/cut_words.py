"""Words that are longer than a model reads: count them, and warn the user.

``characters.encode_words`` spells a word in a fixed number of bytes and cuts off the rest, as
bilm-tf did. Words that differ only in the rest have the same token vector.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..errors import WordsCutWarning, counted, warn

_SHOWN_CHARACTERS = 24


@dataclasses.dataclass
class CutWords:
    """A count of words and of those that are cut, with repetitions."""

    width: int  # C of the model: a word has room for ``width - 2`` bytes
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
        if "".join(words).isascii() and max(map(len, words), default=0) <= self.width - 2:
            cut = []  # the usual case, at the speed of C
        else:
            cut = [word for word in words if _is_cut(word, self.width - 2)]
        self.add(len(words), len(cut), cut[0] if cut else "")
        return len(cut)

    def add_counts(self, counts: Mapping[str, int]) -> None:
        """Count words, each as often as ``counts`` says."""
        for word, n in counts.items():
            self.add(n, n if _is_cut(word, self.width - 2) else 0, word)

    def warn(self, text: str = "", *, so_far: bool = False) -> None:
        """Give a WordsCutWarning if any word is cut.

        ``text`` names the text if there are several; with ``so_far``, more words may follow.
        """
        if not self.n_cut:
            return
        example = f", such as {_shown(self.example)}" if self.example else ""
        warn(
            f"{self.n_cut:,} of {'the first ' if so_far else ''}{counted(self.n_words, 'word')} "
            f"{f'of {text} ' if text else ''}{'is' if self.n_cut == 1 else 'are'} not read whole"
            f"{example}. The model reads at most {self.width - 2} bytes of a word in UTF-8 and "
            "cuts off the rest, so words that differ only there have the same token vector. If "
            "these are not words, split the text with a tokenizer (tokenizer=, in a command "
            "--tokenizer), or read sequences such as proteins from a .fasta file.",
            WordsCutWarning,
        )


def are_cut(words: Iterable[str], width: int) -> np.ndarray:
    """Which words do not fit in ``width - 2`` bytes, or cannot be UTF-8; bool [U]."""
    return np.array([_is_cut(word, width - 2) for word in words], bool)


def _is_cut(word: str, max_bytes: int) -> bool:
    if word.isascii():
        return len(word) > max_bytes
    try:
        return len(word.encode()) > max_bytes
    except UnicodeEncodeError:  # a lone surrogate
        return True


def _shown(word: str) -> str:
    start = word if len(word) <= _SHOWN_CHARACTERS else word[:_SHOWN_CHARACTERS] + "…"
    try:
        return f"{start!r} ({counted(len(word.encode()), 'byte')})"
    except UnicodeEncodeError:
        return f"{start!r} (which has a lone surrogate, half a character)"
