"""Files of word vectors, in the two formats of word2vec: ``.vec`` or ``.txt``, and ``.bin``.

The text is that of ``alignment.vector_text``. The binary format has the same first line; each word
then is UTF-8, a space, D float32 in little-endian order, and a line feed, which some programs leave
out.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..alignment.vector_text import is_storable, read_vector_text, write_vector_text
from ..errors import ElmoError, counted, first_few, shortened
from ..files import atomic_file

TEXT_SUFFIXES, BINARY_SUFFIX = (".vec", ".txt"), ".bin"

_FLOAT = np.dtype("<f4")
_HEADER = re.compile(rb"([1-9][0-9]{0,17})[ \t]([1-9][0-9]{0,17}) ?\n")


def check_suffix(path: Path, suffixes: Sequence[str] = (*TEXT_SUFFIXES, BINARY_SUFFIX)) -> None:
    """Raise ElmoError unless a new file has a suffix that says its format."""
    if path.suffix.lower() not in suffixes:
        raise ElmoError(
            f"Unknown format of {path}: expected a name that ends in .vec or .txt (text), or in "
            ".bin (binary)."
        )


def check_words(words: Sequence[str]) -> None:
    """Raise ElmoError for words that no file can hold."""
    bad = [shortened(word) for word in words if not is_storable(word)]
    if bad:
        raise ElmoError(
            f"Files of word vectors cannot hold {first_few(bad)}: a space or line end marks where "
            "a word ends. Leave such words out, or write them otherwise, such as New_York."
        )


def write_vectors(
    path: Path, words: Sequence[str], vectors_VD: np.ndarray, *, overwrite: bool
) -> None:
    """Write V words and their vectors, float32 [V, D], in the format of the suffix."""
    check_suffix(path)
    check_words(words)
    with atomic_file(path, overwrite=overwrite) as temporary:
        if path.suffix.lower() == BINARY_SUFFIX:
            with temporary.open("wb") as binary:
                _write_binary(binary, words, vectors_VD)
        else:
            with temporary.open("w", encoding="utf-8", newline="\n") as text:
                write_vector_text(text, words, vectors_VD)


def read_vectors(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Read V words and their vectors, float32 [V, D]; text may be compressed.

    Raises:
        ElmoError: if there is no such file, or it has problems.
    """
    if path.suffix.lower() == BINARY_SUFFIX:
        return _read_binary(path)
    return read_vector_text(path)


def _write_binary(file: BinaryIO, words: Sequence[str], vectors_VD: np.ndarray) -> None:
    n_words, dim = vectors_VD.shape
    file.write(f"{n_words} {dim}\n".encode())
    for word, vector_D in zip(words, vectors_VD.astype(_FLOAT), strict=True):
        file.write(word.encode() + b" " + vector_D.tobytes() + b"\n")


def _read_binary(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    try:
        with path.open("rb") as file:
            match = _HEADER.fullmatch(file.readline(64))
            if not match:
                raise ElmoError(
                    f"{path} is not a binary file of word vectors: expected the number of words "
                    "and of dimensions in its first line, such as '50000 1024'."
                )
            n_words, dim = int(match[1]), int(match[2])
            size = path.stat().st_size
            # Each word takes a letter, a space and its numbers, so the sizes that a file claims
            # are checked before memory is taken.
            if match.end() + n_words * (2 + dim * _FLOAT.itemsize) > size:
                raise _cut_off(path, f"is too short for {counted(n_words, 'word')}")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _parse_binary(path, data, match.end(), n_words, dim)
    except OSError as error:
        raise ElmoError(f"Cannot read the vectors in {path}: {error.strerror}.") from None


def _parse_binary(
    path: Path, data: mmap.mmap, position: int, n_words: int, dim: int
) -> tuple[tuple[str, ...], np.ndarray]:
    vectors_VD = np.empty((n_words, dim), np.float32)
    rows: dict[str, int] = {}
    for row in range(n_words):
        space = data.find(b" ", position)
        end = space + 1 + dim * _FLOAT.itemsize
        if space < 0 or end > len(data):
            raise _cut_off(path, f"ends at word {row + 1:,} of {n_words:,}")
        try:
            word = data[position:space].decode().lstrip("\n")
        except UnicodeDecodeError:
            raise ElmoError(
                f"Cannot read the vectors in {path}: word {row + 1:,} is not UTF-8."
            ) from None
        if rows.setdefault(word, row) != row:
            raise ElmoError(
                f"Cannot read the vectors in {path}: word {row + 1:,}, {shortened(word)}, is also "
                f"word {rows[word] + 1:,}."
            )
        vectors_VD[row] = np.frombuffer(data[space + 1 : end], _FLOAT)
        position = end
    if data[position : position + 2] not in (b"", b"\n"):
        raise ElmoError(
            f"Cannot read the vectors in {path}: there is more behind the {n_words:,} words that "
            "its first line promises."
        )
    return tuple(rows), vectors_VD


def _cut_off(path: Path, how: str) -> ElmoError:
    return ElmoError(
        f"Cannot read the vectors in {path}: it {how}. Expected a whole file; copy it again."
    )
