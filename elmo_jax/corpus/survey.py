"""The first pass over a corpus: check and count it, and cut it into parts."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import DuplicateKeysWarning, ElmoError, check_count, shortened, warn
from ..text.cut_words import CutWords, WordLimit
from ..text.readers import Record
from ..text.sentences import SentenceChecker
from .writers import SentenceKeyChecker

# Tokens of a part: the most work that a killed process can lose. Every part fills the lanes and the
# word table anew, so longer parts cost less.
PART_TOKENS = 1 << 18

_MAX_COMPARED_KEYS = 1 << 20  # keeps memory bounded
_MAX_LISTED = 10


class Part(NamedTuple):
    """Consecutive records, embedded in one go."""

    sentences: int
    tokens: int
    words_cut: int  # number of words that are longer than the model reads
    digest: str  # SHA-256 of the records' lines, see ``Record.line``

    @classmethod
    def from_json(cls, values: Any) -> Part:
        """The part of a manifest; raises ElmoError or TypeError for anything else."""
        part = cls(*values)
        for name in cls._fields[:-1]:
            check_count(getattr(part, name), name, 0)
        if not (isinstance(part.digest, str) and re.fullmatch("[0-9a-f]{64}", part.digest)):
            raise ElmoError(f"the digest {shortened(part.digest)} is not one")
        return part


@dataclasses.dataclass(frozen=True)
class Survey:
    """Everything that one pass over a corpus tells."""

    parts: tuple[Part, ...]
    text_bytes: int  # of all texts in UTF-8
    longest_key: int  # in characters; 0 if no record has a key
    longest_key_at: int  # the number of that record, from 0
    repeated_key: int  # the most characters of a record's key times its words
    repeated_key_at: int  # the number of that record, from 0
    blank: int  # number of records without words
    cut_words: CutWords
    duplicate_keys: int  # number of records with the key of an earlier record

    @property
    def sentences(self) -> int:
        """Number of records."""
        return sum(part.sentences for part in self.parts)

    @property
    def tokens(self) -> int:
        """Number of words."""
        return sum(part.tokens for part in self.parts)

    @classmethod
    def from_records(
        cls,
        records: Iterable[Record],
        part_tokens: int | None = PART_TOKENS,
        *,
        limit: WordLimit,
        strict: bool = False,
        sentence_keys: SentenceKeyChecker | None = None,
    ) -> Survey:
        """Read a corpus once, and cut it into parts of at most ``part_tokens`` tokens.

        A longer sentence is a part of its own; for None, there is a single part. The cuts depend on
        the records and ``part_tokens`` only. ``limit`` is that of the model; ``strict`` refuses
        sentences without words; ``sentence_keys`` checks the keys of sentences. Raises ElmoError if
        there is no record, or one cannot be embedded and stored.
        """
        if part_tokens is None:
            part_tokens = sys.maxsize
        check_count(part_tokens, "part_tokens")
        parts: list[_PartBuilder] = []
        blank_lines: list[tuple[str, int]] = []
        text_bytes = 0
        longest_key = repeated_key = (0, 0)  # with the number of the record
        sentence_checker, cut_words, keys = SentenceChecker(), CutWords(limit), _KeyCounter()
        for number, record in enumerate(records):
            _check_type(record)
            where = f"{record.file}, line {record.number}"
            sentence_checker.check(record.words, where)
            _check_key(record, where)
            keys.add(record, where)
            if sentence_keys is not None:
                sentence_keys.add(record)
            if not parts or parts[-1].size + _size(record) > part_tokens:
                parts.append(_PartBuilder())
            parts[-1].add(record, words_cut=cut_words.add_sentence(record.words))
            text_bytes += _text_bytes(record, where)
            if record.key:
                longest_key = max(longest_key, (len(record.key), -number))
                repeated = len(record.key) * len(record.words)
                repeated_key = max(repeated_key, (repeated, -number))
            if not record.words:
                blank_lines.append((record.file, record.number))
        if not parts:
            raise ElmoError("The input is empty: expected at least one sentence.")
        if strict and blank_lines:
            raise ElmoError(_blank_lines_message(blank_lines))
        keys.warn()
        return cls(
            parts=tuple(part.build() for part in parts),
            text_bytes=text_bytes,
            longest_key=longest_key[0],
            longest_key_at=-longest_key[1],
            repeated_key=repeated_key[0],
            repeated_key_at=-repeated_key[1],
            blank=len(blank_lines),
            cut_words=cut_words,
            duplicate_keys=keys.n_duplicates,
        )


def check_repeatable(records: Iterable[Record]) -> None:
    """Raise ElmoError for an iterator: the second pass would find it empty."""
    if iter(records) is records:
        raise ElmoError(
            f"Expected records that can be read more than once, got {type(records).__name__}, "
            "which can be read only once. Pass a list, or the result of Records.of."
        )


def iter_parts(
    records: Iterable[Record], parts: Sequence[Part], numbers: Iterable[int]
) -> Iterator[tuple[int, Iterator[Record]]]:
    """The second pass: number and records of each part in ``numbers``, which must rise.

    ``parts`` are all parts of the survey. Each part must be read to its end before the next. Raises
    ElmoError at the end of a part whose records have changed since the survey.
    """
    stream, next_part = iter(records), 0
    for number in numbers:
        n_skipped = sum(part.sentences for part in parts[next_part:number])
        next(itertools.islice(stream, n_skipped, n_skipped), None)  # advance by n_skipped
        yield number, _records_of_part(stream, number, parts[number])
        next_part = number + 1


def _records_of_part(stream: Iterator[Record], number: int, part: Part) -> Iterator[Record]:
    digest = hashlib.sha256()
    for record in itertools.islice(stream, part.sentences):
        digest.update(record.line().encode("utf-8"))
        yield record
    if digest.hexdigest() != part.digest:
        raise ElmoError(
            f"The input has changed since it was first read: part {number} now holds other "
            "sentences. Leave the files alone while they are embedded, and run the command again."
        )


class _PartBuilder:
    """A part that records are added to."""

    def __init__(self) -> None:
        self.sentences = self.tokens = self.words_cut = self.size = 0
        self.digest = hashlib.sha256()

    def add(self, record: Record, words_cut: int) -> None:
        self.sentences += 1
        self.tokens += len(record.words)
        self.words_cut += words_cut
        self.size += _size(record)
        self.digest.update(record.line().encode("utf-8"))

    def build(self) -> Part:
        return Part(self.sentences, self.tokens, self.words_cut, self.digest.hexdigest())


def _size(record: Record) -> int:
    # A blank record counts as one token: else a part could hold any number of them.
    return max(1, len(record.words))


class _KeyCounter:
    """Counts the records with the key of an earlier record."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._first = ""
        self.n_duplicates = 0

    def add(self, record: Record, where: str) -> None:
        if not record.key or record.key == record.text:  # CoNLL-U without sent_id
            return
        key_hash = hash(record.key)
        if key_hash in self._hashes:
            self._first = self._first or f"{shortened(record.key)} ({where})"
            self.n_duplicates += 1
        elif len(self._hashes) < _MAX_COMPARED_KEYS:
            self._hashes.add(key_hash)

    def warn(self) -> None:
        if self.n_duplicates:
            warn(
                f"Records with the key of an earlier record: {self.n_duplicates:,}, the first of "
                f"them {self._first}. All are embedded; only their numbers tell them apart.",
                DuplicateKeysWarning,
            )


