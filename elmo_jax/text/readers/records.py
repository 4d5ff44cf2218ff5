"""Records: a corpus of one or many files, of any of the formats."""

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
from .files import STDIN, Files, find_files, open_file, reading, without_compression
from .json_lines import read_json_lines
from .lines import decoded_lines, read_text
from .parquet import read_parquet
from .record import Record, Source

FORMATS: dict[str, Callable[[IO[bytes], Source], Iterator[Record]]] = {
    "text": read_text,
    "conllu": read_conllu,
    "jsonl": read_json_lines,
    "parquet": read_parquet,
    "csv": read_csv,
    "tsv": read_tsv,
    "fasta": read_fasta,
}
"""Formats -> their readers, which get a file at its beginning."""

_SUFFIXES = {
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
WITH_COLUMNS = ("jsonl", "parquet", "csv", "tsv")
"""Formats of tables, of which a column has to be named."""

_TABLES = ("csv", "tsv")


def format_of(name: str) -> str:
    """The format that a file's name tells, compressed or not; plain text if none."""
    return _SUFFIXES.get(Path(without_compression(name)).suffix.lower(), "text")


@dataclasses.dataclass(frozen=True)
class Records:
    """A corpus that can be read any number of times, in bounded memory; made by ``of``.

    Attributes:
        files: in their order; "-" is standard input, kept as ``stdin``.
        format: one of FORMATS for all files, or None: by each file's suffix.
        column: of JSON lines, Parquet, CSV and TSV, the column with the sentences.
        key_column: of the same, the column with their keys, if any.
        split: from a string to words.
        running_text: of plain text, the language in which lines are split into sentences, if any.
        stdin: a copy of what standard input gave.
        warned: files that were warned of.

    Example:
        >>> for record in Records.of("corpus/*.conllu.gz"):
        ...     print(record.key, record.words)
    """

    files: tuple[Path, ...]
    format: str | None
    column: str | None
    key_column: str | None
    split: Tokenizer
    running_text: str | None = None
    stdin: IO[bytes] | None = None
    warned: set[str] = dataclasses.field(default_factory=set, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        files: Files,
        format: str | None = None,
        *,
        column: str | None = None,
        key_column: str | None = None,
        tokenizer: Tokenizer | str | None = None,
        running_text: str | None = None,
    ) -> Records:
        """Find the files, and see that what their formats need is named.

        Args:
            files: a path or glob pattern, or several. A path is read as often as it is named, a
                pattern adds its matches that are not named. "-" is standard input, which is copied
                to a temporary file, since a corpus is read more than once.
            format: one of FORMATS for all of them; None tells it by each file's suffix, without
                ``.gz``, ``.xz``, ``.bz2`` or ``.zst``.
            column: of JSON lines, Parquet, CSV and TSV, the column with the sentences: strings,
                which are split, or lists of words.
            key_column: of the same, the column with their keys.
            tokenizer: string to words, or a name, see ``tokenizer_named``; splits on whitespace
                if None.
            running_text: the code of a language ("en"): plain text is no sentence a line, but is
                split into sentences, see ``split_sentences``.

        Raises:
            ElmoError: if there is no such file, format or tokenizer, ``column`` is missing or too
                much, or text that is not plain is to be split into sentences.
        """
        if format is not None and format not in FORMATS:
            raise ElmoError(f"Unknown format {format!r}: expected one of {', '.join(FORMATS)}.")
        found = find_files(files, or_stdin=True)
        for file in found:
            _check_columns(file, format or format_of(file.name), column, key_column)
            _check_running_text(file, format or format_of(file.name), running_text)
        split = resolve_tokenizer(tokenizer)
        records = cls(found, format, column, key_column, split, running_text)
        if STDIN in found:
            if sys.stdin is None or sys.stdin.closed:
                raise ElmoError("Cannot read standard input ('-'): it is closed. Name a file.")
            copy = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the records
            weakref.finalize(records, copy.close)
            shutil.copyfileobj(sys.stdin.buffer, copy)
            object.__setattr__(records, "stdin", copy)
        return records

    def __iter__(self) -> Iterator[Record]:
        """Every record once, in the order of the files.

        Raises:
            ElmoError: at a line or row that cannot be read, naming it.
        """
        for path in self.files:
            source = self._source(path)
            read = FORMATS[self.format or format_of(path.name)]
            with self._opened(path) as file, reading(source.file):
                yield from read(file, source)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Every line of files of text, without its end, after its place ("a.txt, line 1").

        Raises:
            ElmoError: at a line that is not UTF-8, naming it.
        """
        for path in self.files:
            source = self._source(path)
            with self._opened(path) as file, reading(source.file):
                for number, line in decoded_lines(file, source):
                    yield f"{source.file}, line {number}", line.rstrip("\r\n")

    def _source(self, path: Path) -> Source:
        return Source(
            "standard input" if path == STDIN else str(path),
            self.column,
            self.key_column,
            self.split,
            self.running_text,
            may_be_another_format=self.format is None and format_of(path.name) == "text",
            warned=self.warned,
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
    if format in WITH_COLUMNS and column is None:
        raise ElmoError(
            f"{file} is read as {format}: which column holds the sentences? Name it with --column."
            + (" For lines without columns: --input-format text." if format in _TABLES else "")
        )
    if format not in WITH_COLUMNS and (column or key_column):
        raise ElmoError(
            f"{file} is read as {format}, which has no columns to name. --column and "
            "--key-column are for JSON lines, Parquet, CSV and TSV; --input-format names the "
            "format."
        )


def _check_running_text(file: Path, format: str, language: str | None) -> None:
    if language is None:
        return
    check_language(language)
    if format != "text":
        raise ElmoError(
            f"{file} is read as {format}, whose records are the sentences: only plain text can be "
            "split. Leave out --split-sentences."
        )
