"""What a line is: the one definition for every text that this library reads.

A line ends with LF, CR LF or a lone CR, as in Python's text files, which bilm-tf and AllenNLP read.
Nothing else ends one: form feeds, NEL, U+2028 and the like are whitespace within a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

BLOCK_BYTES = 1 << 16


class LineTooLong(Exception):
    """A line has more bytes than it may."""


def split_lines(text: str) -> list[str]:
    """The lines of a text, without their ends."""
    if not text:
        return []
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")


def blocks_of_lines(file: IO[bytes], most_bytes: int) -> Iterator[list[bytes]]:
    """The lines of a file, some at a time, each with its end. The last one may lack an end.

    Takes memory for one line and one block. ``most_bytes`` is at least BLOCK_BYTES.

    Raises:
        LineTooLong: in place of the block with a longer line, after all lines before it.
    """
    source: Any = file  # every buffered file has read1
    unfinished: list[bytes] = []  # parts of a line
    size = 0
    while block := source.read1(BLOCK_BYTES):
        lines = block.splitlines(keepends=True)  # of bytes, unlike str: at CR and LF alone
        if unfinished:
            if unfinished[-1].endswith(b"\r") and not block.startswith(b"\n"):
                lines.insert(0, b"".join(unfinished))
                unfinished, size = [], 0
            elif len(lines) > 1 or block.endswith(b"\n"):
                if size + len(lines[0]) > most_bytes:
                    raise LineTooLong
                lines[0] = b"".join([*unfinished, lines[0]])
                unfinished, size = [], 0
        if not lines[-1].endswith(b"\n"):  # a CR may be followed by an LF
            unfinished.append(lines.pop())
            size += len(unfinished[-1])
        if lines:
            yield lines
        if size > most_bytes:
            raise LineTooLong
    if unfinished:
        yield [b"".join(unfinished)]
