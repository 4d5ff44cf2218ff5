"""Text to words with one regular expression, for any language with spaces between words."""

from __future__ import annotations

import functools
import itertools
import re
import unicodedata


def words(text: str) -> list[str]:
    """Split a text into words, with one regular expression for all scripts that use spaces.

    A word is a run of letters and digits with their combining marks, and keeps apostrophes and
    hyphens inside it (``don't``, ``l'eau``, ``well-known``). Numbers keep the marks between their
    digits (``3.14``, ``1,000``, ``12:30``), initials their full stops (``U.S.``, ``e.g.``); web
    and mail addresses stay whole. Any other character that is not a space is a word of its own; an
    emoji of several characters counts as one. Joined, the words are the text without whitespace.
    """
    return _pattern().findall(text)


@functools.cache
def _pattern() -> re.Pattern[str]:
    # In re, \w does not match combining marks. Hindi and decomposed accents would fall apart.
    mark = f"[{combining_marks()}\u200c\u200d\U0001f3fb-\U0001f3ff]"
    letter = rf"(?:\w{mark}*)"
    alternatives = (  # the first that matches wins
        # Web addresses, without the punctuation that follows them.
        r"(?:https?://|www\.)\S*[^\s.,;:!?)\]}\"'”’»]",
        # Mail addresses. They begin where no such character is before: a search at each one would
        # take time that grows with the square of the text.
        r"(?<![\w.+-])[\w.+-]++@\w+(?:[.-]\w+)+",
        # Initials: two or more single letters with full stops; not endlessly many, as above.
        rf"(?<!\w)(?:[^\W\d_]{mark}*\.){{2,30}}(?!\w)",
        # Words and numbers. Between digits, commas and the like are part of the number.
        rf"{letter}+(?:(?:['’ʼ‐‑-]|(?<=\d)[.,:/](?=\d)){letter}+)*",
        # Any other character. Zero-width joiners (U+200D) join characters to one emoji.
        rf"\S{mark}*(?:(?<=\u200d)\S{mark}*)*",
    )
    return re.compile("|".join(alternatives))


@functools.cache
def combining_marks() -> str:
    """All combining marks, as the ranges of a character class."""
    # The planes of scripts, and of variation selectors: going through all of Unicode is slow.
    codes = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))
    runs = itertools.groupby(map(chr, codes), lambda mark: unicodedata.category(mark)[0] == "M")
    marks = [list(run) for is_mark, run in runs if is_mark]
    return "".join(f"{run[0]}-{run[-1]}" for run in marks)
