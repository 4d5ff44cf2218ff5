"""Decoded lines of text files, and the simplest format: one sentence per line."""

from __future__ import annotations

import codecs
import itertools
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
    """Each line with its number, from 1. Raises ElmoError for what is not UTF-8 text."""
    head = head_of(file)
    check_is_text(head, source.name)
    if source.may_be_another_format:
        check_is_plain(head, source.name, "--input-format text reads it as it is")
    for number, raw, line, bad_byte in utf8_lines(file):
        if bad_byte < 0:
            yield number, line
        elif b"\0" in raw:
            raise source.error(number, "a NUL byte, which text never has. Is the file damaged?")
        else:
            byte, column = raw[bad_byte], bad_byte + 1
            raise source.error(
                number, f"not UTF-8 (byte 0x{byte:02x} at column {column}). {TO_CONVERT}"
            )


def utf8_lines(file: IO[bytes], skip: int = 0) -> Iterator[tuple[int, bytes, str, int]]:
    """Each line: its number from 1, its bytes, its text, and the index of its first bad byte.

    Only a line feed ends a line. Bytes that are not UTF-8, and NUL, are bad: they become U+FFFD in
    the text. The index is -1 if there are none. The first ``skip`` lines are left out.
    """
    for number, raw in enumerate(itertools.islice(file, skip, None), start=skip + 1):
        # If files were joined, any line may begin with a byte order mark.
        raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            line, bad_byte = raw.decode("utf-8"), -1
        except UnicodeDecodeError as error:
            line, bad_byte = raw.decode("utf-8", "replace"), error.start
        if "\0" in line:
            line = line.replace("\0", "\ufffd")
            bad_byte = raw.index(0) if bad_byte < 0 else bad_byte
        yield number, raw, line, bad_byte


def read_text(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One sentence per line, without words if the line is blank; or running text."""
    numbered: Iterable[tuple[int, str]] = decoded_lines(file, source)
    if source.split_sentences is not None:
        # Sentences need not begin with a line, so records have the number of the sentence.
        lines = (line for _, line in numbered)
        numbered = enumerate(stream_sentences(lines, source.split_sentences), start=1)
    for number, line in numbered:
        yield source.record_from_string(line, None, number)
