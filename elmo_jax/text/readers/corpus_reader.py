"""Records: a corpus in one or more files, in any format."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from ...errors import ElmoError, did_you_mean
from ..limits import max_record_bytes
from ..raw_text import ADVICE, RawTextWatch
from ..splitting import check_language
from ..tokenizers import Tokenizer, resolve_tokenizer, split_at_tabs, splits_at_whitespace
from .conll import read_conll
from .conllu import read_conllu
from .delimited import read_csv, read_tsv
from .fasta import read_fasta
from .input_files import (
    STDIN,
    Files,
    find_files,
    is_pipe,
    open_file,
    without_compression,
)
from .json_lines import read_json_lines
from .lines import decoded_lines, read_text
from .parquet import read_parquet
from .record import Record, SourceFile
from .stored_bytes import view_of

TEXT_FORMATS: dict[str, Callable[[IO[bytes], SourceFile], Iterator[Record]]] = {
    "text": read_text,
    "conllu": read_conllu,
    "conll": read_conll,
    "jsonl": read_json_lines,
    "parquet": read_parquet,
    "csv": read_csv,
    "tsv": read_tsv,
    "fasta": read_fasta,
}
"""The reader of each format. It takes a file, opened at its beginning."""

COLUMN_FORMATS = ("jsonl", "parquet", "csv", "tsv")
"""Formats in which the user must name a column."""

_CONLL_FORMATS = ("conllu", "conll")

_FORMAT_OF_SUFFIX = {
    **{f".{name}": name for name in TEXT_FORMATS if name != "text"},
    ".conllup": "conllu",
    **dict.fromkeys((".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".fa", ".faa", ".fas", ".fna"), "fasta"),
    ".pq": "parquet",
}


def format_of(name: str) -> str:
    """The format that a file name stands for, compressed or not; "text" for an unknown suffix."""
    return _FORMAT_OF_SUFFIX.get(Path(without_compression(name)).suffix.lower(), "text")


@dataclasses.dataclass(frozen=True)
class Records:
    """A corpus that can be read any number of times, in bounded memory. ``of`` makes one.

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
    # Copies of standard input and of pipes, which can be read again.
    copies: Mapping[Path, IO[bytes]] = dataclasses.field(default_factory=dict, repr=False)
    # Names of files that need no more warnings of unusual spaces.
    warned_files: set[str] = dataclasses.field(default_factory=set, compare=False, repr=False)
    # For strings that are split at whitespace.
    watch: RawTextWatch | None = dataclasses.field(default=None, compare=False, repr=False)

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
            files: a path or glob pattern, or several. A path is read as often as you name it; a
                pattern adds only matches that you did not name. "-" is standard input. It is
                copied to a temporary file, like a pipe, because a corpus is read more than once.
            format: one of TEXT_FORMATS for all files. If None, it is taken from each file's suffix
                (the one before ``.gz``, ``.xz``, ``.bz2`` or ``.zst``).
            column: in JSON lines, Parquet, CSV and TSV, the name of the column with the sentences,
                which are strings or lists of words. In CoNLL, the column with the words, by name or
                by number from 1; if None, FORM in CoNLL-U and 1 in other files.
            key_column: the column with the keys (not for CoNLL).
            tokenizer: a function from a string to words, or a name (``tokenizer_named``). If None,
                strings are split at whitespace.
            split_sentences: a language code ("en"), to split plain text that does not have one
                sentence per line (``elmo_jax.split_sentences``).

        Raises:
            ElmoError: for an unknown file, format or tokenizer, or options that a format
                does not have.
        """
        if format is not None and format not in TEXT_FORMATS:
            expected = ", ".join(TEXT_FORMATS)
            meant = did_you_mean(format, TEXT_FORMATS)
            raise ElmoError(f"Unknown format {format!r}: expected one of {expected}.{meant}")
        paths = find_files(files, or_stdin=True)
        for path in paths:
            _check_options(
                path, format or format_of(path.name), column, key_column, split_sentences
            )
        split = resolve_tokenizer(tokenizer)
        if split is split_at_tabs and split_sentences is not None:
            raise ElmoError(
                "Text with tabs between its words has its sentences on lines of their own: leave "
                "out split_sentences=, or tokenizer='tabs'."
            )
        copies = {path: _copy(path) for path in dict.fromkeys(paths) if _is_read_once(path)}
        watch = RawTextWatch(ADVICE) if splits_at_whitespace(split) else None
        choices = format, column, key_column, split, split_sentences
        records = cls(paths, *choices, copies=copies, watch=watch)
        for copy in copies.values():
            weakref.finalize(records, copy.close)
        return records

    def __iter__(self) -> Iterator[Record]:
        """Every record once, in the order of the files.

        Raises:
            ElmoError: at a line or row that cannot be read; the message names it.

        Warns:
            RawTextWarning: once, if the first strings are split at whitespace and look raw.
        """
        if self.watch is not None:
            self.watch.start()
        for path in self.files:
            source = self._source(path)
            read = TEXT_FORMATS[self.format or format_of(path.name)]
            with self._opened(path) as file:
                yield from read(file, source)
        if self.watch is not None:
            self.watch.finish()

    def lines(self) -> Iterator[tuple[str, int, str]]:
        """Every line of plain text files: the file's name, the line's number from 1, its text."""
        for path in self.files:
            source = self._source(path)
            with self._opened(path) as file:
                for number, line in decoded_lines(file, source):
                    yield source.name, number, line.rstrip("\r\n")

    def _source(self, path: Path) -> SourceFile:
        return SourceFile(
            "standard input" if path == STDIN else str(path),
            self.column,
            self.key_column,
            self.split,
            self.split_sentences,
            may_be_another_format=self.format is None and format_of(path.name) == "text",
            warned_files=self.warned_files,
            most_bytes=max_record_bytes(),
            watch=self.watch,
        )

    def _opened(self, path: Path) -> IO[bytes]:
        return view_of(self.copies[path], str(path)) if path in self.copies else open_file(path)


def _is_read_once(path: Path) -> bool:
    return path == STDIN or is_pipe(path)


def _copy(path: Path) -> IO[bytes]:
    """A temporary file with what standard input or a pipe gives."""
    if path == STDIN and (sys.stdin is None or sys.stdin.closed):
        raise ElmoError("Cannot read standard input ('-'): it is closed. Name a file.")
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the records
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if path == STDIN else path.open("rb") as file:
            shutil.copyfileobj(file, copy)
    except OSError as error:
        copy.close()
        name = "standard input ('-')" if path == STDIN else str(path)
        raise ElmoError(f"Cannot copy {name} to a temporary file: {error}.") from None
    return copy


def _check_options(
    file: Path, format: str, column: str | None, key_column: str | None, language: str | None
) -> None:
    if format in COLUMN_FORMATS and column is None:
        plain = " For lines without columns: format='text'." if format in ("csv", "tsv") else ""
        raise ElmoError(
            f"{file} is read as {format}: which column holds the sentences? Name it with column=."
            f"{plain}"
        )
    if format in _CONLL_FORMATS and key_column:
        raise ElmoError(
            f"{file} is read as {format}, where the comment sent_id is the key of a sentence. "
            "Leave out the column of keys."
        )
    if format not in (*COLUMN_FORMATS, *_CONLL_FORMATS) and (column or key_column):
        raise ElmoError(
            f"{file} is read as {format}, which has no columns to name. column= is for JSON "
            "lines, Parquet, CSV, TSV and CoNLL, and key_column= for all of them but CoNLL; "
            "format= names the format."
        )
    if language is not None:
        check_language(language)
        if format != "text":
            raise ElmoError(
                f"{file} is read as {format}, where every record is a sentence: only plain text "
                "can be split. Leave out split_sentences=."
            )
