"""Raw text to words, with your own tokenizer or one by name.

``tokenizer=`` takes a function, or one of these names:

* ``"whitespace"``: ``str.split``, for text that is already tokenized. The default, as in bilm-tf
  and AllenNLP. It splits at any Unicode whitespace, including the no-break space (``1 000``), the
  ideographic space U+3000 and U+2028; a ``WhitespaceWarning`` tells you where.
* ``"spaces"``: splits at spaces, tabs and line ends only; other whitespace is part of a word.
* ``"tabs"``: splits at tabs only, for tokenized text whose words contain spaces (``New York``).
* ``"treebank"``: English as in the Penn Treebank (``do n't``), see ``treebank``.
* ``"words"``: a regular expression for any language with spaces between words, see ``words``.
* ``"characters"``: every character that is not whitespace is a word, as in models of proteins.
* ``"spacy"``, ``"spacy:de"``, ``"spacy:en_core_web_sm"``: spaCy's rules for English, for another
  language by its code, or for an installed pipeline. Extra ``spacy``.
* ``"nltk"``, ``"nltk:wordpunct"``, ``"nltk:casual"``: NLTK's form of the Penn Treebank's rules, or
  two other tokenizers of NLTK that need no downloaded data. Extra ``nltk``.

``"treebank"`` and ``"words"`` need no other package, and split text as the training texts of the
published models were split. For a language with abbreviations and contractions of its own, the
extras are better if the training text was made with such rules, too.

Where there is a model, ``"auto"`` is the tokenizer that goes with it: the one it was trained with,
as far as that is known, else ``"treebank"``.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ElmoError, WhitespaceWarning, did_you_mean, optional_module, shortened, warn
from .treebank import treebank
from .words import words

Tokenizer = Callable[[str], Sequence[str]]

NAMES = ("whitespace", "spaces", "tabs", "treebank", "words", "characters", "spacy", "nltk")

FOR_TOKENIZED_TEXT = ("whitespace", "spaces", "tabs")
"""Those that find words where something else has already made them."""

AUTO = "auto"
"""The name that stands for the tokenizer of a model."""

DEFAULT = "treebank"
"""The tokenizer of a model that does not say how its training text was split."""

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

    Names are "whitespace", "spaces", "tabs", "treebank", "words", "characters",
    "spacy[:LANGUAGE or PIPELINE]" and "nltk[:KIND]", where KIND is "treebank" (the default),
    "wordpunct" or "casual".

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
    if name == "treebank":
        return treebank
    if name == "words":
        return words
    if name == "characters":
        return characters
    if name == AUTO:
        raise ElmoError(
            "The tokenizer 'auto' is the one of a model, and there is no model here: name the "
            f"tokenizer, one of {', '.join(map(repr, NAMES))}."
        )
    raise ElmoError(
        f"Unknown tokenizer {name!r}: expected one of {', '.join(map(repr, NAMES))}, the last two "
        "optionally with a colon and a variant (spacy:de, nltk:casual), or a function."
        f"{did_you_mean(name, NAMES)}"
    )


def is_plain_name(name: str) -> bool:
    """Whether a name has the form of a tokenizer's, and no path or the like in it."""
    return re.fullmatch("[a-z]+(:[A-Za-z0-9_]+)?", name) is not None and (
        name.partition(":")[0] in NAMES
    )


def splits_at_whitespace(split: Tokenizer) -> bool:
    """Whether a tokenizer leaves punctuation where it is, as for text that is tokenized."""
    return split is str.split or split == _split_at_spaces


def check_plain_name(name: Any) -> None:
    """Raise ElmoError unless the metadata of a model can record this tokenizer: no path, no auto.

    A recorded name need not be installed here.
    """
    if not (isinstance(name, str) and is_plain_name(name)):
        raise ElmoError(
            f"Cannot record the tokenizer {shortened(name)} with a model: expected one of "
            f"{', '.join(map(repr, NAMES))}, the last two optionally with a colon and a variant."
        )


def resolve_tokenizer(tokenizer: Tokenizer | str | None, auto: str = AUTO) -> Tokenizer:
    """The function that ``tokenizer=`` stands for; ``str.split`` for None.

    ``auto`` is the name of the model's tokenizer, where there is a model.
    """
    if tokenizer is None:
        return str.split
    if isinstance(tokenizer, str):
        return tokenizer_named(auto if tokenizer == AUTO else tokenizer)
    if not callable(tokenizer):
        raise ElmoError(
            f"Expected tokenizer= as a function or one of the names {', '.join(NAMES)}, got "
            f"{type(tokenizer).__name__}."
        )
    return tokenizer


def characters(text: str) -> list[str]:
    """Split a text into its characters, without whitespace: proteins, one word per residue."""
    return [character for character in text if not character.isspace()]


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
