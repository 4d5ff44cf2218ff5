"""Lines of UTF-8 files, numbered; and the simplest format, a sentence a line."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterable, Iterator
from typing import IO

from ..contents import check_is_plain, check_is_text, head_of
from ..splitting import stream_sentences
from .record import Record, Source

CONVERT = (
    "Convert the text from the encoding that it has: iconv -f ENCODING -t UTF-8 FILE > NEW, where "
    "ENCODING is for instance WINDOWS-1252 (Western Europe), WINDOWS-1251 (Cyrillic) or GB18030 "
    "(Chinese)."
)


def decoded_lines(file: IO[bytes], source: Source) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1. Only a line feed ends one.

    Raises:
        ElmoError: for a file that is no text, or at a line that is not UTF-8, naming it.
    """
    head = head_of(file)
    check_is_text(head, source.file)
    if source.may_be_another_format:
        check_is_plain(head, source.file, "--input-format text reads it as it is")
    for number, raw, line, bad_byte in utf8_lines(file):
        if bad_byte < 0:
            yield number, line
        elif b"\0" in raw:
            raise source.error(number, "a NUL byte, which no text has. Is the file damaged?")
        else:
            raise source.error(
                number,
                f"not UTF-8 (byte 0x{raw[bad_byte]:02x} at column {bad_byte + 1}). {CONVERT}",
            )


def utf8_lines(file: IO[bytes], skip: int = 0) -> Iterator[tuple[int, bytes, str, int]]:
    """Each line: its number from 1, its bytes, its text, and the index of its first bad byte.

    Only a line feed ends a line. Bytes that are not UTF-8, and NUL, are bad: they become U+FFFD in
    the text. The index is -1 if there are none. The first ``skip`` lines are left out.
    """
    for number, raw in enumerate(itertools.islice(file, skip, None), start=skip + 1):
        # Where files were joined, lines other than the first may begin with a byte order mark.
        raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            line, bad_byte = raw.decode("utf-8"), -1
        except UnicodeDecodeError as error:
            line, bad_byte = raw.decode("utf-8", "replace"), error.start
        if "\0" in line:
            line = line.replace("\0", "\ufffd")
            bad_byte = raw.index(0) if bad_byte < 0 else bad_byte
        yield number, raw, line, bad_byte


def read_text(file: IO[bytes], source: Source) -> Iterator[Record]:
    """A sentence a line, a blank line one without words; or running text, split into sentences.

    Of running text the records' numbers are the sentences', for those need not begin with a line.
    """
    numbered: Iterable[tuple[int, str]] = decoded_lines(file, source)
    if source.running_text is not None:
        lines = (line for _, line in numbered)
        numbered = enumerate(stream_sentences(lines, source.running_text), start=1)
    for number, line in numbered:
        yield source.of_string(line, None, number)
