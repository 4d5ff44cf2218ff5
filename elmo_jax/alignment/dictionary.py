"""Dictionaries: pairs of words that translate each other."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..errors import ElmoError, counted, first_few, shortened
from ..text.readers import Records
from .anchors import Anchors, as_list

Pairs: TypeAlias = Iterable[tuple[str, str]]
"""Pairs of a word of the source language and a word of the target language."""


def read_dictionary(path: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Read pairs of words: a source word and a target word per line, with whitespace between them.

    This is the format of MUSE's dictionaries. A word may have several translations, each on its own
    line. Blank lines are skipped, and a pair that occurs twice counts once.

    Raises:
        ElmoError: if the file is missing, is not UTF-8, is empty, or has lines without two words.
    """
    pairs: dict[tuple[str, str], None] = {}
    problems = []
    for _, number, line in Records.of(path, "text").lines():
        words = line.split("\t") if "\t" in line else line.split()
        words = [word.strip() for word in words]
        if len(words) == 2 and all(words):
            pairs[words[0], words[1]] = None
        elif any(words):
            problems.append(f"line {number} is {shortened(line)}")
    if problems:
        raise ElmoError(
            f"{path} is not a dictionary: {first_few(problems)}. Expected two words in "
            "each line, one of the source language and one of the target language, with a space or "
            "a tab between them."
        )
    if not pairs:
        raise ElmoError(f"The dictionary {path} is empty: expected two words in each line.")
    return list(pairs)


def _checked_pairs(pairs: Any) -> list[tuple[str, str]]:
    listed = as_list(pairs, "pairs of words")
    for pair in listed:
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        if not is_pair or not all(isinstance(word, str) for word in pair):
            raise ElmoError(
                "Expected pairs of a source word and a target word, as read_dictionary returns "
                f"them, got {shortened(pair)}."
            )
    return listed


class Matches(NamedTuple):
    """The K pairs that have an anchor in both languages, by rows of the anchors.

    Attributes:
        source_rows: int64 [K].
        target_rows: int64 [K].
        missing: the number of the other pairs.
    """

    source_rows: np.ndarray
    target_rows: np.ndarray
    missing: int


def match_pairs(pairs: Pairs, source: Anchors, target: Anchors) -> Matches:
    """Look up pairs of words among the anchors.

    Raises:
        ElmoError: if no pair has both anchors.
    """
    pairs = _checked_pairs(pairs)
    rows_K2 = [
        (source.rows[source_word], target.rows[target_word])
        for source_word, target_word in pairs
        if source_word in source.rows and target_word in target.rows
    ]
    if not rows_K2:
        n_source = sum(word in source.rows for word, _ in pairs)
        n_target = sum(word in target.rows for _, word in pairs)
        raise ElmoError(
            f"None of the {counted(len(pairs), 'pair')} of words can be used: {n_source:,} have an "
            f"anchor of the source language, {n_target:,} of the target language, none of both. "
            "Is the source language in the first column, and are words spelled as in the texts "
            "(upper and lower case differ)?"
        )
    source_rows_K, target_rows_K = np.array(rows_K2, np.int64).T
    return Matches(source_rows_K, target_rows_K, len(pairs) - len(rows_K2))
