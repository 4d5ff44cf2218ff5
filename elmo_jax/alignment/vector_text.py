"""Words and their vectors as text, as word2vec wrote them and most programs read them.

The text begins with a line ``count dim``; each further line is a word and its numbers, with single
spaces between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from ..errors import ElmoError, first_few, shortened
from ..text.readers import Records


def is_storable(word: str) -> bool:
    """Whether a file can hold a word, so that it is the same when it is read."""
    if not word or word[0] == "\ufeff" or any(mark in word for mark in " \t\r\n\0"):
        return False
    try:
        word.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def write_vector_text(file: TextIO, words: Sequence[str], vectors_VD: np.ndarray) -> None:
    """Write V words and their vectors, with the nine digits that a float32 needs."""
    n_words, dim = vectors_VD.shape
    file.write(f"{n_words} {dim}\n")
    numbers = " %.9g" * dim
    for word, vector_D in zip(words, vectors_VD, strict=True):
        file.write(word + numbers % tuple(vector_D.tolist()) + "\n")


def read_vector_text(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Read V words, and their vectors float32 [V, D].

    Raises:
        ElmoError: if there is no such file, or it has problems; the message names the lines.
    """
    lines = Records.of(path, "text").lines()
    n_words, dim = _read_header(path, lines)
    vectors: dict[str, np.ndarray] = {}
    problems = []
    for _, number, line in lines:
        word, *numbers = line.rstrip(" ").split(" ")
        if not word and not numbers:  # a blank line
            continue
        vector_D, problem = _parse(numbers, dim)
        if word in vectors:
            problem = f"{shortened(word)} has a line before"
        if problem:
            problems.append(f"line {number}: {problem}")
        vectors[word] = vector_D
    if not problems and len(vectors) != n_words:
        problems.append(f"it has {len(vectors):,} words, but line 1 says {n_words:,}")
    if problems:
        raise ElmoError(f"Cannot read the vectors in {path}: {first_few(problems)}.")
    return tuple(vectors), np.stack(list(vectors.values()))


def _read_header(path: Path, lines: Iterator[tuple[str, int, str]]) -> tuple[int, int]:
    *_, line = next(lines, ("", 0, ""))
    if not (match := re.fullmatch(r"([1-9]\d*) ([1-9]\d*) ?", line)):
        raise ElmoError(
            f"{path} is not a file of words and their vectors: expected the number of words and of "
            f"dimensions in line 1, such as '50000 1024', got {shortened(line)}."
        )
    return int(match[1]), int(match[2])


def _parse(numbers: list[str], dim: int) -> tuple[np.ndarray, str]:
    """A vector float32 [D], and what is wrong with it, if anything."""
    if len(numbers) != dim:
        return np.zeros(dim, np.float32), f"{len(numbers):,} numbers, expected {dim:,}"
    try:
        with np.errstate(over="ignore"):
            vector_D = np.array(numbers, np.float64).astype(np.float32)
    except ValueError as error:
        return np.zeros(dim, np.float32), str(error)
    return vector_D, "" if np.isfinite(vector_D).all() else "a number that is not finite"
