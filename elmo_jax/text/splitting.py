"""Running text to sentences, with the library ``sentencex`` (extra ``sentences``).

Of the libraries that need neither a downloaded model nor a neural network, sentencex is the one
that is kept up: by people of the Wikimedia Foundation, for Wikipedia's languages (rules and
abbreviations for many, with fallbacks for the rest); it has no dependencies, and it never loses
a character. Where it is in doubt it leaves two sentences together, which costs an ELMo less than a
sentence that is cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from ..errors import ElmoError, optional_module

_LANGUAGE = re.compile(r"[a-z]{2,3}([-_]\w+)*", re.IGNORECASE)

_SPACES = re.compile(r"[\t-\r\x1c-\x20\x85\u2028\u2029]+")
"""Spaces and line ends; no-break spaces and their like stay for the tokenizer."""

_PIECE = 20_000
"""Characters that are split at once: the time that sentencex takes grows faster than a text."""


def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of a text.

    Args:
        text: running text; sentences may run over line ends, a blank line ends one.
        language: the code of its language ("en", "de", "hi").

    Returns:
        The sentences in order, spaces and line ends inside them made single spaces; none is empty.

    Raises:
        ElmoError: if ``language`` is no language's code, or sentencex is not installed.

    Example:
        >>> elmo_jax.split_sentences("Dr. Lee went to the bank. It was closed.")
        ['Dr. Lee went to the bank.', 'It was closed.']
    """
    if not isinstance(text, str):
        raise ElmoError(f"Expected a text as str, got {type(text).__name__}.")
    return list(stream_sentences(text.splitlines(), language))


def stream_sentences(lines: Iterable[str], language: str = "en") -> Iterator[str]:
    """The sentences of a text that is given line by line, in bounded memory.

    Args:
        lines: its lines; a sentence may run over several, a blank line ends one.
        language: the code of its language.

    Yields:
        As ``split_sentences`` returns.

    Raises:
        ElmoError: at once, as ``split_sentences`` does.
    """
    return _stream(lines, language, _segmenter(language))


def _stream(
    lines: Iterable[str], language: str, segment: Callable[[str, str], list[str]]
) -> Iterator[str]:
    pending = ""
    for line in lines:
        line = _SPACES.sub(" ", line).strip(" ")
        if not line:
            yield from _clean(segment(language, pending))
            pending = ""
        for start in range(0, len(line), _PIECE):
            pending += (" " if pending and not start else "") + line[start : start + _PIECE]
            if len(pending) >= _PIECE:  # its last sentence may go on
                *complete, pending = segment(language, pending)
                yield from _clean(complete)
    yield from _clean(segment(language, pending))


def _clean(sentences: Iterable[str]) -> Iterator[str]:
    return (sentence.strip(" ") for sentence in sentences if not sentence.isspace() and sentence)


def check_language(language: str) -> None:
    """Raise ElmoError unless ``language`` is made like a language's code, and can be split."""
    _segmenter(language)


def _segmenter(language: str) -> Callable[[str, str], list[str]]:
    if not _LANGUAGE.fullmatch(language):
        raise ElmoError(f"Expected the code of a language, as en or de, got {language!r}.")
    return optional_module("sentencex", "splitting text into sentences", "sentences").segment
