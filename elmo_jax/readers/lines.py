"""Lines of UTF-8 files, numbered; and the simplest format, a sentence a line."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import IO

from ..splitting import stream_sentences
from .record import Record, Source


def decoded_lines(file: IO[bytes], source: Source) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1. Only a line feed ends one.

    Raises:
        ElmoError: at a line that is not UTF-8, naming it.
    """
    for number, raw in enumerate(file, start=1):
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            yield number, raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise source.error(
                number,
                f"not UTF-8 (byte 0x{raw[error.start]:02x} at column {error.start + 1}). "
                "Convert the text first: iconv -t UTF-8.",
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
        text = line.strip()
        yield Record(source.split(text), text, None, source.file, number)
