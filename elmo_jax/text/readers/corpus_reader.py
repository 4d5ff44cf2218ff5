"""Records: a corpus in one or many files, of any format."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ...errors import ElmoError
from ..splitting import check_language
from ..tokenizers import Tokenizer, resolve_tokenizer
from .conllu import read_conllu
from .delimited import read_csv, read_tsv
from .fasta import read_fasta
from .input_files import (
    STDIN,
    Files,
    explaining_read_errors,
    find_files,
    open_file,
    without_compression,
)
from .json_lines import read_json_lines
from .lines import decoded_lines, read_text
from .parquet import read_parquet
from .record import Record, SourceFile

TEXT_FORMATS: dict[str, Callable[[IO[bytes], SourceFile], Iterator[Record]]] = {
    "text": read_text,
    "conllu": read_conllu,
    "jsonl": read_json_lines,
    "parquet": read_parquet,
    "csv": read_csv,
    "tsv": read_tsv,
    "fasta": read_fasta,
}
"""The reader of each format. It takes a file, opened at its beginning."""

COLUMN_FORMATS = ("jsonl", "parquet", "csv", "tsv")
"""Formats in which the user must name a column."""

_FORMAT_OF_SUFFIX = {
    ".conllu": "conllu",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
    ".fasta": "fasta",
    ".fa": "fasta",
    ".faa": "fasta",
    ".fas": "fasta",
    ".fna": "fasta",
}


def format_of(name: str) -> str:
    """The format that a file name stands for, compressed or not; "text" for an unknown suffix."""
    return _FORMAT_OF_SUFFIX.get(Path(without_compression(name)).suffix.lower(), "text")


@dataclasses.dataclass(frozen=True)
class Records:
    """A corpus that can be read any number of times, in bounded memory. Made by ``of``.

    Attributes:
        files: in order; "-" is standard input, of which ``stdin`` is a copy.
        warned_files: names of files that need no more warnings of unusual spaces.

    Example:
        >>> for record in Records.of("corpus/*.conllu.gz"):
        ...     print(record.key, record.words)
    """

    files: tuple[Path, ...]
    format: str | None
    column: str | None
    key_column: str | None
    split: Tokenizer
    split_sentences: str | None = None
    stdin: IO[bytes] | None = None
    warned_files: set[str] = dataclasses.field(default_factory=set, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        files: Files,
        format: str | None = None,
        *,
        column: str | None = None,
        key_column: str | None = None,
        tokenizer: Tokenizer | str | None = None,
        split_sentences: str | None = None,
    ) -> Records:
        """Find the files of a corpus, and check the options that their formats need.

        Args:
            files: a path or glob pattern, or several. A path is read as often as it is named; a
                pattern adds its matches that are not named. "-" is standard input, which is copied
                to a temporary file, since a corpus is read more than once.
            format: one of TEXT_FORMATS for all files. If None, it is taken from each file's suffix
                (the one before ``.gz``, ``.xz``, ``.bz2`` or ``.zst``).
            column: the column with the sentences, in JSON lines, Parquet, CSV and TSV. They are
                strings, which are split into words, or lists of words.
            key_column: the column with their keys.
            tokenizer: a function from a string to words, or a name, see ``tokenizer_named``. If
                None, strings are split at whitespace.
            split_sentences: a language code ("en"), if plain text does not have one sentence per
                line and must be split, see ``elmo_jax.split_sentences``.

        Raises:
            ElmoError: for an unknown file, format or tokenizer; if ``column`` is missing or has no
                use; if files of another format than plain text are to be split into sentences.
        """
        if format is not None and format not in TEXT_FORMATS:
            raise ElmoError(
                f"Unknown format {format!r}: expected one of {', '.join(TEXT_FORMATS)}."
            )
        paths = find_files(files, or_stdin=True)
        for path in paths:
            _check_columns(path, format or format_of(path.name), column, key_column)
            _check_split_sentences(path, format or format_of(path.name), split_sentences)
        split = resolve_tokenizer(tokenizer)
        records = cls(paths, format, column, key_column, split, split_sentences)
        if STDIN in paths:
            if sys.stdin is None or sys.stdin.closed:
                raise ElmoError("Cannot read standard input ('-'): it is closed. Name a file.")
            copy = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the records
            weakref.finalize(records, copy.close)
            shutil.copyfileobj(sys.stdin.buffer, copy)
            object.__setattr__(records, "stdin", copy)  # the dataclass is frozen
        return records

    def __iter__(self) -> Iterator[Record]:
        """Every record once, in the order of the files.

        Raises:
            ElmoError: at a line or row that cannot be read; the message names it.
        """
        for path in self.files:
            source = self._source(path)
            read = TEXT_FORMATS[self.format or format_of(path.name)]
            with self._opened(path) as file, explaining_read_errors(source.name):
                yield from read(file, source)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Every line of plain text files, without its end: pairs such as ("a.txt, line 1", line).

        Raises:
            ElmoError: at a line that is not UTF-8; the message names it.
        """
        for path in self.files:
            source = self._source(path)
            with self._opened(path) as file, explaining_read_errors(source.name):
                for number, line in decoded_lines(file, source):
                    yield f"{source.name}, line {number}", line.rstrip("\r\n")

    def _source(self, path: Path) -> SourceFile:
        return SourceFile(
            "standard input" if path == STDIN else str(path),
            self.column,
            self.key_column,
            self.split,
            self.split_sentences,
            may_be_another_format=self.format is None and format_of(path.name) == "text",
            warned_files=self.warned_files,
        )

    @contextlib.contextmanager
    def _opened(self, path: Path) -> Iterator[IO[bytes]]:
        if path == STDIN and self.stdin is not None:
            self.stdin.seek(0)
            yield self.stdin
            return
        with open_file(path) as file:
            yield file


def _check_columns(file: Path, format: str, column: str | None, key_column: str | None) -> None:
    if format in COLUMN_FORMATS and column is None:
        raise ElmoError(
            f"{file} is read as {format}: which column holds the sentences? Name it with --column."
            + (
                " For lines without columns: --input-format text."
                if format in ("csv", "tsv")
                else ""
            )
        )
    if format not in COLUMN_FORMATS and (column or key_column):
        raise ElmoError(
            f"{file} is read as {format}, which has no columns to name. --column and "
            "--key-column are for JSON lines, Parquet, CSV and TSV; --input-format names the "
            "format."
        )


def _check_split_sentences(file: Path, format: str, language: str | None) -> None:
    if language is None:
        return
    check_language(language)
    if format != "text":
        raise ElmoError(
            f"{file} is read as {format}, where every record is a sentence: only plain text can be "
            "split. Leave out --split-sentences."
        )
