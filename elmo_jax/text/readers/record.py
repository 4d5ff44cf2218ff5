"""Record, which every reader yields, and SourceFile, from which readers make records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from ...errors import ElmoError, did_you_mean, shortened
from ...json_text import parse_json
from ..limits import too_long
from ..raw_text import RawTextWatch
from ..tokenizers import (
    ASCII_SPACES,
    Tokenizer,
    split_at_tabs,
    split_text,
    warn_of_other_spaces,
)

_MOST_LISTED = 30


class Record(NamedTuple):
    """One sentence of a corpus, or what a format has in its place.

    Attributes:
        words: the words to embed.
        text: the sentence as written in the corpus.
        key: its name in the corpus, if it has one.
        file: the file it comes from.
        number: the line or row where it begins in that file, from 1.
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
        """Read what ``line`` wrote; ``file`` and ``number`` are not part of it.

        Raises:
            ElmoError: for any other line.
        """
        items = parse_json(line, "a stored record")
        if not (isinstance(items, list) and len(items) == 3 and isinstance(items[2], list)):
            raise ElmoError(
                f"Expected a stored record, its key, text and words, got {shortened(line)}."
            )
        key, text, words = items
        return cls(words, text, key)


class SourceFile(NamedTuple):
    """A file that is read, and how its contents become records. See ``Records.of``."""

    name: str
    column: str | None
    key_column: str | None
    split: Tokenizer
    split_sentences: str | None
    may_be_another_format: bool  # neither the user nor the suffix says that it is plain text
    warned_files: set[str]  # files that need no more warnings of unusual spaces
    most_bytes: int  # of a line or record
    watch: RawTextWatch | None  # for strings that are split at whitespace

    def error(self, number: int, problem: str, unit: str = "line") -> ElmoError:
        """An error that names the line or row."""
        return ElmoError(f"{self.name}, {unit} {number}: {problem}")

    def check_size(self, n_bytes: int, number: int, what: str, unit: str = "line") -> None:
        """Raise ElmoError for a record of more bytes than a record may have."""
        if n_bytes > self.most_bytes:
            raise too_long(f"{self.name}, {unit} {number}", what, self.most_bytes)

    def check_columns(self, names: Sequence[str]) -> None:
        """Raise ElmoError unless a table has each column that the user named, once."""
        for name in (self.column, self.key_column):
            if name is not None and names.count(name) != 1:
                quantity = "several columns" if name in names else "no column"
                raise ElmoError(
                    f"{self.name} has {quantity} {name!r}; the columns are: {listed(names)}."
                    f"{'' if name in names else did_you_mean(name, names)}"
                )

    def record_from_string(self, text: str, key: str | None, number: int) -> Record:
        """Split a string into the words of a record."""
        # Not strip(): whether an unusual space belongs to a word is up to the tokenizer.
        trimmed = text.strip(ASCII_SPACES)
        where = f"{self.name}, line {number}"
        # A tab at either end is an error of its tokenizer.
        line = text if self.split is split_at_tabs else trimmed
        words = split_text(self.split, line, where) if trimmed else []
        if (
            self.split is str.split
            and self.name not in self.warned_files
            and warn_of_other_spaces(trimmed, where)
        ):
            self.warned_files.add(self.name)
        if self.watch is not None and self.watch.n_left:  # for the first lines only
            self.watch.add(words, self.name)
        return Record(words, trimmed, key, self.name, number)

    def record_from_value(self, value: object, key: object, number: int, unit: str) -> Record:
        """A record from the value of a column, a string or a list of words, and its key."""
        if isinstance(key, int) and not isinstance(key, bool):
            key = str(key)
        if not (key is None or isinstance(key, str)):
            problem = f"{self.key_column!r} is {_shown(key)}, expected a string or an integer."
            raise self.error(number, problem, unit)
        if key:
            self._check_characters(key, number, unit)
        if isinstance(value, str):
            self._check_characters(value, number, unit)
            return self.record_from_string(value, key or None, number)
        if isinstance(value, list) and all(isinstance(word, str) for word in value):
            text = " ".join(value)
            self._check_characters(text, number, unit)
            return Record(value, text, key or None, self.name, number)
        problem = f"{self.column!r} is {_shown(value)}, expected a string or a list of words."
        raise self.error(number, problem, unit)

    def _check_characters(self, text: str, number: int, unit: str) -> None:
        """Raise ElmoError for what JSON and Parquet can hold, but no text file."""
        try:
            if not text.isascii():
                text.encode("utf-8")
        except UnicodeEncodeError:
            problem = "half a character (a lone surrogate), not Unicode."
            raise self.error(number, problem, unit) from None
        if "\0" in text:
            raise self.error(number, "a NUL character, which text never has.", unit)


def listed(names: Sequence[str]) -> str:
    """The names of columns for a message; not all of very many."""
    return ", ".join(map(shortened, names[:_MOST_LISTED])) + ", …" * (len(names) > _MOST_LISTED)


def _shown(value: object) -> str:
    return "null" if value is None else shortened(value)
