"""The words that the softmax can predict, in the order that its sampler relies on."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ..characters import BOS, EOS
from ..errors import ElmoError
from ..files import atomic_file

UNK = "<UNK>"
MARKERS = (BOS, EOS, UNK)


class Vocabulary:
    """Words and their ids; every other word has the id of ``<UNK>``.

    It limits what is predicted, not what is read: the biLM spells out any word.

    Args:
        words: ``<S>``, ``</S>`` and ``<UNK>`` among them; after those, the sampled softmax
            expects falling frequency.
        source: what to call them in errors.

    Raises:
        ElmoError: if a marker is missing, or a word comes twice.

    Attributes:
        words: V words; a word's id is its index.
        unknown: the id of ``<UNK>``.
    """

    def __init__(self, words: Iterable[str], source: str = "the vocabulary") -> None:
        self.words: tuple[str, ...] = tuple(words)
        self._ids = {word: index for index, word in enumerate(self.words)}
        missing = [marker for marker in MARKERS if marker not in self._ids]
        if missing:
            raise ElmoError(
                f"{source} lacks {', '.join(missing)}; expected one word a line, "
                f"{', '.join(MARKERS)} first, then by falling frequency."
            )
        if len(self._ids) != len(self.words):
            seen: set[str] = set()
            twice = next(w for w in self.words if w in seen or seen.add(w))  # type: ignore[func-returns-value]
            raise ElmoError(f"{source} has {twice!r} more than once.")
        self.unknown = self._ids[UNK]

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], size: int | None = None, min_count: int = 1
    ) -> Vocabulary:
        """The most frequent words; equally frequent ones in the order of ``counts``.

        Args:
            counts: how often each word occurs.
            size: V at most, the three markers included.
            min_count: leave out what is rarer.

        Raises:
            ElmoError: if ``size`` has no room for a word.
        """
        if size is not None and size <= len(MARKERS):
            raise ElmoError(f"A vocabulary of {size} words has no room beside {MARKERS}.")
        kept = [(word, n) for word, n in counts.items() if n >= min_count and word not in MARKERS]
        kept.sort(key=lambda pair: -pair[1])  # stable, so that ties keep their order
        return cls([*MARKERS, *(word for word, _ in kept)][:size])

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read a file of one word a line.

        Raises:
            ElmoError: if the file is missing, is no UTF-8, or makes no vocabulary.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ElmoError(f"Cannot read the vocabulary {path}: {error}") from None
        # Only a newline ends a word: splitlines() would cut at U+2028 and its like.
        lines = (line.strip() for line in text.split("\n"))
        return cls((line for line in lines if line), str(path))

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write one word a line."""
        with atomic_file(Path(path), overwrite=True) as temporary:
            temporary.write_text("\n".join(self.words) + "\n", encoding="utf-8")

    def ids(self, words: Sequence[str]) -> np.ndarray:
        """The id of each word, int32 [len(words)]."""
        # map, not a generator: training asks for every token, and the devices wait for it.
        found = map(self._ids.get, words, itertools.repeat(self.unknown))
        return np.fromiter(found, np.int32, len(words))

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __len__(self) -> int:
        return len(self.words)
