"""CoNLL-U and CoNLL-U Plus (universaldependencies.org/format.html, /ext-format.html).

The words are the FORMs, or another column, of the lines with a whole number as their ID: the words
that carry annotation. Lines of multiword tokens (``1-2  don't``) are skipped, since their words
follow, and so are empty nodes (``8.1``). The key is the ``sent_id`` of the sentence, or else its
text. A block without words, such as a comment at the top of a file, is not a sentence.

The ten columns have the names of CoNLL-U, unless ``# global.columns = …`` names others.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import IO

from ...errors import counted
from ..tokenizers import ASCII_SPACES, CheckedWords
from .lines import decoded_lines
from .record import Record, SourceFile

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")

COMMENT = re.compile(r"#\s*(sent_id|text|global\.columns)\s*=\s*(.*)")
"""The comments that mean something: a name and its value."""

_OTHER_ID = re.compile(r"\d+-\d+|\d+\.\d+")


def read_conllu(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per sentence. Raises ElmoError at a line that is not CoNLL-U."""
    columns: Sequence[str] = COLUMNS
    comments: dict[str, str] = {}
    words = CheckedWords()
    first_line = 0
    # One more blank line ends the last sentence, whether or not the file has that line.
    for number, line in itertools.chain(decoded_lines(file, source), [(0, "")]):
        line = line.rstrip("\r\n")
        if not line.strip():
            if words:
                yield sentence_record(words, comments, source, first_line)
            comments, words, first_line = {}, CheckedWords(), 0
            continue
        first_line = first_line or number
        if not line.startswith("#"):
            words += _word(line, number, len(words) + 1, columns, source)
        elif words:  # most likely the blank line between two sentences is missing
            raise source.error(
                number, "a comment inside a sentence. Sentences end with a blank line."
            )
        elif comment := COMMENT.match(line):
            comments[comment[1]] = comment[2].strip(ASCII_SPACES)
            if comment[1] == "global.columns":
                columns = comments[comment[1]].split()


def sentence_record(
    words: CheckedWords, comments: dict[str, str], source: SourceFile, first_line: int
) -> Record:
    """The record of a sentence with these words, below these comments."""
    text = comments.get("text") or " ".join(words)
    key = comments.get("sent_id") or comments.get("text")
    return Record(words, text, key, source.name, first_line)


def column_index(
    column: str, names: Sequence[str], n_columns: int, number: int, source: SourceFile
) -> int:
    """The index, from 0, of a column by its name or its number from 1.

    ``names`` are those of all columns, or none. Raises ElmoError, at line ``number``, for another
    name or number.
    """
    if column in names:
        return names.index(column)
    if re.fullmatch("[0-9]{1,9}", column) and 1 <= int(column) <= n_columns:
        return int(column) - 1
    listed = ", ".join(f"{index} {name}" for index, name in enumerate(names, start=1))
    expected = f"one of {listed}" if listed else f"a number from 1 to {n_columns}"
    raise source.error(number, f"no column {column!r}, expected {expected}.")


def _word(
    line: str, number: int, expected: int, columns: Sequence[str], source: SourceFile
) -> list[str]:
    """The word of a line as a list, empty if the line has none of its own."""
    cells = line.split("\t")
    if len(cells) != len(columns):
        origin = "CoNLL-U" if columns is COLUMNS else "the comment global.columns"
        raise source.error(
            number,
            f"{counted(len(cells), 'column')} between tabs, expected the {len(columns)} of "
            f"{origin}. If it is another format, name it with --input-format.",
        )
    index = column_index(source.column or "FORM", columns, len(columns), number, source)
    word_id = cells[columns.index("ID")] if "ID" in columns else str(expected)
    if word_id == str(expected):
        if not cells[index].strip(ASCII_SPACES):
            raise source.error(number, f"the {columns[index]}, column {index + 1}, is empty.")
        return [cells[index]]
    if _OTHER_ID.fullmatch(word_id):
        return []
    raise source.error(
        number, f"the ID is {word_id!r}, expected {expected}. Sentences end with a blank line."
    )
