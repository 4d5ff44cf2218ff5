"""A window of text as arrays: each distinct word spelled once, in few distinct shapes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..model.config import ElmoConfig
from .lanes import Taken
from .lexicon import BEGIN, END, Lexicon


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


def assemble(taken: tuple[Taken, Taken], lexicon: Lexicon, multiple: int = 1) -> Window:
    """Make the arrays of a window.

    Args:
        taken: the forward and the backward words.
        lexicon: that has numbered them.
        multiple: a number that U and U' shall be multiples of.
    """
    inputs = np.stack([direction.inputs for direction in taken])
    numbers_U = _in_order_of_appearance(inputs.ravel(), len(lexicon))
    short_UC, long_UC, slots_U = _spell(numbers_U, lexicon, multiple)
    slot_of = np.zeros(len(lexicon), np.int32)
    slot_of[numbers_U] = slots_U
    n_real = np.array([direction.n_real for direction in taken])[:, :, None]
    arrays = (
        slot_of[inputs],
        lexicon.targets(np.stack([direction.targets for direction in taken])),
        inputs == np.array([BEGIN, END])[:, None, None],
        np.arange(inputs.shape[2])[None, None] < n_real,
    )
    return Window(short_UC, long_UC, *(_in_text_order(array) for array in arrays))


def _in_order_of_appearance(numbers: np.ndarray, n_words: int) -> np.ndarray:
    """The distinct ones. Their order must not depend on what the lexicon met before.

    For it decides in which order gradients are summed, and a run that goes on from a checkpoint
    has another lexicon.
    """
    first = np.full(n_words, -1)
    first[numbers[::-1]] = np.arange(len(numbers))[::-1]  # the last one written stays
    read = np.flatnonzero(first >= 0)
    return read[np.argsort(first[read])]


def _spell(
    numbers_U: np.ndarray, lexicon: Lexicon, multiple: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The words as two arrays by length, and the row of each word in the two together.

    Few words are long, and a word costs as much as its row is wide.
    """
    config = lexicon.config
    width = _short_width(config)
    # After a word's end one window of padding must be left for the widest filter to see.
    is_short = lexicon.lengths(numbers_U) + config.max_filter_width <= width
    short, long = numbers_U[is_short], numbers_U[~is_short]
    short_UC = lexicon.spelled(short, width)
    short_UC = _padded(short_UC, bucket(len(short), multiple=multiple))
    # Doubling sizes for the few long ones: two fine ladders would multiply the shapes.
    long_UC = lexicon.spelled(long, config.max_characters_per_token)
    long_UC = _padded(long_UC, bucket(len(long), steps=1, multiple=multiple))
    slots_U = np.empty(len(numbers_U), np.int32)
    slots_U[is_short] = np.arange(len(short))
    slots_U[~is_short] = len(short_UC) + np.arange(len(long))
    return short_UC, long_UC, slots_U


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
