"""Words that a model does not read whole: they are counted, and the caller is warned.

``characters.encode_words`` spells a word in a fixed number of bytes and leaves out the rest, as
bilm-tf did. Two words that differ only in what is left out have the same vector.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..errors import WordsCutWarning, counted, warn

_SHOWN = 24


@dataclasses.dataclass
class CutWords:
    """A count of the words that are cut, and one of them as an example.

    Attributes:
        width: C of the model; a word has room for ``width - 2`` bytes.
        n_words: words that were looked at, with repetitions.
        n_cut: those of them that are cut, with repetitions.
        example: the first of these.
    """

    width: int
    n_words: int = 0
    n_cut: int = 0
    example: str = ""

    def add(self, n_words: int, n_cut: int, example: str) -> None:
        """Count words, and those among them that are cut; ``example`` is one of these."""
        if n_cut and not self.n_cut:
            self.example = example
        self.n_words += n_words
        self.n_cut += n_cut

    def add_sentence(self, words: Sequence[str]) -> int:
        """Look at the words of a sentence and count them.

        Returns:
            How many are cut.
        """
        together = "".join(words)
        if together.isascii() and max(map(len, words), default=0) <= self.width - 2:
            cut = []  # the usual case, at the speed of C
        else:
            cut = [word for word in words if _is_cut(word, self.width - 2)]
        self.add(len(words), len(cut), cut[0] if cut else "")
        return len(cut)

    def add_counts(self, counts: Mapping[str, int]) -> None:
        """Count words by how often each occurs."""
        for word, n in counts.items():
            self.add(n, n if _is_cut(word, self.width - 2) else 0, word)

    def warn(self, text: str = "", *, so_far: bool = False) -> None:
        """Give a WordsCutWarning if any word is cut.

        Args:
            text: which text has the words, if there are several.
            so_far: whether more words may follow.
        """
        if not self.n_cut:
            return
        example = f", such as {_shown(self.example)}" if self.example else ""
        warn(
            f"{self.n_cut:,} of {'the first ' if so_far else ''}{counted(self.n_words, 'word')} "
            f"{f'of {text} ' if text else ''}{'is' if self.n_cut == 1 else 'are'} not read whole"
            f"{example}. The model reads at most {self.width - 2} bytes of a word in UTF-8 and "
            "leaves out the rest, so words that differ only there have the same token vector. If "
            "these are no words, split the text with a tokenizer (tokenizer=, in a command "
            "--tokenizer), or read sequences such as proteins from a .fasta file.",
            WordsCutWarning,
        )


def are_cut(words: Iterable[str], width: int) -> np.ndarray:
    """Which words are too long for ``width - 2`` bytes, or hold what UTF-8 cannot; bool [U]."""
    return np.array([_is_cut(word, width - 2) for word in words], bool)


def _is_cut(word: str, most_bytes: int) -> bool:
    if word.isascii():
        return len(word) > most_bytes
    try:
        return len(word.encode()) > most_bytes
    except UnicodeEncodeError:  # a lone surrogate
        return True


def _shown(word: str) -> str:
    cut = word if len(word) <= _SHOWN else word[:_SHOWN] + "…"
    try:
        return f"{cut!r} ({counted(len(word.encode()), 'byte')})"
    except UnicodeEncodeError:
        return f"{cut!r} (which has a lone surrogate, half a character)"
