"""The first pass over a corpus: what is in it, and where it is cut into parts."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import DuplicateKeysWarning, ElmoError, check_count, warn
from ..text.cut_words import CutWords
from ..text.readers import Record
from ..text.sentences import checked_word, warn_of_space

PART_TOKENS = 1 << 18
"""Tokens of a part: what is lost at most when a process is killed. Each part fills the lanes and
the word table anew, which costs the less the longer it is."""

_MOST_KEYS = 1 << 20
"""Keys that are compared with later ones, so that memory stays bounded."""

_SHOWN = 10


class Part(NamedTuple):
    """A run of consecutive records.

    Attributes:
        sentences: how many.
        tokens: their words.
        cut: those of the words that are longer than the model reads.
        digest: SHA-256 of their lines, see ``Record.line``.
    """

    sentences: int
    tokens: int
    cut: int
    digest: str


@dataclasses.dataclass(frozen=True)
class Survey:
    """What a pass over a corpus found.

    Attributes:
        parts: the corpus, cut.
        text_bytes: size of the texts.
        longest_key: characters of the longest key; 0 if no record has one.
        blank: records without a word.
        cut: all words, and those that are longer than the model reads.
        duplicate_keys: records with a key that an earlier one has, among the first million keys.
    """

    parts: tuple[Part, ...]
    text_bytes: int
    longest_key: int
    blank: int
    cut: CutWords
    duplicate_keys: int

    @property
    def sentences(self) -> int:
        """All records."""
        return sum(part.sentences for part in self.parts)

    @property
    def tokens(self) -> int:
        """All words."""
        return sum(part.tokens for part in self.parts)


def survey(
    records: Iterable[Record],
    part_tokens: int = PART_TOKENS,
    *,
    width: int,
    strict: bool = False,
) -> Survey:
    """Read a corpus once.

    Where it is cut depends on the records and ``part_tokens`` alone.

    Args:
        records: the corpus.
        part_tokens: most tokens of a part, unless a single sentence has more.
        width: ``max_characters_per_token`` of the model.
        strict: refuse sentences without words.

    Raises:
        ElmoError: if there is no record, one is no sentence, or, with ``strict``, is blank.
    """
    check_count(part_tokens, "part_tokens")
    parts: list[Part] = []
    text_bytes = longest_key = 0
    blank: list[tuple[str, int]] = []
    cut = CutWords(width)
    cutter = _Cutter(part_tokens)
    keys = _Keys()
    warned = False
    for record in records:
        if not isinstance(record, Record):
            raise ElmoError(
                f"Expected records, got {type(record).__name__}. Open files with "
                "elmo_jax.text.readers.Records.of; Elmo.stream takes sentences that are in memory."
            )
        where = f"{record.file}, line {record.number}"
        spaced = checked_word(record.words, where)
        if spaced and not warned:
            warned = warn_of_space(spaced, where)
        if record.key is not None and "\0" in record.key:
            raise ElmoError(
                f"{where}: the key {record.key!r} has a NUL character, which no format can hold."
            )
        keys.add(record, where)
        parts += cutter.add(record, cut.add_sentence(record.words))
        text_bytes += _text_bytes(record, where)
        longest_key = max(longest_key, len(record.key or ""))
        if not record.words:
            blank.append((record.file, record.number))
    parts += cutter.end()
    if not parts:
        raise ElmoError("The input is empty: expected at least one sentence.")
    if strict and blank:
        raise ElmoError(_blank_lines(blank))
    keys.warn()
    return Survey(tuple(parts), text_bytes, longest_key, len(blank), cut, keys.n_duplicates)


def _text_bytes(record: Record, where: str) -> int:
    try:
        return len(record.text.encode("utf-8"))
    except UnicodeEncodeError:
        raise ElmoError(
            f"{where}: the text has half a character (a lone surrogate), which no format can hold."
        ) from None


def check_repeatable(records: Iterable[Record]) -> None:
    """Raise ElmoError for an iterator, of which nothing would be left for the second pass."""
    if iter(records) is records:
        raise ElmoError(
            f"Expected records that can be read more than once, got {type(records).__name__}, "
            "which can be read once. Pass a list, or what Records.of gives."
        )


class _Keys:
    """Counts records with a key that an earlier one has."""

    def __init__(self) -> None:
        self._hashes: set[int] = set()
        self._first = ""
        self.n_duplicates = 0

    def add(self, record: Record, where: str) -> None:
        """Count a record."""
        if not record.key or record.key == record.text:  # CoNLL-U without sent_id
            return
        number = hash(record.key)
        if number in self._hashes:
            self._first = self._first or f"{record.key!r} ({where})"
            self.n_duplicates += 1
        elif len(self._hashes) < _MOST_KEYS:
            self._hashes.add(number)

    def warn(self) -> None:
        """Warn if there was one."""
        if self.n_duplicates:
            warn(
                f"Records with a key that an earlier one has: {self.n_duplicates:,}, the first of "
                f"them {self._first}. All are embedded; only their numbers tell them apart.",
                DuplicateKeysWarning,
            )


class _Cutter:
    """Counts records into parts."""

    def __init__(self, part_tokens: int) -> None:
        self._most = part_tokens
        self._begin()

    def _begin(self) -> None:
        self._sentences = self._tokens = self._cut = self._size = 0
        self._digest = hashlib.sha256()

    def add(self, record: Record, n_cut: int) -> Iterator[Part]:
        """Count a record with ``n_cut`` words cut; gives the part before it, if that is full."""
        # A blank record counts too, so that any number of them stays bounded.
        size = max(1, len(record.words))
        if self._sentences and self._size + size > self._most:
            yield from self.end()
        self._sentences += 1
        self._tokens += len(record.words)
        self._cut += n_cut
        self._size += size
        self._digest.update(record.line().encode("utf-8"))

    def end(self) -> Iterator[Part]:
        """Give the part that is not full, if there is one."""
        if self._sentences:
            yield Part(self._sentences, self._tokens, self._cut, self._digest.hexdigest())
            self._begin()


def chosen_parts(
    records: Iterable[Record], parts: Iterable[Part], chosen: Iterable[int]
) -> Iterator[tuple[int, Iterator[Record]]]:
    """The chosen of the parts that ``survey`` found, each as its number and its records.

    Args:
        records: the corpus, from its beginning.
        parts: all of its parts.
        chosen: numbers of parts, rising.

    Raises:
        ElmoError: at the end of a part whose records are not those of the survey.
    """
    stream, listed, done = iter(records), list(parts), 0
    for number in chosen:
        skipped = sum(part.sentences for part in listed[done:number])
        next(itertools.islice(stream, skipped, skipped), None)
        yield number, _checked(stream, number, listed[number])
        done = number + 1


def _checked(stream: Iterator[Record], number: int, part: Part) -> Iterator[Record]:
    digest = hashlib.sha256()
    for record in itertools.islice(stream, part.sentences):
        digest.update(record.line().encode("utf-8"))
        yield record
    if digest.hexdigest() != part.digest:
        raise ElmoError(
            f"The input has changed since it was first read: part {number} holds other sentences "
            "now. Leave it alone while it is embedded, and run the command again."
        )


def _blank_lines(blank: list[tuple[str, int]]) -> str:
    file = blank[0][0]
    numbers = [number for name, number in blank if name == file][:_SHOWN]
    more = f" and {len(blank) - len(numbers)} more" if len(blank) > len(numbers) else ""
    return (
        f"{file} has blank lines: {', '.join(map(str, numbers))}{more}. "
        "Remove them, or leave out --strict to keep them as empty sentences."
    )
