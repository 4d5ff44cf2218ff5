"""The words that a softmax can predict, most frequent first, as its sampler expects."""

from __future__ import annotations

import codecs
import functools
import hashlib
import itertools
import os
import zlib
from collections.abc import Iterable, KeysView, Mapping, Sequence, Set
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..errors import ElmoError, check_count, shortened
from ..files import atomic_file
from ..model.characters import BOS, EOS
from ..text.contents import HEAD_BYTES, binary_kind, how_to_convert, other_encoding
from .gzip_text import GZIP, expanded

UNK = "<UNK>"
MARKERS = (BOS, EOS, UNK)

_SKIPPED = "!!!MAXTERMID"
"""A line of old vocabulary files, which bilm-tf skips."""

MOST_BYTES = 10**9
"""Of a vocabulary file in an archive. The largest published one has about 8 MB."""

_MOST_WORDS = 10**7
"""Each takes memory, even if its line is empty."""

_MOST_LISTED = 3


Words: TypeAlias = "Vocabulary | Iterable[str] | str | os.PathLike[str]"
"""A vocabulary, its words, or the path of a file of them."""


class Vocabulary:
    """The words that a softmax predicts, and their ids. Other words have the id of ``<UNK>``.

    ``<S>``, ``</S>`` and ``<UNK>`` must be among the words. The sampled softmax expects the others
    most frequent first. Ids are those of bilm-tf: a word's id is its index, or its last index if it
    occurs more than once. The empty word stands for a blank line of a file; no text contains it.

    Raises:
        ElmoError: if a marker is missing, or an entry is not a word: it contains a space, a tab or
            a newline, for example because a count stands beside the word.

    Attributes:
        words: V words.
        unknown: the id of ``<UNK>``.
        source: the name of the words in errors.
    """

    def __init__(self, words: Iterable[str], source: str = "The vocabulary") -> None:
        if isinstance(words, str):
            raise ElmoError(f"{source}: expected a list of words, got the string {words!r:.60}.")
        if not isinstance(words, Iterable):
            raise ElmoError(f"{source}: expected a list of words, got {shortened(words)}.")
        if isinstance(words, Set) and not isinstance(words, KeysView):
            raise ElmoError(
                f"{source}: expected a list of words, got a {type(words).__name__}, which has no "
                "order, and the order numbers the words. Vocabulary.from_counts makes one from "
                "counts of words."
            )
        self.source, self.words = source, tuple(words)
        _check_words(self.words, source)
        # The last of equal words wins, as in bilm-tf.
        self._ids = {word: index for index, word in enumerate(self.words)}
        missing = [marker for marker in MARKERS if marker not in self._ids]
        if missing:
            raise ElmoError(
                f"{source} lacks {', '.join(missing)}; expected one word per line, "
                f"{', '.join(MARKERS)} first, then by falling frequency."
            )
        self.unknown = self._ids[UNK]

    @classmethod
    def of(cls, words: Words) -> Vocabulary:
        """A vocabulary from a list of words or a file; a ``Vocabulary`` is returned as it is."""
        if isinstance(words, Vocabulary):
            return words
        if isinstance(words, str | os.PathLike):
            return cls.read(words)
        return cls(words)

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], size: int | None = None, min_count: int = 1
    ) -> Vocabulary:
        """The words that occur at least ``min_count`` times, the most frequent first.

        Words that are equally frequent keep the order of ``counts``. ``size`` limits V, including
        the three markers.

        Raises:
            ElmoError: if ``size`` has no room for a word, ``min_count`` is below 1, or ``counts``
                contains something other than numbers.
        """
        check_vocabulary_choice(size, min_count)
        if not isinstance(counts, Mapping):
            raise ElmoError(f"Expected the counts of words, got {shortened(counts)}.")
        for word in (word for word, n in counts.items() if type(n) is not int):
            check_count(counts[word], f"The count of {shortened(word)}", 0)
        frequent = [word for word, n in counts.items() if n >= min_count and _is_word(word)]
        frequent.sort(key=lambda word: -counts[word])  # stable, so that ties keep their order
        return cls([*MARKERS, *(word for word in frequent if word not in MARKERS)][:size])

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read a file with one word per line, and number the words as bilm-tf does.

        Lines are stripped. A blank line has an id, ``!!!MAXTERMID`` does not. A byte order mark is
        skipped. The file may be compressed with gzip.

        Raises:
            ElmoError: if the file is missing, is not UTF-8, or does not make a vocabulary.
        """
        try:
            content = Path(path).read_bytes()
        except FileNotFoundError:
            raise ElmoError(f"There is no vocabulary at {path}: no such file.") from None
        except (OSError, ValueError) as error:  # ValueError: no path can have such a name
            raise ElmoError(f"Cannot read the vocabulary {path}: {error}") from None
        return cls.from_bytes(content, os.fspath(path))

    @classmethod
    def from_bytes(cls, content: bytes, source: str) -> Vocabulary:
        """Do what ``read`` does, from the content of a file that errors call ``source``."""
        if content.startswith(GZIP):
            try:
                content = expanded(content, f"The vocabulary {source}")
            except (OSError, EOFError, zlib.error) as error:
                raise ElmoError(f"Cannot read the vocabulary {source}: {error}.") from None
        # Only newlines end a word: splitlines() would also cut at U+2028, for example.
        if (n_lines := content.count(b"\n")) > _MOST_WORDS:
            raise ElmoError(
                f"The vocabulary {source} has {n_lines:,} lines, expected at most {_MOST_WORDS:,}."
            )
        text = _decoded(content, source).replace("\r\n", "\n").replace("\r", "\n")
        lines = text.removesuffix("\n").split("\n")
        words = [word for line in lines if (word := line.strip()) != _SKIPPED]
        return cls(words, source)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a file with one word per line; ``read`` returns the same ids."""
        with atomic_file(Path(path), overwrite=True) as temporary:
            temporary.write_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """What ``write`` writes."""
        return ("\n".join(self.words) + "\n").encode()

    @property
    def sha256(self) -> str:
        """The hash of the words in their order, in hexadecimal digits."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @functools.cached_property
    def non_word_ids(self) -> np.ndarray:
        """The ids of markers, of blank lines and of words that occur again later: int32, rising."""
        numbers = np.arange(len(self.words), dtype=np.int32)
        last = self.ids(self.words) == numbers
        named = np.isin(numbers, self.ids([word for word in (*MARKERS, "") if word in self]))
        return numbers[~last | named]

    def ids(self, words: Sequence[str]) -> np.ndarray:
        """The id of each word, int32 [len(words)]."""
        # map is faster than a generator: training looks up every token while devices wait.
        ids = map(self._ids.get, words, itertools.repeat(self.unknown))
        return np.fromiter(ids, np.int32, len(words))

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __len__(self) -> int:
        return len(self.words)


def check_vocabulary_choice(size: int | None, min_count: int) -> None:
    """Raise ElmoError for a size or count that ``Vocabulary.from_counts`` does not accept."""
    if size is not None:
        check_count(size, "vocabulary_size, with the three markers,", len(MARKERS) + 1)
    check_count(min_count, "min_count")


def _decoded(content: bytes, source: str) -> str:
    head, name = content[:HEAD_BYTES], f"The vocabulary {source}"
    if encoding := other_encoding(head):
        raise ElmoError(how_to_convert(name, encoding))
    what, _ = binary_kind(head)
    if what:
        raise ElmoError(
            f"{name} is {what}, expected UTF-8 text with one word per line. Unpack it if it is "
            "compressed (only gzip is read as it is), or name the file of the words."
        )
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(0)) + 1
        raise ElmoError(f"{name} is not UTF-8 text: line {line:,} has a NUL byte. Is it damaged?")
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ElmoError(
            f"{name} is not UTF-8: line {line:,} has the byte 0x{content[error.start]:02x}. "
            "Convert it first: iconv -f ENCODING -t UTF-8 FILE > NEW, where ENCODING is the file's "
            "encoding, such as ISO-8859-1."
        ) from None


def _check_words(words: tuple[str, ...], source: str) -> None:
    bad = [number for number, word in enumerate(words) if not _is_word(word)]
    if not bad:
        return
    listed = ", ".join(f"{words[number]!r} (entry {number + 1:,})" for number in bad[:_MOST_LISTED])
    more = f" and {len(bad) - _MOST_LISTED:,} more" if len(bad) > _MOST_LISTED else ""
    what = f"{len(bad):,} entries that are not words"
    if len(bad) == 1:
        what = "an entry that is not a word"
    raise ElmoError(
        f"{source} has {what}: {listed}{more}. Expected one word per line, without whitespace."
        f"{_remedy(words[bad[0]])}"
    )


def _is_word(word: object) -> bool:
    if not isinstance(word, str) or word == _SKIPPED:
        return False
    # Other kinds of whitespace do occur inside words in the files of published models.
    return word == word.strip() and not any(mark in word for mark in " \t\r\n")


def _remedy(word: object) -> str:
    """How to cut off counts, if the entry looks as if it has one."""
    cells = word.split() if isinstance(word, str) else []
    if len(cells) != 2:
        return ""
    if cells[1].replace(".", "").isdigit():
        delimiter = "" if "\t" in str(word) else " -d' '"
        return f" To cut off counts beside the words: cut{delimiter} -f1 FILE."
    if cells[0].replace(".", "").isdigit():
        return " To cut off counts before the words: awk '{ print $2 }' FILE."
    return ""