def _check_type(record: object) -> None:
    if not isinstance(record, Record):
        raise ElmoError(
            f"Expected records, got {type(record).__name__}. Open files with "
            "elmo_jax.text.readers.Records.of; for sentences in memory, use Elmo.stream."
        )


def _check_key(record: Record, where: str) -> None:
    if record.key is None:
        return
    if not isinstance(record.key, str):
        raise ElmoError(f"{where}: the key is {shortened(record.key)}, expected a string or None.")
    if "\0" in record.key:
        raise ElmoError(
            f"{where}: the key {shortened(record.key)} has a NUL character, which no format can "
            "hold."
        )


def _text_bytes(record: Record, where: str) -> int:
    """Bytes of the text, once it, the key and the words are known to be Unicode."""
    what = "text"
    try:
        n_bytes = len(record.text.encode("utf-8"))
        what = "key"
        (record.key or "").encode("utf-8")
        what = "words"
        "".join(record.words).encode("utf-8")
        return n_bytes
    except UnicodeEncodeError:
        raise ElmoError(
            f"{where}: the {what} {'have' if what == 'words' else 'has'} half a character (a lone "
            "surrogate), which no format can hold."
        ) from None


def _blank_lines_message(blank_lines: list[tuple[str, int]]) -> str:
    file = blank_lines[0][0]
    numbers = [number for name, number in blank_lines if name == file][:_MAX_LISTED]
    n_more = len(blank_lines) - len(numbers)
    return (
        f"{file} has blank lines: {', '.join(map(str, numbers))}"
        f"{f' and {n_more} more' if n_more else ''}. "
        "Remove them, or leave out strict=True to keep them as empty sentences."
    )
