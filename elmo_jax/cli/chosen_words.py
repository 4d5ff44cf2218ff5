"""Which words of a text get a vector: the frequent ones, or those of a list."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import counted
from .flags import add_flag, add_flags

if TYPE_CHECKING:
    from ..text.readers import Records


def add_chosen_word_flags(parser: argparse.ArgumentParser) -> None:
    """Declare what ``chosen_words`` reads."""
    words = parser.add_argument_group("words")
    add_flag(words, "-n", " words, the most frequent ones", default=50_000)
    add_flags(words, "--min-count", "--only-words")


def word_files(args: argparse.Namespace) -> list[str]:
    """The file of --only-words, if there is one, which no output may replace."""
    return [] if args.only_words is None else [args.only_words]


def listed_words(args: argparse.Namespace) -> list[str] | None:
    """The words of --only-words, one per line; None if all words may be chosen."""
    from ..text.readers import Records

    if args.only_words is None:
        return None
    words = (line.strip() for _, _, line in Records.of(args.only_words, "text").lines())
    return [word for word in dict.fromkeys(words) if word]


def chosen_words(
    args: argparse.Namespace, records: Records, listed: Sequence[str] | None
) -> tuple[list[str], Counter[str]]:
    """The words by falling frequency, and how often each word of the text occurs."""
    from ..alignment import count_words, frequent_words

    counts = count_words(record.words for record in records)
    return frequent_words(counts, args.n, min_count=args.min_count, among=listed), counts


def count_missing(listed: Sequence[str] | None, counts: Counter[str]) -> int:
    """How many words of --only-words the text does not have."""
    return sum(word not in counts for word in listed or ())


def shown_missing(n_missing: int) -> list[str]:
    """A line that says so, if there are any."""
    words = counted(n_missing, "word")
    return [f"not in the text: {words} of --only-words"] if n_missing else []
