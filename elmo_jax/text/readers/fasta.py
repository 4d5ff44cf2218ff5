"""FASTA: sequences of proteins or nucleic acids, a residue a word.

The key is the record's identifier: the first word behind ``>``. Residues are taken as they are
written; only whitespace between them is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from .lines import decoded_lines
from .record import Record, Source


def read_fasta(file: IO[bytes], source: Source) -> Iterator[Record]:
    """A record a sequence.

    Raises:
        ElmoError: for residues before the first header, or a header without an identifier.
    """
    key, parts, began = "", list[str](), 0
    for number, line in decoded_lines(file, source):
        line = line.strip()
        if line.startswith(";"):  # a comment, in old files
            continue
        if line.startswith(">"):
            if began:
                yield _record(key, parts, source, began)
            key, parts, began = _identifier(line, number, source), [], number
        elif line and not began:
            raise source.error(number, "residues before the first header, a line with '>'.")
        else:
            parts += line.split()
    if began:
        yield _record(key, parts, source, began)


def _identifier(line: str, number: int, source: Source) -> str:
    words = line[1:].split(maxsplit=1)
    if not words:
        raise source.error(number, "a header without an identifier, expected '>IDENTIFIER'.")
    return words[0]


def _record(key: str, parts: list[str], source: Source, began: int) -> Record:
    residues = "".join(parts)
    return Record(list(residues), residues, key, source.file, began)
