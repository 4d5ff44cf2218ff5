"""Text files as sentences: one tokenised sentence a line, plain or compressed.

A run of hours must not die of one bad byte, nor hide it: what is wrong with a file is reported
with its place, and raised only in a strict corpus.
"""

from __future__ import annotations

import codecs
import collections
import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

from ..errors import ElmoError
from ..readers import READ_ERRORS, Files, find_files, open_file

_REPORTS_A_FILE = 5

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Text files in a fixed order.

    Attributes:
        files: the files.
        strict: raise ElmoError for what is otherwise reported and passed over: bytes that are
            no UTF-8 (they become U+FFFD), a compressed file that breaks off, an empty file.
        quiet: report nothing; for a pass over files that an earlier pass has reported on.
    """

    files: tuple[Path, ...]
    strict: bool = False
    quiet: bool = False

    @classmethod
    def of(cls, files: Files, strict: bool = False) -> Corpus:
        """A corpus of paths and glob patterns; matches of a pattern in sorted order.

        Args:
            files: a path or pattern, or several. Compression is told by the suffix: ``.gz``,
                ``.xz``, ``.bz2``, ``.zst``.
            strict: see the class.

        Raises:
            ElmoError: for a path that does not exist, or a pattern without a match.
        """
        return cls(find_files(files), strict)

    def sentences(self) -> Iterator[list[str]]:
        """Every sentence once, in the order of the files, as its words."""
        for path in self.files:
            for _, line in self.lines(path):
                yield line.split()

    def lines(self, path: Path, skip: int = 0) -> Iterator[tuple[int, str]]:
        """The lines of one file that are not blank, each with its number (from 1).

        Args:
            path: the file.
            skip: how many lines at its start to pass over.
        """
        number, n_found, n_bad = 0, 0, 0
        try:
            with open_file(path) as file:
                for number, raw in enumerate(file, 1):
                    if number <= skip:
                        continue
                    if number == 1:
                        raw = raw.removeprefix(codecs.BOM_UTF8)
                    try:
                        line = raw.decode("utf-8")
                    except UnicodeDecodeError as error:
                        n_bad += 1
                        self._report_byte(path, number, error, n_bad)
                        line = raw.decode("utf-8", "replace")
                    if not line.isspace() and line:
                        n_found += 1
                        yield number, line
        except READ_ERRORS as error:
            self._report(f"{path} breaks off after line {number}: {error}. Its rest is left out.")
        if not n_found and not skip:
            self._report(f"{path} is empty: it has no sentence in {number} lines.")

    def _report_byte(self, path: Path, number: int, error: UnicodeDecodeError, n_bad: int) -> None:
        if n_bad <= _REPORTS_A_FILE:
            self._report(
                f"{path}, line {number}, byte {error.start + 1}: "
                f"0x{error.object[error.start]:02x} is no UTF-8; read as U+FFFD."
            )
        elif n_bad == _REPORTS_A_FILE + 1:
            self._report(f"{path}: more bytes that are no UTF-8 from line {number} on.")

    def _report(self, message: str) -> None:
        if self.strict:
            raise ElmoError(f"{message} (Without strict, this is reported and passed over.)")
        if not self.quiet:
            _logger.warning(message)


@dataclasses.dataclass(frozen=True)
class CorpusStatistics:
    """What one pass over a corpus finds.

    Attributes:
        n_sentences: lines that are not blank.
        n_words: words in them, without sentence markers.
        counts: how often each word occurs, in the order of first appearance.
    """

    n_sentences: int
    n_words: int
    counts: collections.Counter[str]

    @property
    def n_predictions(self) -> int:
        """Tokens that each direction predicts: the words and one marker a sentence."""
        return self.n_words + self.n_sentences


def survey(corpus: Corpus) -> CorpusStatistics:
    """Read a corpus once, and count.

    Raises:
        ElmoError: if it has no sentence at all, or is strict and has any fault.
    """
    counts: collections.Counter[str] = collections.Counter()
    n_sentences = 0
    for words in corpus.sentences():
        n_sentences += 1
        counts.update(words)
    if not n_sentences:
        raise ElmoError(f"No sentence in {len(corpus.files)} files; the first: {corpus.files[0]}.")
    return CorpusStatistics(n_sentences, counts.total(), counts)
