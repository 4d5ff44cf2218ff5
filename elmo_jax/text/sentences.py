"""Sentences: checks with clear errors, and texts to words."""

from __future__ import annotations

import math
import re
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, Set
from typing import Any

from ..errors import ElmoError, WhitespaceWarning, shortened, warn
from .raw_text import ADVICE, RawTextWatch
from .tokenizers import (
    ASCII_SPACES,
    AUTO,
    CheckedWords,
    Tokenizer,
    resolve_tokenizer,
    split_text,
    splits_at_whitespace,
    warn_of_other_spaces,
)

_find_space = re.compile(f"[{ASCII_SPACES}]").search


class SentenceChecker:
    """Checks sentences one by one; warns of the first word that holds whitespace."""

    def __init__(self) -> None:
        self._has_warned = False

    def check(self, sentence: Any, where: str) -> None:
        """Raise ElmoError unless the sentence is a sequence of strings, none of them empty."""
        if type(sentence) is CheckedWords:
            return
        joined = _joined(sentence, where)
        if not all(sentence):
            raise ElmoError(
                f"The word at position {list(sentence).index('')} of {where} is an empty string. "
                "Sentences need no padding: leave empty strings out, results are as long as their "
                "sentences."
            )
        if not self._has_warned and (  # six searches are faster than one regular expression
            " " in joined
            or "\t" in joined
            or "\n" in joined
            or "\r" in joined
            or "\f" in joined
            or "\v" in joined
        ):
            self._has_warned = True
            word = next(filter(_find_space, sentence))
            warn(
                f"The word {word!r} of {where} holds whitespace, and is embedded as one word. If "
                "it is text, split it first: text.split(), or tokenizer= for whole "
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
    """Pass sentences on, each checked; raises ElmoError at the first bad one, with its number."""
    checker = SentenceChecker()
    for index, sentence in enumerate(sentences):
        checker.check(sentence, f"sentence {index}")
        yield sentence


def check_strings(items: Any, where: str) -> None:
    """Raise ElmoError unless ``items`` is a sequence of strings, empty ones included."""
    _joined(items, where)


def check_collection(sentences: Any, call: str = "[{}.split()]") -> None:
    """Raise ElmoError unless ``sentences`` can be a collection of sentences, in order.

    ``call`` is what to write for one text, which takes the place of the braces.
    """
    kind = type(sentences).__name__
    if isinstance(sentences, str | bytes | bytearray | memoryview):
        text = "text" if isinstance(sentences, str) else "text.decode()"
        raise ElmoError(
            f"Expected a list of sentences, got one {kind} {shortened(sentences)}. "
            f"For one text, write {call.format(text)}."
        )
    names = _column_names(sentences)
    if names is not None:  # iterating over a table or mapping gives the names of its columns
        shown = ", ".join(map(repr, names[:10])) + (", …" if names[10:] else "")
        likely = [name for name in names if re.search("text|sentence", str(name), re.IGNORECASE)]
        example = repr([*likely, *names, "text"][0])
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
    if hasattr(sentences, "to_pylist"):  # pyarrow has values of its own in place of strings
        raise ElmoError(
            f"Expected a list of sentences, got a pyarrow {kind}. Pass its strings: .to_pylist()."
        )
    if not isinstance(sentences, Iterable) or getattr(sentences, "ndim", 1) == 0:
        raise ElmoError(f"Expected a list of sentences, got {kind} {shortened(sentences)}.")


def tokenize(
    texts: Any,
    tokenizer: Tokenizer | str | None = None,
    auto: str = AUTO,
    call: str = "[{}]",
) -> Iterator[Sequence[str]]:
    """Split strings into words; lists of words, and what ``check_sentences`` refuses, pass on.

    ``auto`` is the name of the model's tokenizer, where there is a model; for ``call`` see
    ``check_collection``.

    Raises:
        ElmoError: if ``texts`` is a string or cannot be iterated; for an unknown tokenizer.

    Warns:
        RawTextWarning: if the first strings are split at whitespace and look raw.
    """
    check_collection(texts, call)
    return _tokenize_each(texts, resolve_tokenizer(tokenizer, auto))


def _tokenize_each(texts: Iterable[Any], split: Tokenizer) -> Iterator[Sequence[str]]:
    has_warned = split is not str.split  # other tokenizers have rules of their own for spaces
    watch = RawTextWatch(ADVICE, "text") if splits_at_whitespace(split) else None
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            yield text
            continue
        has_warned = has_warned or warn_of_other_spaces(text, f"text {index}")
        words = split_text(split, text, f"text {index}") if text.strip(ASCII_SPACES) else []
        if watch is not None and watch.n_left:
            watch.add(words)
        yield words
    if watch is not None:
        watch.finish()


def _joined(words: Any, where: str) -> str:
    """The words as one string; raises ElmoError unless they are a sequence of strings."""
    if type(words) is not list:
        _check_sequence(words, where)
    try:
        return "".join(words)  # checks that all are strings, at the speed of C
    except TypeError:
        position, word = next(pair for pair in enumerate(words) if not isinstance(pair[1], str))
        raise ElmoError(
            f"Expected a word as str at position {position} of {where}, got "
            f"{type(word).__name__} {shortened(word)}."
        ) from None


def _check_sequence(words: Any, where: str) -> None:
    is_text = isinstance(words, str | bytes)
    if not is_text and (isinstance(words, Sequence) or getattr(words, "ndim", 0) == 1):
        return
    problem = f"{type(words).__name__} {shortened(words)}."
    if is_text:
        decode = "" if isinstance(words, str) else ".decode()"
        problem = (
            f"the {problem} Split it first: sentence{decode}.split(); or raw text with a tokenizer "
            "(elmo_jax.tokenizer_named)."
        )
    elif _is_missing(words):
        problem = (
            f"the missing value {shortened(words)}. Leave it out, or put [] in its place, which is "
            "a sentence without words."
        )
    raise ElmoError(f"Expected {where} as a list of words, got {problem}")


def _is_missing(value: Any) -> bool:
    """Whether a value stands for a gap in a column: None, NaN, or the like of pandas and NumPy."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return (
        value is None or is_nan or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant")
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
