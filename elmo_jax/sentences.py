"""What counts as sentences: checks with clear errors, and texts to words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .errors import ElmoError
from .tokenizers import Tokenizer, resolve_tokenizer


def check_sentence(sentence: Any, where: str = "the sentence") -> None:
    """Raise ElmoError unless ``sentence`` is a sequence of strings (str itself is none)."""
    if isinstance(sentence, str | bytes):
        raise ElmoError(
            f"Expected {where} as a list of words, got the {type(sentence).__name__} "
            f"{_shown(sentence)}. Split it first: sentence.split()."
        )
    if not isinstance(sentence, Sequence) and not _is_array(sentence):
        raise ElmoError(
            f"Expected {where} as a list of words, got {type(sentence).__name__} "
            f"{_shown(sentence)}."
        )
    try:
        "".join(sentence)  # which takes strings alone, at the speed of C
        return
    except TypeError:
        pass
    for position, word in enumerate(sentence):
        if not isinstance(word, str):
            raise ElmoError(
                f"Expected a word as str at position {position} of {where}, got "
                f"{type(word).__name__} {_shown(word)}."
            )


def check_sentences(sentences: Any) -> None:
    """Raise ElmoError unless ``sentences`` is an iterable of lists of strings."""
    check_not_a_string(sentences)
    for index, sentence in enumerate(sentences):
        check_sentence(sentence, f"sentence {index}")


def check_not_a_string(sentences: Any) -> None:
    """Raise ElmoError for a bare string where several sentences are expected."""
    if isinstance(sentences, str | bytes):
        raise ElmoError(
            "Expected a list of sentences, got one "
            f"{type(sentences).__name__} {_shown(sentences)}. "
            "For one sentence, write [sentence.split()]."
        )
    if not isinstance(sentences, Iterable):
        raise ElmoError(
            f"Expected a list of sentences, got {type(sentences).__name__} {_shown(sentences)}."
        )


def tokenize(texts: Any, tokenizer: Tokenizer | str | None = None) -> Iterable[Sequence[str]]:
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
    split = resolve_tokenizer(tokenizer)
    return (split(text) if isinstance(text, str) else text for text in texts)


def _is_array(value: Any) -> bool:
    return hasattr(value, "ndim") and value.ndim == 1


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
