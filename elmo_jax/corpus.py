"""Lines of a text file as sentences: one sentence a line, words between whitespace."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import ElmoError

_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Counts:
    """What a pass over a text found.

    Attributes:
        sentences: lines.
        tokens: words.
        text_bytes: the size of the text.
        blank_lines: numbers of the lines without a word, counted from 1.
    """

    sentences: int
    tokens: int
    text_bytes: int
    blank_lines: tuple[int, ...]


class TextFile:
    """A UTF-8 text that can be read several times, in bounded memory."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: str) -> Iterator[TextFile]:
        """Open a file, or standard input for "-", which is copied to a temporary file first.

        Raises:
            ElmoError: if there is no such file.
        """
        if path == "-":
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
                yield cls(copy, "standard input")
            return
        with _open(path) as file:
            yield cls(file, path)

    def lines(self) -> Iterator[str]:
        """The lines without the whitespace around them, from the first.

        Raises:
            ElmoError: at a line that is not UTF-8, naming it.
        """
        self._file.seek(0)
        for number, line in enumerate(self._file, start=1):
            try:
                yield line.decode("utf-8").strip()
            except UnicodeDecodeError as error:
                raise ElmoError(
                    f"{self._name}, line {number}: not UTF-8 (byte 0x{line[error.start]:02x} at "
                    f"column {error.start + 1}). Convert the text first: iconv -t UTF-8."
                ) from None

    def count(self, *, strict: bool = False) -> Counts:
        """Read the whole text once.

        Args:
            strict: refuse blank lines.

        Raises:
            ElmoError: for a text without a line, a line that is not UTF-8, or with ``strict``
                blank lines, naming the first of them.
        """
        n_sentences = n_tokens = n_bytes = 0
        blank = []
        for n_sentences, line in enumerate(self.lines(), start=1):
            words = len(line.split())
            n_tokens += words
            n_bytes += len(line.encode("utf-8"))
            if not words:
                blank.append(n_sentences)
        if not n_sentences:
            raise ElmoError(f"{self._name} is empty: expected one sentence a line.")
        if strict and blank:
            more = f" and {len(blank) - _SHOWN} more" if len(blank) > _SHOWN else ""
            raise ElmoError(
                f"{self._name} has blank lines: {', '.join(map(str, blank[:_SHOWN]))}{more}. "
                "Remove them, or leave out --strict to keep them as empty sentences."
            )
        return Counts(n_sentences, n_tokens, n_bytes, tuple(blank))


def _open(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise ElmoError(f"Cannot read {path}: {error.strerror}.") from None
