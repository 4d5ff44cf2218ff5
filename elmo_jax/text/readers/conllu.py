"""CoNLL-U (universaldependencies.org/format.html): the words of annotated sentences.

The words are the FORMs of the lines with a whole number as their ID: the words that carry
annotation. Lines of multiword tokens (``1-2  don't``) are skipped, since their words follow, and so
are empty nodes (``8.1``). The key is the ``sent_id`` of the sentence, or else its text. A block
without words, such as a comment at the top of a file, is not a sentence.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import IO

from ...errors import counted
from ..tokenizers import ASCII_SPACES
from .lines import decoded_lines
from .record import Record, SourceFile

_COMMENT = re.compile(r"#\s*(sent_id|text)\s*=\s*(.*)")
_OTHER_ID = re.compile(r"\d+-\d+|\d+\.\d+")
_N_COLUMNS = 10


def read_conllu(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per sentence. Raises ElmoError at a line that is not CoNLL-U."""
    comments: dict[str, str] = {}
    words: list[str] = []
    first_line = 0
    # One more blank line ends the last sentence, whether or not the file has that line.
    for number, line in itertools.chain(decoded_lines(file, source), [(0, "")]):
        line = line.rstrip("\r\n")
        if not line.strip():
            if words:
                text = comments.get("text") or " ".join(words)
                key = comments.get("sent_id") or comments.get("text")
                yield Record(words, text, key, source.name, first_line)
            comments, words, first_line = {}, [], 0
            continue
        first_line = first_line or number
        if not line.startswith("#"):
            words += _word(line, number, len(words) + 1, source)
        elif words:  # most likely the blank line between two sentences is missing
            raise source.error(
                number, "a comment inside a sentence. Sentences end with a blank line."
            )
        elif comment := _COMMENT.match(line):
            comments[comment[1]] = comment[2].strip(ASCII_SPACES)


def _word(line: str, number: int, expected: int, source: SourceFile) -> list[str]:
    """The word of a line as a list, empty if the line has none of its own."""
    columns = line.split("\t")
    if len(columns) != _N_COLUMNS:
        raise source.error(
            number,
            f"{counted(len(columns), 'column')} between tabs, expected the {_N_COLUMNS} of "
            "CoNLL-U. If it is another format, name it with --input-format.",
        )
    if columns[0] == str(expected):
        if not columns[1]:
            raise source.error(number, "the FORM, column 2, is empty.")
        return [columns[1]]
    if _OTHER_ID.fullmatch(columns[0]):
        return []
    raise source.error(
        number, f"the ID is {columns[0]!r}, expected {expected}. Sentences end with a blank line."
    )
