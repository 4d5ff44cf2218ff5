"""Raw text to words, with your own tokenizer or one by name.

``tokenizer=`` takes a function, or one of these names:

* ``"whitespace"``: ``str.split``, for text that is tokenised already. The default, as in bilm-tf
  and AllenNLP. It splits at any Unicode whitespace, including the no-break space (``1 000``), the
  ideographic space U+3000 and U+2028; a ``WhitespaceWarning`` tells you where.
* ``"spaces"``: splits at spaces, tabs and line ends only; other whitespace is part of a word.
* ``"tabs"``: splits at tabs only, for tokenised text with words that hold spaces (``New York``).
* ``"words"``: a regular expression for any language with spaces between words, see ``words``.
* ``"spacy"``, ``"spacy:de"``, ``"spacy:en_core_web_sm"``: spaCy's rules for English, for another
  language by its code, or for an installed pipeline. Extra ``spacy``.
* ``"nltk"``, ``"nltk:wordpunct"``, ``"nltk:casual"``: the rules of the Penn Treebank (``do n't``),
  which are the closest to the training text of the published English models; or two other
  tokenizers of NLTK that need no downloaded data. Extra ``nltk``.
"""

from __future__ import annotations

import functools
import itertools
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence

from ..errors import ElmoError, WhitespaceWarning, optional_module, shortened, warn

Tokenizer = Callable[[str], Sequence[str]]

NAMES = ("whitespace", "spaces", "tabs", "words", "spacy", "nltk")

ASCII_SPACES = " \t\n\r\f\v"
"""Whitespace that is never part of a word."""

_OTHER_SPACES = "\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_has_other_space = re.compile(f"[{_OTHER_SPACES}]").search
_find_word_with_other_space = re.compile(  # possessive, from a word's start: else quadratic time
    rf"(?<!\S)\S++([{_OTHER_SPACES}])[{_OTHER_SPACES}]*+\S++"
).search
_split_at_spaces = re.compile(r"[^ \t\r\n]+").findall


def tokenizer_named(name: str) -> Tokenizer:
    """Look up a tokenizer, a function from a text to its words, by its name.

    Names are "whitespace", "spaces", "tabs", "words", "spacy[:LANGUAGE or PIPELINE]" and
    "nltk[:KIND]", where KIND is "treebank" (the default), "wordpunct" or "casual".

    Raises:
        ElmoError: for an unknown name, or one whose package is not installed.

    Example:
        >>> elmo_jax.tokenizer_named("words")("It's the well-known bank.")
        ["It's", 'the', 'well-known', 'bank', '.']
    """
    family, _, variant = name.partition(":")
    if family == "spacy":
        return _spacy(variant or "en")
    if family == "nltk":
        return _nltk(variant or "treebank")
    if name == "whitespace":
        return str.split
    if name == "spaces":
        return _split_at_spaces
    if name == "tabs":
        return split_at_tabs
    if name == "words":
        return words
    raise ElmoError(
        f"Unknown tokenizer {name!r}: expected one of {', '.join(map(repr, NAMES))}, the last two "
        "optionally with a colon and a variant (spacy:de, nltk:casual), or a function."
    )


def resolve_tokenizer(tokenizer: Tokenizer | str | None) -> Tokenizer:
    """The function that ``tokenizer=`` stands for; ``str.split`` for None."""
    if tokenizer is None:
        return str.split
    if isinstance(tokenizer, str):
        return tokenizer_named(tokenizer)
    if not callable(tokenizer):
        raise ElmoError(
            f"Expected tokenizer= as a function or one of the names {', '.join(NAMES)}, got "
            f"{type(tokenizer).__name__}."
        )
    return tokenizer


def split_text(split: Tokenizer, text: str, where: str) -> Sequence[str]:
    """Split a text with a tokenizer, whose errors get the place ``where`` in front."""
    try:
        return split(text)
    except ElmoError as error:
        raise ElmoError(f"{where}: {error}") from None


class CheckedWords(list[str]):
    """The words of a sentence that was checked before: the checks pass it without a look."""


def split_at_tabs(text: str) -> CheckedWords:
    """Split a text at its tabs. Words keep the spaces inside them, and lose those around them.

    Raises:
        ElmoError: if there is no word before or after a tab.
    """
    cells = [cell.strip(ASCII_SPACES) for cell in text.split("\t")]
    if not all(cells):
        raise ElmoError(
            f"Word {cells.index('') + 1} of the {len(cells)} between tabs is empty in "
            f"{shortened(text)}. Expected one tab between two words."
        )
    return CheckedWords(cells)  # the spaces in them are meant


def warn_of_other_spaces(text: str, where: str) -> bool:
    """Warn, and return True, if ``str.split`` splits at whitespace that may be part of a word."""
    if text.isascii():  # fast, since every line of a corpus comes here
        if not ("\x1c" in text or "\x1d" in text or "\x1e" in text or "\x1f" in text):
            return False
    elif not _has_other_space(text):
        return False
    example = _find_word_with_other_space(text)
    if example is None:
        return False
    word, space = example[0], example[1]
    name = unicodedata.name(space, "a control character")
    warn(
        f"{where}: {word!r} is split at U+{ord(space):04X} ({name}); more may follow. "
        "tokenizer='spaces' splits at spaces and tabs only.",
        WhitespaceWarning,
    )
    return True


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
    mark = f"[{_marks()}\u200c\u200d\U0001f3fb-\U0001f3ff]"
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


def _marks() -> str:
    """All combining marks, as the ranges of a character class."""
    # The planes of scripts, and of variation selectors: going through all of Unicode is slow.
    codes = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))
    runs = itertools.groupby(map(chr, codes), lambda mark: unicodedata.category(mark)[0] == "M")
    marks = [list(run) for is_mark, run in runs if is_mark]
    return "".join(f"{run[0]}-{run[-1]}" for run in marks)


def _spacy(variant: str) -> Tokenizer:
    spacy = optional_module("spacy", 'the tokenizer "spacy"', "spacy")
    try:
        pipeline = spacy.blank(variant) if len(variant) <= 3 else spacy.load(variant)
    except (ImportError, OSError, ValueError) as error:
        raise ElmoError(
            f"spaCy has no {variant!r}: expected the code of a language that spaCy knows "
            f"(spacy:de), an installed pipeline, or the folder of one. It says: {error}"
        ) from None
    pipeline.max_length = sys.maxsize  # spaCy's limit is for the rest of the pipeline
    make_doc = pipeline.make_doc  # runs the tokenizer alone
    return lambda text: [token.text for token in make_doc(text) if not token.is_space]


def _nltk(variant: str) -> Tokenizer:
    classes = {
        "treebank": "NLTKWordTokenizer",
        "wordpunct": "WordPunctTokenizer",
        "casual": "TweetTokenizer",
    }
    if variant not in classes:
        expected = ", ".join(f"nltk:{name}" for name in classes)
        raise ElmoError(f"Unknown tokenizer 'nltk:{variant}': expected {expected}.")
    module = optional_module("nltk.tokenize", 'the tokenizer "nltk"', "nltk")
    return getattr(module, classes[variant])().tokenize
