"""FASTA: sequences of proteins or nucleic acids. Every residue is a word.

The key is the record's identifier, the first word after ``>``. Residues stay as they are written;
whitespace between them is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from .lines import decoded_lines
from .record import Record, SourceFile

_MOST_PARTS = 4096


def read_fasta(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per sequence. Raises ElmoError at residues or headers without an identifier."""
    key, parts, n_joined, size, first_line = "", list[str](), 0, 0, 0
    most_bytes = source.most_bytes
    for number, line in decoded_lines(file, source):
        line = line.strip()
        if line.startswith(";"):  # a comment, in old files
            continue
        if line.startswith(">"):
            if first_line:
                yield _record(key, parts, source, first_line)
            if not line[1:].strip():
                raise source.error(
                    number, "a header without an identifier, expected '>IDENTIFIER'."
                )
            key, parts, n_joined, size, first_line = line[1:].split()[0], [], 0, 0, number
        elif line and not first_line:
            raise source.error(number, "residues before the first header, a line with '>'.")
        else:
            parts += line.split()
            size += len(line)
            if size > most_bytes:
                source.check_size(size, first_line, "the sequence")
            if len(parts) - n_joined >= _MOST_PARTS:  # many short strings take much memory
                parts[n_joined:] = ["".join(parts[n_joined:])]
                n_joined += 1
    if first_line:
        yield _record(key, parts, source, first_line)


def _record(key: str, parts: list[str], source: SourceFile, first_line: int) -> Record:
    residues = "".join(parts)
    return Record(list(residues), residues, key, source.name, first_line)
