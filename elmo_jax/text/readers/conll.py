"""CoNLL in general: one word per line, in one of several columns; a blank line ends a sentence.

These are the files of CoNLL-2003 and the many formats like it. Columns stand between tabs, or
between spaces in a sentence without tabs. The words are in column 1 unless the user names another.

* ``-DOCSTART-`` lines, which stand between the documents of CoNLL-2003, are skipped.
* A line that begins with ``#`` is a comment if it gives a value to a name (``# sent_id = 1``), or
  if it is above the sentence and has another number of columns. Otherwise it is a word.
* If column 1 numbers the words as in CoNLL-U, multiword tokens and empty nodes are skipped, and ten
  columns have the names of CoNLL-U. ``# global.columns = …`` names columns too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import IO

from ...errors import counted
from ..tokenizers import ASCII_SPACES, CheckedWords, tokenizer_named
from .conllu import COLUMNS, COMMENT, WordIds, blocks, column_index, sentence_record
from .record import Record, SourceFile

_DOCUMENT_START = re.compile(r"-DOCSTART-(\s|$)")
# The second kind is that of CoNLL-2012.
_COMMENT = re.compile(r"#\s+[\w.:]+(\s+\w+)?\s*=|#(begin|end) document\b")
_ID = re.compile(r"(\d+)([-.]\d+)?")
_split_at_spaces = tokenizer_named("spaces")

_Rows = list[tuple[int, list[str]]]
"""Numbers of lines, and their cells."""


def read_conll(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per sentence. Raises ElmoError at a line without the column of the words."""
    names: Sequence[str] = ()
    for lines in blocks(file, source, _DOCUMENT_START.match):
        rows, comments = _rows(lines, source)
        names = comments.get("global.columns", "").split() or names
        if rows:
            words = _words(rows, names, source)
            yield sentence_record(words, comments, source, lines[0][0])


def _rows(lines: list[tuple[int, str]], source: SourceFile) -> tuple[_Rows, dict[str, str]]:
    """The lines with words, and the values in comments."""
    no_comments = [line for _, line in lines if not line.startswith("#")]
    has_tabs = any("\t" in line for line in no_comments or dict(lines).values())
    sizes = {len(_cells(line, has_tabs)) for line in no_comments}
    rows, comments = _Rows(), dict[str, str]()
    for number, line in lines:
        cells = _cells(line, has_tabs)
        if not _is_comment(line, len(cells), sizes):
            rows.append((number, cells))
        elif comment := COMMENT.match(line):
            comments[comment[1]] = comment[2].strip(ASCII_SPACES)
        elif rows and not _COMMENT.match(line):  # a comment or a word? Guess nothing
            raise source.error(
                number,
                f"{counted(len(cells), 'column')}, which other lines of the sentence do not have. "
                "If it is a comment, put it above the sentence.",
            )
    _check_columns(rows, has_tabs, source)
    return rows, comments


def _cells(line: str, has_tabs: bool) -> list[str]:
    return line.split("\t") if has_tabs else list(_split_at_spaces(line))


def _is_comment(line: str, n_cells: int, sizes: set[int]) -> bool:
    """``sizes`` are the numbers of columns of the lines that do not begin with ``#``."""
    if not line.startswith("#"):
        return False
    if COMMENT.match(line) or _COMMENT.match(line):
        return True
    return n_cells not in sizes if sizes else line[1:2] in ("", " ", "\t")  # or a hashtag


def _check_columns(rows: _Rows, has_tabs: bool, source: SourceFile) -> None:
    """Raise ElmoError where a space inside a word may have been taken for the end of a column."""
    for number, cells in rows:
        first_number, first_cells = rows[0]
        if has_tabs and len(cells) == 1:
            raise source.error(number, "no tab, which other lines of the sentence have.")
        if not has_tabs and len(cells) != len(first_cells):
            raise source.error(
                number,
                f"{counted(len(cells), 'column')} between spaces, expected {len(first_cells)} as "
                f"in line {first_number}. If words hold spaces, put tabs between the columns.",
            )


def _words(rows: _Rows, names: Sequence[str], source: SourceFile) -> CheckedWords:
    first_number, first_cells = rows[0]
    n_numbered = _count_numbered([cells[0] for _, cells in rows])
    if source.column is None and n_numbered > 1:
        raise source.error(
            first_number,
            f"column 1 numbers the words, from 1 to {n_numbered}. Name the column that holds them, "
            "such as column='2'; or column='1', if they are numbers.",
        )
    if not names and n_numbered and len(first_cells) == len(COLUMNS):
        names = COLUMNS
    index = column_index(source.column or "1", names, len(first_cells), first_number, source)
    ids, words = WordIds(source), CheckedWords()
    for number, cells in rows:
        if len(cells) <= index:
            columns = counted(len(cells), "column")
            raise source.error(number, f"{columns}, but the words are in column {index + 1}.")
        if not cells[index].strip(ASCII_SPACES):
            raise source.error(number, f"column {index + 1} is empty.")
        if index == 0 or not n_numbered or ids.is_word(cells[0], number):
            words.append(cells[index])
    if index and n_numbered:
        ids.check_end(first_number)
    return words


def _count_numbered(ids: list[str]) -> int:
    """How many words have a number, if these are IDs as in CoNLL-U; 0 for anything else."""
    n = 0
    for word_id in ids:
        parts = _ID.fullmatch(word_id)
        other = parts[2] or "" if parts else ""
        expected = n if other.startswith(".") else n + 1  # 3-4 stands before 3, and 3.1 after it
        if parts is None or parts[1] != str(expected):
            return 0
        n += not other
    return n
