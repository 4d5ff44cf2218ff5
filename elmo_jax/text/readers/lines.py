"""Decoded lines of text files, and the simplest format: one sentence per line."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

from ..contents import check_is_plain, check_is_text, head_of
from ..limits import max_record_bytes, too_long
from ..line_ends import LineTooLong, blocks_of_lines
from ..splitting import stream_sentences
from .record import Record, SourceFile
from .stored_bytes import BrokenFile, stored_position

_MARK = codecs.BOM_UTF8

TO_CONVERT = (
    "Convert the text from its own encoding: iconv -f ENCODING -t UTF-8 FILE > NEW, where "
    "ENCODING is, for instance, WINDOWS-1252 (Western Europe), WINDOWS-1251 (Cyrillic) or GB18030 "
    "(Chinese)."
)


class LineBlock(NamedTuple):
    """Lines that follow each other in a file, decoded together.

    Attributes:
        first: the number of the first of them, from 1.
        raw: their bytes, with the ends of the lines.
        texts: the same as text.
        bad_byte: the index of the first byte that is not UTF-8, or is NUL; such a line is a block
            of its own. -1 if there is none.
    """

    first: int
    raw: list[bytes]
    texts: list[str]
    bad_byte: int = -1


def decoded_lines(file: IO[bytes], source: SourceFile) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1. Raises ElmoError for what is not UTF-8 text."""
    head = head_of(file)
    check_is_text(head, source.name)
    if source.may_be_another_format:
        check_is_plain(head, source.name, "format='text' reads it as it is")
    for first, raw, texts, bad_byte in utf8_blocks(file, source.name, most_bytes=source.most_bytes):
        if bad_byte < 0:
            yield from enumerate(texts, first)
        elif b"\0" in raw[0]:
            raise source.error(first, "a NUL byte, which text never has. Is the file damaged?")
        else:
            byte, column = raw[0][bad_byte], bad_byte + 1
            raise source.error(
                first, f"not UTF-8 (byte 0x{byte:02x} at column {column}). {TO_CONVERT}"
            )


def utf8_blocks(
    file: IO[bytes], name: str, skip: int = 0, most_bytes: int | None = None
) -> Iterator[LineBlock]:
    """The lines of a file after the first ``skip``, as many at a time as were read at once.

    The ends of lines are those of ``text.line_ends``. Bytes that are not UTF-8, and NUL, become
    U+FFFD in the text. ``most_bytes`` is the limit of a line, by default that of ``text.limits``.

    Raises:
        BrokenFile: if the file cannot be read to its end, with the number of lines read before.
        ElmoError: for a line that is too long.
    """
    most_bytes = max_record_bytes() if most_bytes is None else most_bytes
    n_lines = 0
    try:
        for raw in blocks_of_lines(file, most_bytes):
            first = max(n_lines, skip)
            wanted = raw[first - n_lines :]
            n_lines += len(raw)
            if wanted:
                yield from _decoded(wanted, first + 1, file, name)
    except BrokenFile as error:
        if error.line is None:
            error.line = n_lines
        raise
    except LineTooLong:
        raise too_long(f"{name}, line {n_lines + 1}", "the line", most_bytes) from None


def _decoded(raw: list[bytes], first: int, file: IO[bytes], name: str) -> Iterator[LineBlock]:
    joined = b"".join(raw)
    if _MARK not in joined and b"\0" not in joined:
        texts = _decoded_together(raw)
        if texts is not None:
            yield LineBlock(first, raw, texts)
            return
    for number, line in enumerate(raw, first):
        yield _decoded_alone(line, number, file, name)


def _decoded_together(raw: list[bytes]) -> list[str] | None:
    try:
        return list(map(bytes.decode, raw))
    except UnicodeDecodeError:
        return None


def _decoded_alone(raw: bytes, number: int, file: IO[bytes], name: str) -> LineBlock:
    # If files were joined, any line may begin with a byte order mark; or with several.
    while raw.startswith(_MARK):
        raw = raw.removeprefix(_MARK)
    try:
        line, bad_byte = raw.decode("utf-8"), -1
    except UnicodeDecodeError as error:
        if error.end == len(raw) and error.reason == "unexpected end of data":
            problem = "it ends in the middle of a character, or is not UTF-8"
            raise BrokenFile(name, problem, stored_position(file), number - 1) from None
        line, bad_byte = raw.decode("utf-8", "replace"), error.start
    if "\0" in line:
        line = line.replace("\0", "\ufffd")
        bad_byte = raw.index(0) if bad_byte < 0 else bad_byte
    return LineBlock(number, [raw], [line], bad_byte)


def read_text(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One sentence per line, without words if the line is blank; or running text."""
    numbered: Iterable[tuple[int, str]] = decoded_lines(file, source)
    if source.split_sentences is not None:
        # Sentences need not begin with a line, so records have the number of the sentence.
        lines = (line for _, line in numbered)
        sentences = stream_sentences(lines, source.split_sentences, source.name)
        numbered = enumerate(sentences, start=1)
    for number, line in numbered:
        yield source.record_from_string(line, None, number)
