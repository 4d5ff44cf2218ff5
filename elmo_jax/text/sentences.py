"""What counts as sentences: checks with clear errors, and texts to words."""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, Set
from typing import Any

from ..errors import ElmoError, WhitespaceWarning, warn
from .tokenizers import ASCII_SPACES, Tokenizer, resolve_tokenizer, warn_of_other_spaces

_find_space = re.compile(f"[{ASCII_SPACES}]").search


class CheckedWords(list[str]):
    """Words that were checked, and perhaps warned of, before; they are not checked again."""


def check_sentence(sentence: Any, where: str = "the sentence") -> None:
    """Raise ElmoError unless ``sentence`` is a sequence of strings that are not empty.

    str itself is no sentence. A word that holds a space makes a ``WhitespaceWarning``.
    """
    if spaced := checked_word(sentence, where):
        warn_of_space(spaced, where)


def check_sentences(sentences: Any) -> None:
    """Raise ElmoError unless ``sentences`` is an iterable of sentences; warn once of a space."""
    check_not_a_string(sentences)
    for _ in checked(sentences):
        pass


def checked(sentences: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Sentences as they come, each checked; warns once of a word that holds a space.

    Raises:
        ElmoError: for one that is no sentence.
    """
    warned = False
    for index, sentence in enumerate(sentences):
        spaced = checked_word(sentence, f"sentence {index}")
        if spaced and not warned:
            warned = warn_of_space(spaced, f"sentence {index}")
        yield sentence


def checked_word(sentence: Any, where: str) -> str:
    """The first word of a sentence that holds a space, "" if none does.

    Raises:
        ElmoError: if it is no sentence.
    """
    kind = type(sentence)
    if kind is CheckedWords:
        return ""
    if kind is not list:
        _check_sequence(sentence, where)
    try:
        joined = "".join(sentence)  # which takes strings alone, at the speed of C
    except TypeError:
        raise ElmoError(_not_words(sentence, where)) from None
    if not all(sentence):
        raise ElmoError(_empty_word(sentence, where))
    if (  # six searches are faster than one by a regular expression
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
    """Raise ElmoError unless ``items`` is a sequence of strings, of which any may be empty."""
    _check_sequence(items, where)
    try:
        "".join(items)
    except TypeError:
        raise ElmoError(_not_words(items, where)) from None


def check_not_a_string(sentences: Any) -> None:
    """Raise ElmoError for what is no collection of sentences, or one without an order.

    Refused are a bare string, a mapping or table, of which an iteration gives the names of its
    columns, a set, and what cannot be iterated.
    """
    kind = type(sentences).__name__
    if isinstance(sentences, str | bytes | bytearray | memoryview):
        decode = "" if isinstance(sentences, str) else ".decode()"
        raise ElmoError(
            f"Expected a list of sentences, got one {kind} {_shown(sentences)}. "
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
            f"Expected a list of sentences, got the {kind} {_shown(sentences)}, which has no "
            "order, so nothing would say which result is whose. Pass a list."
        )
    if not isinstance(sentences, Iterable) or getattr(sentences, "ndim", 1) == 0:
        raise ElmoError(f"Expected a list of sentences, got {kind} {_shown(sentences)}.")


def tokenize(texts: Any, tokenizer: Tokenizer | str | None = None) -> Iterator[Sequence[str]]:
    """Each text as its words: a string goes through ``tokenizer``, a list of words stays.

    Args:
        texts: an iterable of strings and lists of strings; anything else in it stays too, for
            ``check_sentences`` to refuse.
        tokenizer: string to words, or the name of one (``tokenizer_named``); ``str.split`` if
            None.

    Raises:
        ElmoError: if ``texts`` is a string itself, or no iterable; for an unknown tokenizer.
    """
    check_not_a_string(texts)
    return _words_of_each(texts, resolve_tokenizer(tokenizer))


def _words_of_each(texts: Iterable[Any], split: Tokenizer) -> Iterator[Sequence[str]]:
    warned = split is not str.split
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            yield text
            continue
        warned = warned or warn_of_other_spaces(text, f"text {index}")
        yield split(text) if text.strip(ASCII_SPACES) else []


def warn_of_space(word: str, where: str) -> bool:
    """Warn that a word holds a space; gives True."""
    warn(
        f"The word {word!r} of {where} holds whitespace, and is embedded as one word. If it is "
        "text, split it first: text.split(), or tokenizer= or --tokenizer for whole strings.",
        WhitespaceWarning,
    )
    return True


def _check_sequence(sentence: Any, where: str) -> None:
    if isinstance(sentence, str | bytes):
        decode = "" if isinstance(sentence, str) else ".decode()"
        raise ElmoError(
            f"Expected {where} as a list of words, got the {type(sentence).__name__} "
            f"{_shown(sentence)}. Split it first: sentence{decode}.split()."
        )
    if not isinstance(sentence, Sequence) and getattr(sentence, "ndim", 0) != 1:
        raise ElmoError(
            f"Expected {where} as a list of words, got {type(sentence).__name__} "
            f"{_shown(sentence)}."
        )


def _not_words(sentence: Sequence[Any], where: str) -> str:
    position, word = next(
        (position, word) for position, word in enumerate(sentence) if not isinstance(word, str)
    )
    return (
        f"Expected a word as str at position {position} of {where}, got "
        f"{type(word).__name__} {_shown(word)}."
    )


def _empty_word(sentence: Sequence[str], where: str) -> str:
    return (
        f"The word at position {list(sentence).index('')} of {where} is an empty string. Sentences "
        "need no padding: leave empty strings out, results are as long as their sentences."
    )


def _column_names(value: Any) -> list[Any] | None:
    """The names of a table's columns or a mapping's keys; None for what has neither."""
    if isinstance(value, Mapping):
        return list(value)
    # pyarrow and datasets; pandas and polars. The first two also have the columns themselves.
    for attribute in ("column_names", "columns"):
        names = getattr(value, attribute, None)
        if isinstance(names, Iterable):
            return list(names)
    return None


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
