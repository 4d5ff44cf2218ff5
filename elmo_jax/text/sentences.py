"""Sentences: checks with clear errors, and texts to words."""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, Set
from typing import Any

from ..errors import ElmoError, WhitespaceWarning, shortened, warn
from .tokenizers import ASCII_SPACES, Tokenizer, resolve_tokenizer, warn_of_other_spaces

_find_space = re.compile(f"[{ASCII_SPACES}]").search


class CheckedWords(list[str]):
    """The words of a sentence that was checked before: the checks pass it without a look."""


class SentenceChecker:
    """Checks sentences one by one; warns of the first word that holds whitespace."""

    def __init__(self) -> None:
        self._has_warned = False

    def check(self, sentence: Any, where: str) -> None:
        """Check one sentence.

        Raises:
            ElmoError: unless it is a sequence of strings, none of them empty. A string is not a
                sentence.
        """
        spaced = _word_with_space(sentence, where)
        if spaced and not self._has_warned:
            self._has_warned = True
            warn(
                f"The word {spaced!r} of {where} holds whitespace, and is embedded as one word. If "
                "it is text, split it first: text.split(), or tokenizer= or --tokenizer for whole "
                "strings.",
                WhitespaceWarning,
            )


def check_sentence(sentence: Any, where: str = "the sentence") -> None:
    """Check one sentence, see ``SentenceChecker``."""
    SentenceChecker().check(sentence, where)


def check_sentences(sentences: Any) -> None:
    """Raise ElmoError unless ``sentences`` is an iterable of sentences; warn once of a space."""
    check_collection(sentences)
    for _ in checked_sentences(sentences):
        pass


def checked_sentences(sentences: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Pass sentences on, each checked.

    Raises:
        ElmoError: at the first bad sentence, with its number.
    """
    checker = SentenceChecker()
    for index, sentence in enumerate(sentences):
        checker.check(sentence, f"sentence {index}")
        yield sentence


def _word_with_space(sentence: Any, where: str) -> str:
    """Check a sentence; its first word that holds a space, "" if none does."""
    kind = type(sentence)
    if kind is CheckedWords:
        return ""
    if kind is not list:
        _check_sequence(sentence, where)
    try:
        joined = "".join(sentence)  # checks that all are strings, at the speed of C
    except TypeError:
        raise ElmoError(_not_words(sentence, where)) from None
    if not all(sentence):
        raise ElmoError(_empty_word(sentence, where))
    if (  # six searches are faster than one with a regular expression
        " " in joined
        or "\t" in joined
        or "\n" in joined
        or "\r" in joined
        or "\f" in joined
        or "\v" in joined
    ):
        return next(filter(_find_space, sentence))
    return ""


def check_strings(items: Any, where: str) -> None:
    """Raise ElmoError unless ``items`` is a sequence of strings, empty ones included."""
    _check_sequence(items, where)
    try:
        "".join(items)
    except TypeError:
        raise ElmoError(_not_words(items, where)) from None


def check_collection(sentences: Any) -> None:
    """Raise ElmoError unless ``sentences`` can be a collection of sentences, in order.

    Refused are a string, a mapping or table (which iterates over the names of its columns), a set,
    and anything that cannot be iterated.
    """
    kind = type(sentences).__name__
    if isinstance(sentences, str | bytes | bytearray | memoryview):
        decode = "" if isinstance(sentences, str) else ".decode()"
        raise ElmoError(
            f"Expected a list of sentences, got one {kind} {shortened(sentences)}. "
            f"For one sentence, write [sentence{decode}.split()]."
        )
    names = _column_names(sentences)
    if names is not None:
        shown = ", ".join(map(repr, names[:10])) + (", …" if names[10:] else "")
        example = repr(names[0]) if names else "'text'"
        raise ElmoError(
            f"Expected a list of sentences, got a {kind} with the columns or keys {shown}. "
            f"Pass the one that holds the sentences: {kind.lower()}[{example}]."
        )
    if isinstance(sentences, ItemsView):
        raise ElmoError(
            f"Expected a list of sentences, got {kind}, pairs of keys and values. Pass the "
            "values(), or the keys()."
        )
    if isinstance(sentences, Set) and not isinstance(sentences, KeysView):
        raise ElmoError(
            f"Expected a list of sentences, got the {kind} {shortened(sentences)}, which has no "
            "order, so nothing would say which result belongs to which sentence. Pass a list."
        )
    if not isinstance(sentences, Iterable) or getattr(sentences, "ndim", 1) == 0:
        raise ElmoError(f"Expected a list of sentences, got {kind} {shortened(sentences)}.")


def tokenize(texts: Any, tokenizer: Tokenizer | str | None = None) -> Iterator[Sequence[str]]:
    """Split texts into words: strings go through the tokenizer, lists of words stay as they are.

    Args:
        texts: an iterable of strings and lists of strings. Anything else in it passes unchanged,
            for ``check_sentences`` to refuse.
        tokenizer: a function from a string to words, or a name (``tokenizer_named``);
            ``str.split`` if None.

    Raises:
        ElmoError: if ``texts`` is a string or cannot be iterated; for an unknown tokenizer.
    """
    check_collection(texts)
    return _tokenize_each(texts, resolve_tokenizer(tokenizer))


def _tokenize_each(texts: Iterable[Any], split: Tokenizer) -> Iterator[Sequence[str]]:
    has_warned = split is not str.split  # other tokenizers have rules of their own for spaces
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            yield text
            continue
        has_warned = has_warned or warn_of_other_spaces(text, f"text {index}")
        yield split(text) if text.strip(ASCII_SPACES) else []


def _check_sequence(sentence: Any, where: str) -> None:
    if isinstance(sentence, str | bytes):
        decode = "" if isinstance(sentence, str) else ".decode()"
        raise ElmoError(
            f"Expected {where} as a list of words, got the {type(sentence).__name__} "
            f"{shortened(sentence)}. Split it first: sentence{decode}.split()."
        )
    if not isinstance(sentence, Sequence) and getattr(sentence, "ndim", 0) != 1:
        raise ElmoError(
            f"Expected {where} as a list of words, got {type(sentence).__name__} "
            f"{shortened(sentence)}."
        )


def _not_words(sentence: Sequence[Any], where: str) -> str:
    position, word = next(
        (position, word) for position, word in enumerate(sentence) if not isinstance(word, str)
    )
    return (
        f"Expected a word as str at position {position} of {where}, got "
        f"{type(word).__name__} {shortened(word)}."
    )


def _empty_word(sentence: Sequence[str], where: str) -> str:
    return (
        f"The word at position {list(sentence).index('')} of {where} is an empty string. Sentences "
        "need no padding: leave empty strings out, results are as long as their sentences."
    )


def _column_names(value: Any) -> list[Any] | None:
    """The columns of a table or the keys of a mapping; None for anything else."""
    if isinstance(value, Mapping):
        return list(value)
    # pyarrow and datasets have column_names; their other attribute holds the data. pandas and
    # polars have columns.
    for attribute in ("column_names", "columns"):
        names = getattr(value, attribute, None)
        if isinstance(names, Iterable):
            return list(names)
    return None
