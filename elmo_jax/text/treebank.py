"""English text to the words of the Penn Treebank, as the English ELMos were trained on them.

The rules are those of the Treebank's tokenizer (https://www.cis.upenn.edu/~treebank/tokenization.html)
with the marks of the One Billion Word Benchmark, which the published models read: quotes stay
straight (``"``, not two backticks), brackets stay brackets. Typographic marks become the plain
ones, since neither text has others. Unlike the Treebank's script, these rules find the full stops
inside a text of several sentences, too.
"""

from __future__ import annotations

import functools
import re

from .words import combining_marks

_PLAIN = str.maketrans({**dict.fromkeys("“”„‟″", '"'), **dict.fromkeys("‘’‚‛′", "'")})
_PLAIN |= str.maketrans({"—": " -- ", "―": " -- ", "…": "...", "–": "-", "‑": "-", "‐": "-"})
_lone_dash = re.compile(r"(?<!\S)–(?!\S)")

_BEFORE_NAMES = (
    "Mr Mrs Ms Dr Prof Gen Col Lt Sgt Capt Cmdr Maj Sen Rep Gov Pres Rev Hon St Mt Fr Ft"
)
_BEFORE_NAMES += " Messrs Mme Mlle"
_ANYWHERE = (
    "Jr Sr Inc Ltd Corp Co Bros etc vs viz cf Jan Feb Aug Sept Oct Nov Dec Vol Ave Blvd Ph.D"
)
_BEFORE_NUMBERS = (
    "No Nos no pp p vol Fig fig Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Ch ca"
)


def _any_of(words: str) -> str:
    return "|".join(map(re.escape, words.split()))


ABBREVIATIONS = _any_of(f"{_BEFORE_NAMES} {_ANYWHERE} {_BEFORE_NUMBERS}")
"""A regular expression for abbreviations, without their full stop."""


@functools.cache
def _pattern() -> re.Pattern[str]:
    letter = rf"[^\W_][{combining_marks()}]*+"
    return re.compile(  # the first alternative that matches wins
        rf"""
        (?:https?://|www\.)\S*[^\s.,;:!?)\]}}"']             # web addresses
        | (?<![\w.+-])[\w.+-]++@\w+(?:[.-]\w+)+             # mail addresses
        | (?:{_any_of(_BEFORE_NAMES)})\.(?=\s+[A-Z])        # abbreviations, with their full stop
        | (?:{_any_of(_BEFORE_NUMBERS)})\.(?=\s+\d)
        | (?:{_any_of(_ANYWHERE)})\.
        | (?<!\w)(?:[^\W\d_]\.){{2,30}}(?!\w)               # U.S., e.g.
        | (?<!\w)[A-Z]\.(?=\s+[A-Z])                        # initials: J. Smith
        | '\d0s                                             # decades: the '90s
        | '(?i:tis|twas|em|til|cause)(?!\w)
        | '(?i:s|m|d|ll|re|ve)(?!\w)                        # text that is tokenized already
        | [+-]?\d+(?:[.,:/-]\d+)*(?:[-']?{letter})*         # 1,000 3.14 12:30 1/2 20-year-old
        | {letter}(?:[_&'.@/-]?{letter})*                   # words, with the marks inside them
        | \.{{2,}} | -{{2,}} | _+                            # ...  --
        | \S                                                # any other mark
        """,
        re.VERBOSE,
    )


_find_ending = re.compile(r"(?i)(?<=\w)(n't|'(?:s|m|d|ll|re|ve))$").search
_TWO_WORDS = {"cannot": 3, "gonna": 3, "gotta": 3, "wanna": 3, "gimme": 3, "lemme": 3, "d'ye": 2}
_TWO_WORDS |= {"'tis": 2, "'twas": 2, "more'n": 4}


def treebank(text: str) -> list[str]:
    """Split English text, of one sentence or several, into words as in the Penn Treebank.

    Contractions are two words (``do n't``, ``it 's``, ``can not``), punctuation stands alone,
    hyphenated words, numbers, abbreviations and addresses stay whole. Typographic quotes, dashes
    and ellipses become ``"``, ``'``, ``--`` and ``...``.

    Example:
        >>> treebank("It's 5% more, isn't it?")
        ['It', "'s", '5', '%', 'more', ',', 'is', "n't", 'it', '?']
    """
    text = _lone_dash.sub("--", text).translate(_PLAIN)
    return [part for word in _pattern().findall(text) for part in _contraction(word)]


def _contraction(word: str) -> list[str]:
    """A contraction as its words; any other word as it is."""
    if cut := _TWO_WORDS.get(word.lower()):
        return [word[:cut], word[cut:]]
    if "'" not in word:
        return [word]
    endings: list[str] = []
    while ending := _find_ending(word):
        endings.insert(0, ending[0])
        word = word[: ending.start()]
    return [word, *endings]
