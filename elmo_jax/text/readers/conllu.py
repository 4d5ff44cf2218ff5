"""CoNLL-U (universaldependencies.org/format.html): the words of annotated sentences.

A record's words are the FORMs of the lines with a whole number as their ID: the words that carry
the annotation. Of a multiword token (``1-2  don't``) its words are taken, not its own line; empty
nodes (``8.1``) are no words of the text. The key is the sentence's ``sent_id``, or else its text.
A block without words, such as a comment at the head of a file, is no sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from ...errors import counted
from ..tokenizers import ASCII_SPACES
from .lines import decoded_lines
from .record import Record, Source

_COMMENT = re.compile(r"#\s*(sent_id|text)\s*=\s*(.*)")
_OTHER_ID = re.compile(r"\d+-\d+|\d+\.\d+")
_N_COLUMNS = 10


def read_conllu(file: IO[bytes], source: Source) -> Iterator[Record]:
    """A record a sentence.

    Raises:
        ElmoError: at a line that is none of CoNLL-U.
    """
    comments: dict[str, str] = {}
    words: list[str] = []
    began = 0
    for number, line in decoded_lines(file, source):
        line = line.rstrip("\r\n")
        if not line.strip():
            if words:
                yield _record(words, comments, source, began)
            comments, words, began = {}, [], 0
            continue
        began = began or number
        if not line.startswith("#"):
            words += _word(line, number, len(words) + 1, source)
        elif words:
            raise source.error(
                number, "a comment inside a sentence. Sentences end with a blank line."
            )
        elif comment := _COMMENT.match(line):
            comments[comment[1]] = comment[2].strip(ASCII_SPACES)
    if words:
        yield _record(words, comments, source, began)


def _word(line: str, number: int, expected: int, source: Source) -> list[str]:
    """The word of a line, if it has one of its own."""
    columns = line.split("\t")
    if len(columns) != _N_COLUMNS:
        raise source.error(
            number,
            f"{counted(len(columns), 'column')} between tabs, expected the {_N_COLUMNS} of "
            "CoNLL-U. "
            "Is it another format? --input-format names it.",
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


def _record(words: list[str], comments: dict[str, str], source: Source, began: int) -> Record:
    text = comments.get("text") or " ".join(words)
    key = comments.get("sent_id") or comments.get("text")
    return Record(words, text, key, source.file, began)
