"""Text files as sentences: one tokenised sentence a line, plain or compressed.

A run of hours must not die of one bad byte, nor hide it: what is wrong with a file is reported
with its place, and raised only in a strict corpus. A file that is no text at all, or in another
encoding or format, is always an error: a model would learn rubbish from it.
"""

from __future__ import annotations

import codecs
import collections
import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path

from ..errors import ElmoError, counted
from ..text.contents import check_is_plain, check_is_text, head_of
from ..text.readers import COLUMN_FORMATS, READ_ERRORS, Files, find_files, format_of, open_file
from ..text.readers.lines import TO_CONVERT
from ..text.tokenizers import Tokenizer, tokenizer_named, warn_of_other_spaces

_REPORTS_A_FILE = 5

_LEAST_WRONG, _LEAST_BAD_LINES, _LEAST_BAD_SHARE = 3, 3, 0.01
"""From so many wrong characters and bad lines on (of a short file, from half of its lines) they are
no accident, if there are more bad lines than lines of UTF-8 beyond ASCII."""

_AS_TEXT = "--input-format text reads it as it is"

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Text files in a fixed order.

    Attributes:
        files: the files.
        strict: raise ElmoError for what is otherwise reported and passed over: bytes that are
            no UTF-8 (they become U+FFFD), a compressed file that breaks off, an empty file.
        quiet: report nothing; for a pass over files that an earlier pass has reported on.
        tokenizer: the name of what splits lines into words, see ``tokenizer_named``.
        format: "text" for plain text, whatever a file looks like; None refuses another format.
    """

    files: tuple[Path, ...]
    strict: bool = False
    quiet: bool = False
    tokenizer: str = "whitespace"
    format: str | None = None

    @classmethod
    def of(
        cls,
        files: Files,
        strict: bool = False,
        *,
        tokenizer: str = "whitespace",
        format: str | None = None,
    ) -> Corpus:
        """A corpus of paths and glob patterns; matches of a pattern in sorted order.

        Args:
            files: a path or pattern, or several. Compression is told by the suffix: ``.gz``,
                ``.xz``, ``.bz2``, ``.zst``.
            strict: see the class.
            tokenizer: see the class.
            format: see the class.

        Raises:
            ElmoError: for a path that does not exist, a pattern without a match, a file whose
                suffix names another format than text, or an unknown tokenizer.
        """
        corpus = cls(find_files(files), strict, tokenizer=tokenizer, format=format)
        _ = corpus.split
        if format not in (None, "text"):
            raise ElmoError(f"Unknown format {format!r} of a corpus: expected 'text'.")
        for path in corpus.files:
            other = format_of(path.name)
            if format is None and other != "text":
                column = ", column=NAME" if other in COLUMN_FORMATS else ""
                raise ElmoError(
                    f"{path} is read as {other}, but training and evaluation read plain text, one "
                    "sentence a line. Write its sentences to such a file: "
                    f"elmo_jax.text.readers.Records.of({path.name!r}{column}) gives their "
                    f"words; or {_AS_TEXT}."
                )
        return corpus

    @property
    def split(self) -> Tokenizer:
        """From a line to its words.

        Raises:
            ElmoError: for an unknown tokenizer, or one that has no name to be recorded.
        """
        if not isinstance(self.tokenizer, str):
            raise ElmoError(
                "Expected the name of a tokenizer, so that a run can record it, got "
                f"{type(self.tokenizer).__name__}."
            )
        return tokenizer_named(self.tokenizer)

    def sentences(self) -> Iterator[list[str]]:
        """Every sentence once, in the order of the files, as its words."""
        split = self.split
        for path in self.files:
            for _, line in self.lines(path):
                yield list(split(line))

    def lines(self, path: Path, skip: int = 0) -> Iterator[tuple[int, str]]:
        """The lines of one file that are not blank, each with its number (from 1).

        Args:
            path: the file.
            skip: how many lines at its start to pass over.

        Raises:
            ElmoError: if the file is no text, in another encoding, or of another format.
        """
        name, number, n_found, n_bad, n_wrong, n_beyond_ascii = str(path), 0, 0, 0, 0, 0
        warned = self.quiet or self.tokenizer != "whitespace"
        try:
            with open_file(path) as file:
                self._check_contents(head_of(file), path)
                for number, raw in enumerate(file, 1):
                    if number <= skip:
                        continue
                    raw = raw.removeprefix(codecs.BOM_UTF8)
                    line, wrong = _decoded(raw)
                    if wrong >= 0:
                        n_bad, n_wrong = n_bad + 1, n_wrong + line.count("\ufffd")
                        self._report_byte(path, number, raw[wrong], wrong, n_bad)
                    else:
                        n_beyond_ascii += not raw.isascii()
                    warned = warned or warn_of_other_spaces(line, f"{name}, line {number}")
                    if not line.isspace() and line:
                        n_found += 1
                        yield number, line
        except READ_ERRORS as error:
            self._report(f"{path} breaks off after line {number}: {error}. Its rest is left out.")
        if not n_found and not skip:
            self._report(f"{path} is empty: it has no sentence in {counted(number, 'line')}.")
        least_bad = max(
            min(_LEAST_BAD_LINES, number / 2), _LEAST_BAD_SHARE * number, n_beyond_ascii + 1
        )
        # A quiet pass may see a part of the file alone.
        if n_wrong >= _LEAST_WRONG and n_bad >= least_bad and not self.quiet:
            raise ElmoError(
                f"{path} is not UTF-8: {n_bad:,} of its {counted(number, 'line')} "
                f"{'is' if n_bad == 1 else 'are'} not, and {n_beyond_ascii:,} beyond ASCII "
                f"{'is' if n_beyond_ascii == 1 else 'are'}. {TO_CONVERT}"
            )

    def _check_contents(self, head: bytes, path: Path) -> None:
        check_is_text(head, str(path))
        if self.format is None:
            check_is_plain(head, str(path), _AS_TEXT)

    def _report_byte(self, path: Path, number: int, byte: int, place: int, n_bad: int) -> None:
        if n_bad <= _REPORTS_A_FILE:
            self._report(
                f"{path}, line {number}, byte {place + 1}: 0x{byte:02x} is no UTF-8 text; read as "
                "U+FFFD."
            )
        elif n_bad == _REPORTS_A_FILE + 1:
            self._report(f"{path}: more bytes that are no UTF-8 from line {number} on.")

    def _report(self, message: str) -> None:
        if self.strict:
            raise ElmoError(f"{message} (Without strict, this is reported and passed over.)")
        if not self.quiet:
            _logger.warning(message)


def _decoded(raw: bytes) -> tuple[str, int]:
    """A line with U+FFFD for bytes that no text has, and the place of the first one, or -1."""
    try:
        line = raw.decode("utf-8")
        if "\0" not in line:
            return line, -1
        wrong = raw.index(0)
    except UnicodeDecodeError as error:
        line, wrong = raw.decode("utf-8", "replace"), error.start
    return line.replace("\0", "\ufffd"), wrong


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
        raise ElmoError(
            f"No sentence in {counted(len(corpus.files), 'file')}; the first: {corpus.files[0]}."
        )
    return CorpusStatistics(n_sentences, counts.total(), counts)
