"""Text files as sentences: one tokenized sentence per line, plain or compressed.

One bad byte must not end a run of hours, nor go unseen. So a fault is reported with its place, and
raised only if the corpus is strict. A file that is not text, or has another encoding or format, is
always an error: a model would learn nonsense from it.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from ..checkpoint.vocabulary import Vocabulary
from ..errors import ElmoError, counted, flag_problem, shortened
from ..text.contents import check_is_plain, check_is_text, head_of
from ..text.cut_words import CutWords, WordLimit
from ..text.raw_text import RawTextWatch
from ..text.readers import COLUMN_FORMATS, BrokenFile, Files, find_files, format_of, open_file
from ..text.readers.lines import TO_CONVERT, LineBlock, utf8_blocks
from ..text.tokenizers import (
    Tokenizer,
    split_text,
    splits_at_whitespace,
    tokenizer_named,
    warn_of_other_spaces,
)
from .argument_types import check_paths, choice_problem, refuse
from .text_contents import HashedFile, TextContents

_MAX_REPORTS_PER_FILE = 5

_AS_TEXT = "input_format='text' reads it as it is"

_TOKENIZE = (
    "Tokenize it first: `elmo-jax tokenize INPUT -o OUT`. Or name what splits it: tokenizer=."
)

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Text files in a fixed order.

    Attributes:
        files: the paths.
        strict: raise ElmoError for problems that are otherwise reported and accepted: bytes that
            are not UTF-8 (they become U+FFFD), a compressed file that breaks off, an empty file.
        quiet: report nothing, because an earlier pass over the files did.
        tokenizer: name of the tokenizer that splits lines.
        format: "text" to read every file as plain text. None refuses files that have, or look
            like, another format.
        contents: what the files contained. A file that is read to its end is added, or compared
            if it is already there. None compares nothing.
    """

    files: tuple[Path, ...]
    strict: bool = False
    quiet: bool = False
    tokenizer: str = "whitespace"
    format: str | None = None
    contents: TextContents | None = dataclasses.field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        files: Files,
        strict: bool = False,
        *,
        tokenizer: str = "whitespace",
        format: str | None = None,
    ) -> Corpus:
        """A corpus of paths and glob patterns; the matches of a pattern are sorted.

        A suffix ``.gz``, ``.xz``, ``.bz2`` or ``.zst`` names the compression. The other arguments
        are the attributes of the class.

        Raises:
            ElmoError: for a path that does not exist, a pattern without a match, a file with the
                suffix of a format other than text, or an unknown tokenizer.

        Example:
            >>> corpus = Corpus.of("corpus/*.txt.gz")
            >>> next(corpus.sentences())
            ['The', 'bank', 'of', 'the', 'river', '.']
        """
        paths = check_paths(files, "files")
        refuse([flag_problem(strict, "strict")])
        if format is not None:
            refuse([choice_problem(format, "format", ("text",))])
        corpus = cls(find_files(paths), strict, tokenizer=tokenizer, format=format)
        _ = corpus.split  # raises for an unknown tokenizer
        if format is None:
            for path in corpus.files:
                _refuse_other_formats(path)
        return corpus

    @property
    def split(self) -> Tokenizer:
        """The function that splits a line into words; ElmoError for an unknown tokenizer."""
        if not isinstance(self.tokenizer, str):
            raise ElmoError(
                "Expected the name of a tokenizer, so that a run can record it, got "
                f"{type(self.tokenizer).__name__}."
            )
        return tokenizer_named(self.tokenizer)

    def without_reports(self) -> Corpus:
        """The same corpus for another pass, after a first pass that reported its faults."""
        return dataclasses.replace(self, quiet=True, strict=False)

    def sentences(self) -> Iterator[list[str]]:
        """Every sentence once, in the order of the files, as a list of words.

        Warns:
            RawTextWarning: if the first lines are split at whitespace and look raw.
        """
        split = self.split
        watches = splits_at_whitespace(split) and not self.quiet
        watch = RawTextWatch(_TOKENIZE) if watches else None
        for path in self.files:
            for number, line in self.lines(path):
                words = list(split_text(split, line, f"{path}, line {number}"))
                if watch is not None and watch.n_left:
                    watch.add(words, str(path))
                yield words
        if watch is not None:
            watch.finish()

    def lines(self, path: Path, skip: int = 0) -> Iterator[tuple[int, str]]:
        """The lines after the first ``skip`` that are not blank, each with its number, from 1.

        Raises:
            ElmoError: if the file is not text, has another encoding or format, or has changed.
        """
        for numbers, texts in self.blocks(path, skip):
            yield from zip(numbers, texts, strict=True)

    def blocks(self, path: Path, skip: int = 0) -> Iterator[tuple[Sequence[int], list[str]]]:
        """``lines``, as many at a time as were read at once: their numbers and their texts."""
        with self._opened(path) as file:
            faults = _Faults()
            yield from self._blocks_of(file, path, skip, faults)
            if isinstance(file, HashedFile) and self.contents is not None:
                self.contents.add(path, file, faults.breaks_off, faults.n_bad_lines)
        # A quiet pass may see only a part of the file, which says less about its encoding.
        if faults.are_systematic and not self.quiet:
            raise ElmoError(f"{path} is not UTF-8: {faults}. {TO_CONVERT}")

    def _opened(self, path: Path) -> contextlib.AbstractContextManager[IO[bytes] | HashedFile]:
        return open_file(path) if self.contents is None else self.contents.opened(path)

    def _blocks_of(
        self, file: IO[bytes] | HashedFile, path: Path, skip: int, faults: _Faults
    ) -> Iterator[tuple[Sequence[int], list[str]]]:
        name, has_sentence = str(path), False
        warned = self.quiet or self.tokenizer != "whitespace"
        try:
            head = head_of(file)
            check_is_text(head, name)
            if self.format is None:
                check_is_plain(head, name, _AS_TEXT, formats=False)
            for block in utf8_blocks(file, name, skip):
                self._count_faults(block, name, faults)
                numbers: Sequence[int] = range(block.first, block.first + len(block.texts))
                texts = block.texts
                warned = warned or any(
                    warn_of_other_spaces(text, f"{name}, line {number}")
                    for number, text in zip(numbers, texts, strict=True)
                )
                if any(map(str.isspace, texts)) or "" in texts:
                    numbers, texts = _without_blank(numbers, texts)
                if texts:
                    has_sentence = True
                    yield numbers, texts
        except BrokenFile as error:
            where = f"after line {faults.n_lines:,}"
            if isinstance(file, HashedFile):
                where += f" and {counted(file.n_bytes, 'byte')}"
            faults.breaks_off = f"{where}: {error.problem}"
            self._report(f"{path} breaks off {faults.breaks_off}. Its rest is left out.")
        if not has_sentence and not skip:
            n_lines = counted(faults.n_lines, "line")
            self._report(f"{path} is empty: it has no sentence in {n_lines}.")

    def _count_faults(self, block: LineBlock, name: str, faults: _Faults) -> None:
        faults.n_lines = block.first + len(block.raw) - 1
        if block.bad_byte < 0:
            faults.n_beyond_ascii += len(block.raw) - sum(map(bytes.isascii, block.raw))
            return
        faults.n_bad_lines += 1
        faults.n_bad_characters += block.texts[0].count("\ufffd")
        where = f"{name}, line {block.first}"
        self._report_bad_byte(where, block.raw[0], block.bad_byte, faults)

    def _report_bad_byte(self, where: str, raw: bytes, position: int, faults: _Faults) -> None:
        if faults.n_bad_lines <= _MAX_REPORTS_PER_FILE:
            self._report(
                f"{where}, byte {position + 1}: 0x{raw[position]:02x} is not UTF-8 text; it is "
                "read as U+FFFD."
            )
        elif faults.n_bad_lines == _MAX_REPORTS_PER_FILE + 1:
            self._report(f"{where}: more bytes that are not UTF-8; they are no longer reported.")

    def _report(self, message: str) -> None:
        if self.strict:
            raise ElmoError(f"{message} (Without strict, this is reported and passed over.)")
        if not self.quiet:
            _logger.warning(message)


