"""Lexicon: numbers for the words of a text, so that windows are made of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..checkpoint.vocabulary import Vocabulary
from ..model.characters import BOS, EOS, encode_words, spelled_lengths
from ..model.config import ElmoConfig
from ..text.cut_words import are_cut

BEGIN, END = range(2)
"""The numbers of the two sentence markers. A word of the text that looks like one has its own."""

_FEW_WORDS = 1 << 12


class _Numbers(dict[str, int]):
    """The number of each word; a new one gets the next."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(zip(words[2:], range(2, len(words)), strict=True))
        self.words = list(words)

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self.words)
        self.words.append(word)
        return number


class Lexicon:
    """The words met so far, by number, each spelled and looked up once.

    Args:
        vocabulary: of the softmax.
        config: for the spelling.
    """

    def __init__(self, vocabulary: Vocabulary, config: ElmoConfig) -> None:
        self.config, self._vocabulary = config, vocabulary
        self._numbers = _Numbers([BOS, EOS])
        self._spelled = np.zeros((0, config.max_characters_per_token), np.int16)
        self._lengths, self._targets = np.zeros((2, 0), np.int32)
        self._is_cut = np.zeros(0, bool)
        self._n_known = 0

    def __len__(self) -> int:
        return len(self._numbers.words)

    def numbers(self, words: Sequence[str]) -> np.ndarray:
        """The numbers of words of the text, int32."""
        return np.fromiter(map(self._numbers.__getitem__, words), np.int32, len(words))

    def words(self, numbers: np.ndarray) -> list[str]:
        """The words of numbers."""
        return list(map(self._numbers.words.__getitem__, numbers.tolist()))

    def targets(self, numbers: np.ndarray) -> np.ndarray:
        """Ids of the vocabulary, int32 in the shape of ``numbers``."""
        self._learn()
        return self._targets[numbers]

    def lengths(self, numbers: np.ndarray) -> np.ndarray:
        """How many ids of each word come before its padding, int32."""
        self._learn()
        return self._lengths[numbers]

    def are_cut(self, numbers: np.ndarray) -> np.ndarray:
        """Which words are not spelled whole, bool in the shape of ``numbers``."""
        self._learn()
        return self._is_cut[numbers]

    def spelled(self, numbers: np.ndarray, width: int) -> np.ndarray:
        """The first ``width`` character ids of words, int32 [U, width]."""
        self._learn()
        return self._spelled[numbers, :width].astype(np.int32)

    def keep(self, numbers: np.ndarray) -> np.ndarray:
        """Forget all words but these, which get new numbers.

        Returns:
            int32, the new number of each old one; -1 for a word that is forgotten.
        """
        self._learn()
        kept = np.union1d(numbers, [BEGIN, END])
        new = np.full(len(self), -1, np.int32)
        new[kept] = np.arange(len(kept))
        self._numbers = _Numbers(self.words(kept))
        self._spelled, self._lengths = self._spelled[kept], self._lengths[kept]
        self._targets, self._is_cut = self._targets[kept], self._is_cut[kept]
        self._n_known = len(kept)
        return new

    def _learn(self) -> None:
        """Spell and look up the words that are new."""
        new = self._numbers.words[self._n_known :]
        if not new:
            return
        if len(self) > len(self._lengths):
            missing = max(_FEW_WORDS, 2 * len(self)) - len(self._lengths)
            self._spelled = np.pad(self._spelled, ((0, missing), (0, 0)))
            self._lengths = np.pad(self._lengths, (0, missing))
            self._targets = np.pad(self._targets, (0, missing))
            self._is_cut = np.pad(self._is_cut, (0, missing))
        some = slice(self._n_known, len(self))
        spelled = encode_words(new, self.config.max_characters_per_token)
        self._spelled[some], self._lengths[some] = spelled, spelled_lengths(spelled)
        self._targets[some] = self._vocabulary.ids(new)
        self._is_cut[some] = are_cut(new, self.config.max_characters_per_token)
        self._n_known = len(self)
