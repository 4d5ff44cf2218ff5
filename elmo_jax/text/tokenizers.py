"""Raw text to words: a tokenizer of one's own, or one by name.

``tokenizer=`` takes a callable, or one of these names:

* ``"whitespace"``: ``str.split``, for text that is tokenised already. The default, as in bilm-tf
  and AllenNLP. It splits at any whitespace of Unicode, so also at a no-break space (``1 000``), at
  the ideographic space U+3000 and at U+2028; a ``WhitespaceWarning`` says where it did.
* ``"spaces"``: splits at spaces, tabs and line ends alone; any other whitespace is part of a word.
* ``"words"``: a regular expression, see ``words``. For any language that puts spaces between words.
* ``"spacy"``, ``"spacy:de"``, ``"spacy:en_core_web_sm"``: the rules of spaCy for English, for
  another language by its code, or those of an installed pipeline. Extra ``spacy``.
* ``"nltk"``, ``"nltk:wordpunct"``, ``"nltk:casual"``: the Penn Treebank's rules (``do n't``), which
  are nearest to what the published English models were trained on; or others of NLTK that need no
  downloaded data. Extra ``nltk``.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence

from ..errors import ElmoError, WhitespaceWarning, optional_module, warn

Tokenizer = Callable[[str], Sequence[str]]

NAMES = ("whitespace", "spaces", "words", "spacy", "nltk")

ASCII_SPACES = " \t\n\r\f\v"
"""Whitespace that nobody takes for a part of a word."""

_OTHER_SPACES = "\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_has_other_space = re.compile(f"[{_OTHER_SPACES}]").search
_find_word_with_other_space = re.compile(  # from the word's start: else long words take long
    rf"(?<!\S)\S++([{_OTHER_SPACES}])[{_OTHER_SPACES}]*+\S++"
).search
_split_at_spaces = re.compile(r"[^ \t\r\n]+").findall


def tokenizer_named(name: str) -> Tokenizer:
    """The tokenizer of a name.

    Args:
        name: "whitespace", "spaces", "words", "spacy[:LANGUAGE or PIPELINE]" or "nltk[:KIND]",
            where KIND is "treebank" (the default), "wordpunct" or "casual".

    Returns:
        A function from a text to its words.

    Raises:
        ElmoError: for an unknown name, or one whose package is not installed.

    Example:
        >>> elmo_jax.tokenizer_named("words")("It's the well-known bank.")
        ["It's", 'the', 'well-known', 'bank', '.']
    """
    family, _, choice = name.partition(":")
    if family == "spacy":
        return _spacy(choice or "en")
    if family == "nltk":
        return _nltk(choice or "treebank")
    if name == "whitespace":
        return str.split
    if name == "spaces":
        return _split_at_spaces
    if name == "words":
        return words
    raise ElmoError(
        f"Unknown tokenizer {name!r}: expected one of {', '.join(map(repr, NAMES))}, with a choice "
        "behind a colon for the last two (spacy:de, nltk:casual), or a function."
    )


def resolve_tokenizer(tokenizer: Tokenizer | str | None) -> Tokenizer:
    """What ``tokenizer=`` stands for: a function stays, a name is looked up, None splits.

    Raises:
        ElmoError: for an unknown name, or what is neither a name nor a function.
    """
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


def warn_of_other_spaces(text: str, where: str) -> bool:
    """Warn if ``str.split`` divides a text at whitespace that may belong to a word.

    Returns:
        Whether it does.
    """
    if text.isascii():  # the quick way, for every line of a corpus
        if not ("\x1c" in text or "\x1d" in text or "\x1e" in text or "\x1f" in text):
            return False
    elif not _has_other_space(text):
        return False
    example = _find_word_with_other_space(text)
    if example is None:
        return False
    space = example[1]
    name = unicodedata.name(space, "a control character")
    warn(
        f"{where}: {example[0]!r} is split at U+{ord(space):04X} ({name}); more may follow. "
        'The tokenizer "spaces" (in a command, --tokenizer spaces) splits at spaces and tabs only.',
        WhitespaceWarning,
    )
    return True


def words(text: str) -> list[str]:
    """The words of a text, by one regular expression for all scripts that use spaces.

    A word is a run of letters and digits with their combining marks, and keeps apostrophes and
    hyphens inside it (``don't``, ``l'eau``, ``well-known``). Numbers keep the marks between their
    digits (``3.14``, ``1,000``, ``12:30``), initials their full stops (``U.S.``, ``e.g.``); web
    and mail addresses stay whole. Every other character that is no space is a word of its own;
    an emoji made of several characters counts as one.

    Args:
        text: any text.

    Returns:
        The words, none of them empty. Joined, they are the text without its whitespace.
    """
    return _pattern().findall(text)


@functools.cache
def _pattern() -> re.Pattern[str]:
    # re's \w leaves out combining marks, without which Hindi or decomposed accents fall apart.
    mark = f"[{_marks()}\u200c\u200d\U0001f3fb-\U0001f3ff]"
    letter = rf"(?:\w{mark}*)"
    parts = (
        r"(?:https?://|www\.)\S*[^\s.,;:!?)\]}\"'”’»]",
        r"[\w.+-]+@\w+(?:[.-]\w+)+",
        rf"(?<!\w)(?:[^\W\d_]{mark}*\.){{2,}}(?!\w)",
        rf"{letter}+(?:(?:['’ʼ‐‑-]|(?<=\d)[.,:/](?=\d)){letter}+)*",
        rf"\S{mark}*(?:(?<=\u200d)\S{mark}*)*",
    )
    return re.compile("|".join(parts))


def _marks() -> str:
    """All combining marks, as the inside of a character class."""
    ranges: list[list[int]] = []
    for code in (*range(0x300, 0x20000), *range(0xE0100, min(0xE01F0, sys.maxunicode))):
        if unicodedata.category(chr(code))[0] == "M":
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


def _spacy(choice: str) -> Tokenizer:
    spacy = optional_module("spacy", 'the tokenizer "spacy"', "spacy")
    try:
        pipeline = spacy.blank(choice) if len(choice) <= 3 else spacy.load(choice)
    except (ImportError, OSError, ValueError) as error:
        raise ElmoError(
            f"spaCy has no {choice!r}: expected the code of a language that it knows (spacy:de), "
            f"or an installed pipeline or its folder. It says: {error}"
        ) from None
    make_doc = pipeline.make_doc  # the rules alone; no part of a pipeline runs
    return lambda text: [token.text for token in make_doc(text) if not token.is_space]


def _nltk(choice: str) -> Tokenizer:
    kinds = {
        "treebank": "NLTKWordTokenizer",
        "wordpunct": "WordPunctTokenizer",
        "casual": "TweetTokenizer",
    }
    if choice not in kinds:
        raise ElmoError(
            f"Unknown tokenizer 'nltk:{choice}': expected nltk:{', nltk:'.join(kinds)}."
        )
    module = optional_module("nltk.tokenize", 'the tokenizer "nltk"', "nltk")
    return getattr(module, kinds[choice])().tokenize
