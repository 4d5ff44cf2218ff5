"""A window of text as arrays: each distinct word spelled once, in few distinct shapes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..characters import BOS, EOS, encode_words, spelled_lengths
from ..config import ElmoConfig
from .streams import Taken
from .vocabulary import Vocabulary


class Window(NamedTuple):
    """One window of both directions. Axis 0 of the arrays [2, N, T] is the direction.

    T runs in the order of the text within a row, as the stacks expect it: the backward stack
    reads from the end of the row.

    Attributes:
        short_UC: int32 [U, C'], the distinct words that fit C' characters.
        long_UC: int32 [U', C], the others, at full width. Both are padded with rows of zeros.
        slots: int32 [2, N, T], what is read, as an index into the rows of both.
        targets: int32 [2, N, T], what is to be predicted, as vocabulary ids.
        fresh: bool [2, N, T], where a sentence begins in reading order.
        real: bool [2, N, T], False at padding.
    """

    short_UC: np.ndarray
    long_UC: np.ndarray
    slots: np.ndarray
    targets: np.ndarray
    fresh: np.ndarray
    real: np.ndarray


def assemble(
    taken: tuple[Taken, Taken], vocabulary: Vocabulary, config: ElmoConfig, multiple: int = 1
) -> Window:
    """Make the arrays of a window.

    Args:
        taken: the forward and the backward words.
        vocabulary: for the targets.
        config: for the spelling.
        multiple: a number that U and U' shall be multiples of.
    """
    n_rows = len(taken[0].n_real)
    shape = (2, n_rows, len(taken[0].inputs) // n_rows)
    words = taken[0].inputs + taken[1].inputs
    rows = {word: row for row, word in enumerate(dict.fromkeys(words))}
    slots = np.fromiter(map(rows.__getitem__, words), np.int32, len(words))

    short_UC, long_UC, slot_of = _spell(list(rows), config, multiple)
    begins = np.array([[rows.get(BOS, -1)], [rows.get(EOS, -1)]])[:, :, None]
    fresh = slots.reshape(shape) == begins
    targets = np.stack([vocabulary.ids(direction.targets) for direction in taken])
    n_real = np.array([direction.n_real for direction in taken])[:, :, None]
    arrays = (
        slot_of[slots].reshape(shape),
        targets.reshape(shape),
        fresh,
        np.arange(shape[2])[None, None] < n_real,
    )
    return Window(short_UC, long_UC, *(_in_text_order(array) for array in arrays))


def _spell(
    words: list[str], config: ElmoConfig, multiple: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The words as two arrays by length, and the row of each word in the two together.

    Few words are long, and a word costs as much as its row is wide.
    """
    ids_UC = encode_words(words, config.max_characters_per_token)
    width = _short_width(config)
    # After a word's end one window of padding must be left for the widest filter to see.
    is_short = spelled_lengths(ids_UC) + config.max_filter_width <= width
    order = np.argsort(~is_short, kind="stable")
    n_short = int(is_short.sum())
    short_UC = _padded(ids_UC[order[:n_short], :width], bucket(n_short, multiple=multiple))
    # Doubling sizes for the few long ones: two fine ladders would multiply the shapes.
    n_long = bucket(len(words) - n_short, steps=1, multiple=multiple)
    long_UC = _padded(ids_UC[order[n_short:]], n_long)
    slot_of = np.empty(len(words), np.int32)
    slot_of[order] = np.arange(len(words))
    slot_of[order[n_short:]] += len(short_UC) - n_short
    return short_UC, long_UC, slot_of


def _short_width(config: ElmoConfig) -> int:
    """Room for words of 11 bytes: about nine of ten distinct words of running English."""
    return min(config.max_characters_per_token, 13 + config.max_filter_width)


def bucket(size: int, *, steps: int = 4, least: int = 64, multiple: int = 1) -> int:
    """The least allowed size that is not smaller than ``size``.

    There are ``steps`` sizes between a doubling of ``least`` and the next: with four at most a
    fifth is padding, and a run of windows of one size meets one or two shapes.
    """
    power = least
    while 2 * power < size:
        power *= 2
    unit = power // steps if size > power else power
    rounded = -(-max(size, power) // unit) * unit
    return -(-rounded // multiple) * multiple


def _padded(ids_UC: np.ndarray, size: int) -> np.ndarray:
    return np.pad(ids_UC, ((0, size - len(ids_UC)), (0, 0)))


def _in_text_order(array: np.ndarray) -> np.ndarray:
    """Turn the backward rows round; they come in reading order."""
    return np.stack([array[0], array[1, :, ::-1]])
