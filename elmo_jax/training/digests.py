"""Hashes that tell whether a run has the same text as before, whatever its files are called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import ElmoError

_BLOCK = 1 << 16
_N_BLOCKS = 64


def files_record(files: Sequence[Path]) -> list[list[Any]]:
    """Name, size and content hash of each file, ready for JSON."""
    return [[path.name, *_size_and_hash(path)] for path in files]


def text_digest(files: Sequence[Path], max_tokens: int | None) -> str:
    """One hash for the text in these files, read up to ``max_tokens``."""
    content = [record[1:] for record in files_record(files)]
    return hashlib.sha256(repr((content, max_tokens)).encode()).hexdigest()


def _size_and_hash(path: Path) -> tuple[int, str]:
    """The size of a file and a SHA-256 of it.

    A file of up to 4 MiB is hashed whole. Of a longer one only 64 blocks of 64 KiB are, evenly
    spaced and with both ends among them, so that a run on a large corpus starts at once. A change
    between the blocks that leaves the size as it was goes unnoticed.
    """
    digest = hashlib.sha256()
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            for start in _block_starts(size):
                file.seek(start)
                digest.update(file.read(_BLOCK))
    except OSError as error:
        raise ElmoError(f"Cannot read {path}: {error.strerror or error}.") from None
    return size, digest.hexdigest()


def _block_starts(size: int) -> Iterator[int]:
    if size <= _N_BLOCKS * _BLOCK:
        yield from range(0, size, _BLOCK)
        return
    for number in range(_N_BLOCKS):
        yield number * (size - _BLOCK) // (_N_BLOCKS - 1)
