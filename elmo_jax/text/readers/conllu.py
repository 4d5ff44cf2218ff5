"""CoNLL-U and CoNLL-U Plus (universaldependencies.org/format.html, /ext-format.html).

The words are the FORMs, or another column, of the lines with a whole number as their ID: the words
that carry annotation. Lines of multiword tokens (``1-2  don't``) are skipped, since their words
follow, and so are empty nodes (``8.1``). The key is the ``sent_id`` of the sentence, if it has one.
A block of comments, such as those at the top of a file, is not a sentence; a sentence that has
lines but no words is an error.

The ten columns have the names of CoNLL-U, unless ``# global.columns = …`` names others.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from ...errors import counted, did_you_mean, shortened
from ..limits import ROW_OVERHEAD
from ..tokenizers import ASCII_SPACES, CheckedWords
from .lines import decoded_lines
from .record import Record, SourceFile

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")

COMMENT = re.compile(r"#\s*(sent_id|text|global\.columns)\s*=\s*(.*)")
"""The comments that mean something: a name and its value."""

_MULTIWORD_ID = re.compile(r"([0-9]{1,9})-([0-9]{1,9})")
_EMPTY_NODE_ID = re.compile(r"[0-9]+\.[0-9]+")


def read_conllu(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per sentence. Raises ElmoError at a line that is not CoNLL-U."""
    columns: Sequence[str] = COLUMNS
    for lines in blocks(file, source):
        comments: dict[str, str] = {}
        rows: list[tuple[int, list[str]]] = []
        for number, line in lines:
            if not line.startswith("#"):
                rows.append((number, _cells(line, number, columns, source)))
            elif rows:  # most likely the blank line between two sentences is missing
                raise source.error(
                    number, "a comment inside a sentence. Sentences end with a blank line."
                )
            elif comment := COMMENT.match(line):
                comments[comment[1]] = comment[2].strip(ASCII_SPACES)
                if comment[1] == "global.columns":
                    columns = comments[comment[1]].split()
        if rows:
            words = _words(rows, columns, source)
            yield sentence_record(words, comments, source, lines[0][0])


def blocks(
    file: IO[bytes], source: SourceFile, ends_block: Callable[[str], object] | None = None
) -> Iterator[list[tuple[int, str]]]:
    """The lines between blank lines, with their numbers: those of a sentence and its comments.

    ``ends_block`` tells other lines that stand between blocks.
    """
    block: list[tuple[int, str]] = []
    size, most_bytes = 0, source.most_bytes
    # One more blank line ends the last block, whether or not the file has that line.
    for number, line in itertools.chain(decoded_lines(file, source), [(0, "")]):
        if line.strip(ASCII_SPACES) and not (ends_block and ends_block(line)):
            block.append((number, line.rstrip("\r\n")))
            size += len(line) + ROW_OVERHEAD
            if size > most_bytes:
                source.check_size(size, block[0][0], "the sentence from here on")
        elif block:
            yield block
            block, size = [], 0


def sentence_record(
    words: CheckedWords, comments: dict[str, str], source: SourceFile, first_line: int
) -> Record:
    """The record of a sentence with these words, below these comments."""
    text = comments.get("text") or " ".join(words)
    return Record(words, text, comments.get("sent_id") or None, source.name, first_line)


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
    meant = did_you_mean(column, names)
    raise source.error(number, f"no column {shortened(column)}, expected {expected}.{meant}")


class WordIds:
    """Checks that the IDs of a sentence number its words, and that no word is missing."""

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._n_words, self._n_covered, self._token = 0, 0, (0, "")

    def is_word(self, word_id: str, number: int) -> bool:
        """Whether a line has a word, and not a multiword token or an empty node.

        Raises ElmoError for an ID out of order, at line ``number``.
        """
        expected = str(self._n_words + 1)
        if word_id == expected:
            self._n_words += 1
            return True
        if token := _MULTIWORD_ID.fullmatch(word_id):
            if token[1] == expected and int(token[2]) >= int(token[1]):
                if int(token[2]) > self._n_covered:
                    self._n_covered, self._token = int(token[2]), (number, word_id)
                return False
        elif _EMPTY_NODE_ID.fullmatch(word_id):
            return False
        raise self._source.error(
            number,
            f"the ID is {shortened(word_id)}, expected {expected}. Sentences end with a blank "
            "line.",
        )

    def check_end(self, number: int) -> None:
        """Raise ElmoError, at line ``number``, if words of the sentence are missing."""
        if self._n_covered > self._n_words:
            line, word_id = self._token
            raise self._source.error(
                line,
                f"the words of the multiword token {word_id} do not follow: the last word of the "
                f"sentence is {self._n_words}.",
            )
        if not self._n_words:
            raise self._source.error(
                number, "a sentence without words: it has nothing but empty nodes, such as 1.1."
            )


def _cells(line: str, number: int, columns: Sequence[str], source: SourceFile) -> list[str]:
    cells = line.split("\t")
    if len(cells) != len(columns):
        origin = "CoNLL-U" if columns is COLUMNS else "the comment global.columns"
        raise source.error(
            number,
            f"{counted(len(cells), 'column')} between tabs, expected the {len(columns)} of "
            f"{origin}. If it is another format, name it with format=.",
        )
    return cells


def _words(
    rows: list[tuple[int, list[str]]], columns: Sequence[str], source: SourceFile
) -> CheckedWords:
    index = column_index(source.column or "FORM", columns, len(columns), rows[0][0], source)
    id_index = columns.index("ID") if "ID" in columns else None
    ids, words = WordIds(source), CheckedWords()
    for number, cells in rows:
        if id_index is not None and not ids.is_word(cells[id_index], number):
            continue
        if not cells[index].strip(ASCII_SPACES):
            raise source.error(number, f"the {columns[index]}, column {index + 1}, is empty.")
        words.append(cells[index])
    if id_index is not None:
        ids.check_end(rows[0][0])
    return words
