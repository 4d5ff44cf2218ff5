"""Alphabet: the words and characters that a model knows by number."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ElmoError, shortened


class Alphabet:
    """Words and characters. The index of an entry is its row in a table of vectors.

    It never changes, and alphabets with the same content are equal and have the same hash, so it
    can be part of a static jit argument.

    Args:
        words: by row, including the markers for sentences and for unknown words.
        characters: by row, including the markers; empty for a model that reads only whole words.

    Raises:
        ElmoError: if an entry is not a string.
    """

    def __init__(self, words: Iterable[str] = (), characters: Iterable[str] = ()) -> None:
        self.words = _checked(words, "words")
        self.characters = _checked(characters, "characters")

    @functools.cached_property
    def word_rows(self) -> Mapping[str, int]:
        """The row of each word; the last one if it occurs more than once, as in bilm-tf."""
        return {word: row for row, word in enumerate(self.words)}

    @functools.cached_property
    def character_rows(self) -> Mapping[str, int]:
        """The row of each character."""
        return {character: row for row, character in enumerate(self.characters)}

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of the content, in hexadecimal digits."""
        content = json.dumps([self.words, self.characters])  # ASCII, so it takes any string
        return hashlib.sha256(content.encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Alphabet):
            return NotImplemented
        return self is other or self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"Alphabet({self.describe()}, sha256 {self.sha256[:12]})"

    def describe(self) -> str:
        """Its size in words."""
        characters = f" and {len(self.characters):,} characters" if self.characters else ""
        return f"{len(self.words):,} words{characters}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Alphabet, (self.words, self.characters)  # without the tables made from them

    def __deepcopy__(self, memo: Any) -> Alphabet:
        return self


def _checked(entries: Iterable[str], name: str) -> tuple[str, ...]:
    if isinstance(entries, str):
        raise ElmoError(f"Expected {name} as a list of strings, got the string {entries!r:.60}.")
    entries = tuple(entries)
    for row, entry in enumerate(entries):
        if not isinstance(entry, str):
            kind = type(entry).__name__
            raise ElmoError(f"{name}[{row}] is {shortened(entry)}, a {kind}; expected a string.")
    return entries
