"""Record: what every reader gives, whatever the format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from ...errors import ElmoError
from ..tokenizers import ASCII_SPACES, Tokenizer, warn_of_other_spaces


class Record(NamedTuple):
    """One sentence of a corpus, or whatever takes its place there.

    Attributes:
        words: what is embedded.
        text: the sentence as the corpus has it.
        key: its name in the corpus, None where it has none.
        file: where it came from.
        number: the line or row there at which it begins, from 1.
    """

    words: Sequence[str]
    text: str
    key: str | None = None
    file: str = ""
    number: int = 0

    def line(self) -> str:
        """The record without its place as one line of JSON: to store it, and to tell it apart."""
        return json.dumps([self.key, self.text, list(self.words)]) + "\n"

    @classmethod
    def of_line(cls, line: str) -> Record:
        """The record that ``line`` gave."""
        key, text, words = json.loads(line)
        return cls(words, text, key)


class Source(NamedTuple):
    """How a file's contents become records.

    Attributes:
        file: what errors call the file.
        column: of formats with columns, the one that holds the sentence.
        key_column: of formats with columns, the one that holds its key, if any.
        split: from a string to words.
        running_text: of plain text, the code of its language if its lines are to be split into
            sentences; None where each line is one.
        may_be_another_format: whether nobody said, and no suffix says, that it is plain text.
        warned: files that were warned of, of which one warning is enough.
    """

    file: str
    column: str | None
    key_column: str | None
    split: Tokenizer
    running_text: str | None = None
    may_be_another_format: bool = False
    warned: set[str] | None = None

    def error(self, number: int, problem: str, unit: str = "line") -> ElmoError:
        """An error that names the place."""
        return ElmoError(f"{self.file}, {unit} {number}: {problem}")

    def of_string(self, text: str, key: str | None, number: int) -> Record:
        """A record from a string that is to be split into words."""
        # Not strip() alone: an unusual space at an end is the tokenizer's to judge.
        trimmed = text.strip(ASCII_SPACES)
        words = self.split(trimmed) if trimmed else []
        if (
            self.split is str.split
            and self.warned is not None
            and self.file not in self.warned
            and warn_of_other_spaces(trimmed, f"{self.file}, line {number}")
        ):
            self.warned.add(self.file)
        return Record(words, trimmed, key, self.file, number)

    def of_value(self, value: object, key: object, number: int, unit: str) -> Record:
        """A record from a column's value: a string, or a list of words.

        Raises:
            ElmoError: if it is neither, or the key is no string and no integer.
        """
        key = self._checked_key(key, number, unit)
        if isinstance(value, str):
            return self.of_string(value, key, number)
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            return Record(value, " ".join(value), key, self.file, number)
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
    if value is None:
        return "null"
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
