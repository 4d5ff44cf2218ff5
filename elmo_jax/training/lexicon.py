"""Lexicon: numbers for the words of a text, so that windows are made of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..checkpoint.vocabulary import Vocabulary
from ..lanes.distinct_words import WordNumbers
from ..model.characters import BOS, EOS
from ..model.config import ElmoConfig
from ..model.spelling import Spelling, spell, spell_marks

BEGIN, END = range(2)
"""The numbers of the two sentence markers. A word of the text that looks like one has its own."""

_LEAST_ROOM = 1 << 12


class Entries(NamedTuple):
    """What a lexicon has for each word, by number; with room for more words at the end."""

    ids_UC: np.ndarray  # int32, or int16 where all ids fit
    lengths_U: np.ndarray  # int32, how many ids come before the padding
    is_cut_U: np.ndarray  # bool, whether the word is longer than C allows
    targets_U: np.ndarray  # int32, ids of the vocabulary


class Lexicon:
    """The words of a text so far. Each is spelled once, and looked up once in the vocabulary."""

    def __init__(self, vocabulary: Vocabulary, config: ElmoConfig) -> None:
        self.config, self._vocabulary = config, vocabulary
        dtype = np.int16 if config.token_layer == "bytes" else np.int32
        ids_UC = np.zeros((0, config.spelling_width), dtype)
        lengths_U, targets_U = np.zeros((2, 0), np.int32)
        self._entries = Entries(ids_UC, lengths_U, np.zeros(0, bool), targets_U)
        self._words: list[str] = []
        self._learn([BOS, EOS], spell_marks(config))
        self._numbers = WordNumbers(next_number=len(self._words))

    def __len__(self) -> int:
        return self._numbers.next_number

    def numbers(self, words: Sequence[str]) -> np.ndarray:
        """The numbers of words of the text, int32. A new word gets the next one."""
        return self._numbers.look_up(words)

    @property
    def entries(self) -> Entries:
        """The entries of all words so far."""
        self._learn(self._numbers.take_new_words())
        return self._entries

    @property
    def known_words(self) -> Sequence[str]:
        """The words by their numbers, which hold in this list even after ``keep``."""
        self._learn(self._numbers.take_new_words())
        return self._words

    def words(self, numbers: np.ndarray) -> list[str]:
        """The words with these numbers."""
        return list(map(self.known_words.__getitem__, numbers.tolist()))

    def keep(self, numbers: np.ndarray) -> np.ndarray:
        """Forget all other words; return the new number of each old one, -1 if forgotten."""
        old_numbers = np.union1d(numbers, [BEGIN, END])
        new_numbers = np.full(len(self), -1, np.int32)
        new_numbers[old_numbers] = np.arange(len(old_numbers))
        self._words = self.words(old_numbers)
        self._entries = Entries(*(column[old_numbers] for column in self._entries))
        self._numbers = WordNumbers(next_number=len(self._words))
        self._numbers.update(zip(self._words[2:], range(2, len(self._words)), strict=True))
        return new_numbers

    def _learn(self, new_words: list[str], spelling: Spelling | None = None) -> None:
        if not new_words:
            return
        n_before = len(self._words)
        self._words += new_words
        missing = len(self._words) - len(self._entries.lengths_U)
        if missing > 0:
            missing += max(_LEAST_ROOM, len(self._words))  # doubled, so that copies are rare
            self._entries = Entries(
                *(np.pad(x, [(0, missing), *[(0, 0)] * (x.ndim - 1)]) for x in self._entries)
            )
        spelling = spelling or spell(new_words, self.config)
        new_entries = (*spelling, self._vocabulary.ids(new_words))
        for column, values in zip(self._entries, new_entries, strict=True):
            column[n_before : len(self._words)] = values
