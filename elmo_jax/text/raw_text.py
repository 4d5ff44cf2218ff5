"""Does text that is split at whitespace look raw? In raw text, ``bank.`` is a word.

Punctuation that is attached to words is compared with punctuation that stands alone. In tokenized
English (news, books, tweets, film reviews; 1,000 lines at a time) at most 2% of it is attached, and
at most 0.3% of the words have any. In the same texts as people write them, and in German, 75% is,
in French, which writes ``Bonjour !``, 22% or more, and 9% of the words or more have it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from ..errors import RawTextWarning, counted, warn
from .treebank import ABBREVIATIONS, treebank

ADVICE = "Have it split as the training text was: tokenizer=elmo.tokenizer, or elmo.encode."
"""For text that a model is to embed."""

MOST_TEXTS = 1000
"""How many lines or texts are looked at, the first ones."""

_LEAST_OF_WORDS, _LEAST_OF_MARKS = 0.02, 0.1
_SHOWN = 40  # characters of an example
_FEW = 3  # with fewer words like this, most of the punctuation must be attached

_CLOSING = '.,;:!?…"”»)\\]،؛؟'
_OPENING = '"“„«(\\['
_is_raw = re.compile(  # possessive: a word may be a megabyte long
    rf"[{_OPENING}]*+['’‘]?[@#]?\w++(?:[.,'’&@/:-]++\w++)*+['’]?[{_CLOSING}]++['’]?"
    rf"|[{_OPENING}]++[^\W_].*"
).fullmatch
_is_mark = re.compile(rf"[{_CLOSING}{_OPENING}'`’‘]++").fullmatch
_is_abbreviation = re.compile(rf"(?:{ABBREVIATIONS})\.|(?:[^\W\d_]\.)++", re.IGNORECASE).fullmatch


@dataclasses.dataclass
class RawTextWatch:
    """Counts the words of the first texts as they pass, and warns once if they look raw.

    Attributes:
        advice: what to do, a sentence.
        unit: what the texts are, in the singular.
        n_left: how many texts are still to be looked at.
        place: where the example stands, the name of a file.
    """

    advice: str
    unit: str = "line"
    n_left: int = MOST_TEXTS
    n_words: int = 0
    n_raw: int = 0
    n_marks: int = 0  # that stand alone
    example: str = ""
    place: str = ""

    def start(self) -> None:
        """Count from the first text again, unless it is decided whether they look raw."""
        if self.n_left:
            self.n_left, self.n_words, self.n_raw, self.n_marks = MOST_TEXTS, 0, 0, 0

    def add(self, words: Sequence[str], place: str = "") -> None:
        """Count the words of a text in ``place``; after ``MOST_TEXTS``, do nothing."""
        if not self.n_left or not words:
            return
        self.n_left -= 1
        for word in words:
            if _is_mark(word):
                self.n_marks += 1
            elif any(map(str.isalpha, word)):
                self.n_words += 1
                if _is_raw(word) and not _is_abbreviation(word):
                    self.n_raw += 1
                    if not self.example:
                        self.example, self.place = word, place
        if not self.n_left:
            self._warn(f"the first {MOST_TEXTS:,} {self.unit}s")

    def finish(self) -> None:
        """Warn if there were fewer texts than ``MOST_TEXTS``, and they look raw."""
        if self.n_left:
            n_texts, self.n_left = MOST_TEXTS - self.n_left, 0
            self._warn(counted(n_texts, self.unit))

    @property
    def looks_raw(self) -> bool:
        """Whether the texts so far look raw."""
        n_marks = self.n_raw + self.n_marks
        is_clear = self.n_raw >= _FEW or self.n_raw > self.n_marks
        return is_clear and self.n_raw >= max(
            _LEAST_OF_WORDS * self.n_words, _LEAST_OF_MARKS * n_marks
        )

    def _warn(self, texts: str) -> None:
        if self.looks_raw:
            place, example = self.place and f"{self.place}: ", self.example[:_SHOWN]
            warn(
                f"{place}{self.n_raw / self.n_words:.0%} of the words of {texts} have punctuation "
                f"attached, such as {example!r}, as in raw text; models are trained on "
                f"{' '.join(treebank(example))!r}. {self.advice}",
                RawTextWarning,
            )
