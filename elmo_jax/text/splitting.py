"""Running text to sentences, with the library ``sentencex`` (extra ``sentences``).

Among the libraries that need neither a downloaded model nor a neural network, sentencex is the one
that is maintained: by people of the Wikimedia Foundation, for Wikipedia's languages (rules and
abbreviations for many, fallbacks for the rest). It has no dependencies and never loses a character.
When in doubt it leaves two sentences together, which harms an ELMo less than a sentence cut in two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from ..errors import ElmoError, optional_module, shortened
from .limits import max_record_bytes, too_long
from .line_ends import split_lines

_LANGUAGE = re.compile(r"[a-z]{2,3}([-_]\w+)*", re.IGNORECASE)

# Spaces and line ends. No-break spaces and the like are left to the tokenizer.
_SPACES = re.compile(r"[\t-\r\x1c-\x20\x85\u2028\u2029]+")
# Longer texts are split in pieces: the time of sentencex grows faster than its input.
_PIECE_LENGTH = 20_000


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Split running text into sentences.

    A sentence may run across line ends, which become spaces; a blank line ends it. No result is
    empty. ``language`` is a code such as "en", "de" or "hi".

    Raises:
        ElmoError: if ``language`` is not a language code, or sentencex is not installed.

    Example:
        >>> elmo_jax.split_sentences("Dr. Lee went to the bank. It was closed.")
        ['Dr. Lee went to the bank.', 'It was closed.']
    """
    if not isinstance(text, str):
        raise ElmoError(f"Expected a text as str, got {type(text).__name__}.")
    return list(stream_sentences(split_lines(text), language))


def stream_sentences(
    lines: Iterable[str], language: str = "en", name: str = "the text"
) -> Iterator[str]:
    """``split_sentences`` for the lines of a text of any length, in bounded memory.

    Errors call the text by its ``name``.

    Raises:
        ElmoError: also for a sentence that is longer than a record may be.
    """
    segment, most = _segmenter(language), max_record_bytes()
    pending = ""
    for number, line in enumerate(lines, start=1):
        line = _SPACES.sub(" ", line).strip(" ")
        if not line:
            yield from _clean(segment(language, pending))
            pending = ""
        for start in range(0, len(line), _PIECE_LENGTH):
            pending += (" " if pending and not start else "") + line[start : start + _PIECE_LENGTH]
            if len(pending) >= _PIECE_LENGTH:  # the last sentence may continue
                *complete, pending = segment(language, pending)
                yield from _clean(complete)
            if len(pending) > most:
                raise too_long(f"{name}, line {number}", "a sentence without an end", most)
    yield from _clean(segment(language, pending))


def _clean(sentences: Iterable[str]) -> Iterator[str]:
    return (sentence.strip(" ") for sentence in sentences if sentence and not sentence.isspace())


def check_language(language: str) -> None:
    """Raise ElmoError unless ``language`` looks like a language code and sentencex is installed."""
    _segmenter(language)


def _segmenter(language: str) -> Callable[[str, str], list[str]]:
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        raise ElmoError(f"Expected a language code such as en or de, got {shortened(language)}.")
    segment = optional_module("sentencex", "splitting text into sentences", "sentences").segment

    def checked(language: str, text: str) -> list[str]:
        try:
            return list(segment(language, text))
        except UnicodeEncodeError:
            raise ElmoError(
                "The text has half a character (a lone surrogate), which is not Unicode."
            ) from None

    return checked
