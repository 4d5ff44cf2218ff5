"""Record: what every reader yields, and SourceFile, from which readers make records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from ...errors import ElmoError, shortened
from ..tokenizers import ASCII_SPACES, Tokenizer, warn_of_other_spaces


class Record(NamedTuple):
    """One sentence of a corpus, or whatever a format has in its place.

    Attributes:
        words: the words, which are embedded.
        text: the sentence as it stands in the corpus.
        key: its name in the corpus; None without one.
        file: the file that it comes from.
        number: the line or row of that file where it begins, from 1.
    """

    words: Sequence[str]
    text: str
    key: str | None = None
    file: str = ""
    number: int = 0

    def line(self) -> str:
        """Key, text and words as one line of JSON, to store or to compare them."""
        return json.dumps([self.key, self.text, list(self.words)]) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Record:
        """The record of a line, without file and number."""
        key, text, words = json.loads(line)
        return cls(words, text, key)


class SourceFile(NamedTuple):
    """A file that is read, and how its contents become records. See ``Records.of``.

    Attributes:
        name: of the file, for errors.
        may_be_another_format: whether neither the user nor the suffix says that it is plain text.
        warned_files: names of files that need no more warnings of unusual spaces.
    """

    name: str
    column: str | None
    key_column: str | None
    split: Tokenizer
    split_sentences: str | None
    may_be_another_format: bool
    warned_files: set[str]

    def error(self, number: int, problem: str, unit: str = "line") -> ElmoError:
        """An error that names the line or row."""
        return ElmoError(f"{self.name}, {unit} {number}: {problem}")

    def record_from_string(self, text: str, key: str | None, number: int) -> Record:
        """Split a string into the words of a record."""
        # Not strip(): whether an unusual space belongs to a word is up to the tokenizer.
        trimmed = text.strip(ASCII_SPACES)
        words = self.split(trimmed) if trimmed else []
        if (
            self.split is str.split
            and self.name not in self.warned_files
            and warn_of_other_spaces(trimmed, f"{self.name}, line {number}")
        ):
            self.warned_files.add(self.name)
        return Record(words, trimmed, key, self.name, number)

    def record_from_value(self, value: object, key: object, number: int, unit: str) -> Record:
        """A record from the value of a column: a string, or a list of words.

        Raises:
            ElmoError: for another value, or a key that is neither a string nor an integer.
        """
        key = self._checked_key(key, number, unit)
        if isinstance(value, str):
            return self.record_from_string(value, key, number)
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return Record(value, " ".join(value), key, self.name, number)
        raise self.error(
            number,
            f"{self.column!r} is {_shown(value)}, expected a string or a list of words.",
            unit,
        )

    def _checked_key(self, key: object, number: int, unit: str) -> str | None:
        if key is None or isinstance(key, str):
            return key
        if isinstance(key, int) and not isinstance(key, bool):
            return str(key)
        raise self.error(
            number, f"{self.key_column!r} is {_shown(key)}, expected a string or an integer.", unit
        )


def _shown(value: object) -> str:
    return "null" if value is None else shortened(value)
