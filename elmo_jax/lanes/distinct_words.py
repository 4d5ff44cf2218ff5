"""Each distinct word once: its number, and the width that it is computed at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..model.config import ElmoConfig


class WordNumbers(dict[str, int]):
    """The number of each word. A word that has none gets the next one when it is looked up.

    So each word is looked up only once, whether it has a number or is new.
    """

    def __init__(self, next_number: int) -> None:
        super().__init__()
        self.next_number = next_number
        self._new_words: list[str] = []

    def __missing__(self, word: str) -> int:
        self[word] = number = self.next_number
        self.next_number += 1
        self._new_words.append(word)
        return number

    def look_up(self, words: Sequence[str]) -> np.ndarray:
        """The number of each word, int32."""
        return np.fromiter(map(self.__getitem__, words), np.int32, len(words))

    def take_new_words(self) -> list[str]:
        """The words that got a number since the last call, in the order of their numbers."""
        new_words, self._new_words = self._new_words, []
        return new_words


def first_places(numbers: np.ndarray, n_words: int) -> np.ndarray:
    """Where each of the distinct ``numbers``, from 0 to n_words - 1, stands first: int64, rising.

    Without sorting, which takes longer.
    """
    places = np.arange(len(numbers), dtype=np.int32)
    first = np.empty(n_words, np.int32)  # those of words that are not there are never looked at
    first[numbers[::-1]] = places[::-1]  # the one written last stays
    return np.flatnonzero(first.take(numbers) == places)


def split_by_width(
    lengths_U: np.ndarray, n_units: int, config: ElmoConfig
) -> tuple[tuple[np.ndarray, int], tuple[np.ndarray, int]]:
    """Divide words into short and long ones. A word costs as much as its row of ids is wide.

    ``lengths_U`` is that of ``Spelling``; the longest short word has ``n_units`` bytes of UTF-8, or
    characters, whichever the model reads. Returns the indices of the short words and their width,
    and those of the others and theirs.
    """
    full_width = config.spelling_width
    # The widest filter must see one window of padding after each word. More changes nothing.
    width = min(full_width, config.word_columns + n_units + 2 + config.max_filter_width)
    is_short_U = lengths_U + config.max_filter_width <= width
    return (np.flatnonzero(is_short_U), width), (np.flatnonzero(~is_short_U), full_width)
