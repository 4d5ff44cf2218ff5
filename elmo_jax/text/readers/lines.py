"""Decoded lines of text files, and the simplest format: one sentence per line."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import IO

from ..contents import check_is_plain, check_is_text, head_of
from ..splitting import stream_sentences
from .record import Record, SourceFile

TO_CONVERT = (
    "Convert the text from its own encoding: iconv -f ENCODING -t UTF-8 FILE > NEW, where "
    "ENCODING is, for instance, WINDOWS-1252 (Western Europe), WINDOWS-1251 (Cyrillic) or GB18030 "
    "(Chinese)."
)


def decoded_lines(file: IO[bytes], source: SourceFile) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1. Only a line feed ends a line.

    Raises:
        ElmoError: for a file that is not text, or at a line that is not UTF-8.
    """
    head = head_of(file)
    check_is_text(head, source.name)
    if source.may_be_another_format:
        check_is_plain(head, source.name, "--input-format text reads it as it is")
    for number, raw in enumerate(file, start=1):
        # If files were joined, any line may begin with a byte order mark.
        raw = raw.removeprefix(codecs.BOM_UTF8)
        if b"\0" in raw:
            raise source.error(number, "a NUL byte, which text never has. Is the file damaged?")
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            byte, column = raw[error.start], error.start + 1
            problem = f"not UTF-8 (byte 0x{byte:02x} at column {column}). {TO_CONVERT}"
            raise source.error(number, problem) from None
        yield number, line


def read_text(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One sentence per line, without words if the line is blank; or running text.

    The sentences of running text need not begin with a line, so their records have the number of
    the sentence.
    """
    numbered: Iterable[tuple[int, str]] = decoded_lines(file, source)
    if source.running_text is not None:
        lines = (line for _, line in numbered)
        numbered = enumerate(stream_sentences(lines, source.running_text), start=1)
    for number, line in numbered:
        yield source.record_from_string(line, None, number)