def _without_blank(numbers: Sequence[int], texts: list[str]) -> tuple[list[int], list[str]]:
    has_words = list(map(bool, map(str.strip, texts)))
    return list(itertools.compress(numbers, has_words)), list(itertools.compress(texts, has_words))


def _refuse_other_formats(path: Path) -> None:
    format = format_of(path.name)
    if format == "text":
        return
    column = ", ..." if format in COLUMN_FORMATS else ""
    raise ElmoError(
        f"{path} is read as {format}, but training and evaluation read plain text, one sentence "
        "per line. Write its sentences to such a file, with the words that "
        f"elmo_jax.text.readers.Records.of({path.name!r}{column}) gives; or {_AS_TEXT}."
    )


@dataclasses.dataclass
class _Faults:
    """Counts of the lines of a file, to tell a few bad bytes from another encoding."""

    breaks_off: str | None = None  # where and why the file cannot be read to its end
    n_lines: int = 0
    n_bad_lines: int = 0
    n_bad_characters: int = 0
    n_beyond_ascii: int = 0

    @property
    def are_systematic(self) -> bool:
        """At least 3 bad characters, on 1% of the lines and on 3 (or half of a short file).

        There must also be more bad lines than lines that are valid UTF-8 beyond ASCII.
        """
        least = max(min(3, self.n_lines / 2), 0.01 * self.n_lines, self.n_beyond_ascii + 1)
        return self.n_bad_characters >= 3 and self.n_bad_lines >= least

    def __str__(self) -> str:
        are_bad = "is" if self.n_bad_lines == 1 else "are"
        are_beyond = "is" if self.n_beyond_ascii == 1 else "are"
        return (
            f"{self.n_bad_lines:,} of its {counted(self.n_lines, 'line')} {are_bad} not, and "
            f"{self.n_beyond_ascii:,} beyond ASCII {are_beyond}"
        )


@dataclasses.dataclass(frozen=True)
class CorpusStatistics:
    """Counts of a corpus.

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
        """Tokens that each direction predicts: every word, and one marker per sentence."""
        return self.n_words + self.n_sentences

    def oov_rate(self, vocabulary: Vocabulary) -> float:
        """Share of the words that are not in the vocabulary."""
        n_known = sum(n for word, n in self.counts.items() if word in vocabulary)
        return 1 - n_known / max(1, self.n_words)

    def cut_words(self, limit: WordLimit) -> CutWords:
        """Count of the words that a model with this limit does not read whole."""
        cut = CutWords(limit)
        cut.add_counts(self.counts)
        return cut


def survey(corpus: Corpus) -> CorpusStatistics:
    """Read a corpus once and count its sentences and words.

    Raises:
        ElmoError: if it has no sentence, or if it is strict and has a problem.
    """
    if not isinstance(corpus, Corpus):
        raise ElmoError(f"Expected a Corpus, such as Corpus.of(files), got {shortened(corpus)}.")
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
