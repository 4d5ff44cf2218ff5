"""Lines of UTF-8 files, numbered; and the simplest format, a sentence a line."""

from __future__ import annotations

import codecs
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
    for number, raw in enumerate(file, start=1):
        # Where files were joined, others than the first line may begin with a mark.
        raw = raw.removeprefix(codecs.BOM_UTF8)
        if b"\0" in raw:
            raise source.error(number, "a NUL byte, which no text has. Is the file damaged?")
        try:
            yield number, raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise source.error(
                number,
                f"not UTF-8 (byte 0x{raw[error.start]:02x} at column {error.start + 1}). {CONVERT}",
            ) from None


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
