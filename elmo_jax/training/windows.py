"""Text cut into windows of T steps, and their arrays.

Rows of text without gaps are cut into one window after the other (``LanePair``). In a window each
distinct word is spelled once, and the shapes of the arrays are few (``assemble``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..lanes.buffer import LaneBuffer
from ..lanes.distinct_words import first_places, split_by_width
from ..lanes.packing import pack_in_order
from .lexicon import BEGIN, END, Lexicon
from .sentences import Sentences

_MOST_WORDS = 1 << 18
"""When a lexicon has more words, those that no row needs are forgotten. The entries of this many
take 28 MB, twice that while they grow."""

_SHORT_WORD = 11
"""Bytes of the longest short word: about nine of ten distinct words of running English are short.
A window has hundreds of words and room for 64 long ones, so few are wasted on a narrow array."""

ALL_ROWS = slice(None)
"""The rows of a process that shares them with no other."""

Pending = Sequence[Sequence[str | None]]
"""What each row of a direction has before it: words, and None where a sentence begins."""


class Waiting(NamedTuple):
    """What the rows of a direction have before them, as it was at one moment."""

    values_WN: np.ndarray  # int32, numbers of the lexicon
    ends_N: np.ndarray  # int64, where the words of each row end
    words: Sequence[str]  # of the lexicon, by number, at that moment
    marker: int  # the number of the marker that begins a sentence

    def pending(self) -> Pending:
        """The words of each row."""
        rows = zip(self.values_WN.T.tolist(), self.ends_N.tolist(), strict=True)
        return [self._words(row[:end]) for row, end in rows]

    def _words(self, numbers: list[int]) -> list[str | None]:
        return [None if number == self.marker else self.words[number] for number in numbers]


class WordWindow(NamedTuple):
    """One window of every row of a direction, in reading order, as numbers of the lexicon."""

    inputs: np.ndarray  # int32 [N, T], what is read
    targets: np.ndarray  # int32 [N, T], the word that follows each of them
    n_real: np.ndarray  # int64 [N], how many of the T words are not padding


class DirectionLanes:
    """The rows of one direction, or those of them that are one process's ``own``.

    As in bilm-tf, a sentence of n words makes n + 1 steps: forward it reads
    ``<S> w1 … wn`` and predicts ``w1 … wn </S>``; backward it reads ``</S> wn … w1`` and
    predicts ``wn … w1 <S>``. A row that runs out takes the next sentence of the stream, which all
    N rows share; when the stream ends, rows are padded. ``pending``, of all rows, continues an
    earlier object.

    Which row takes a sentence depends on the lengths of all sentences before it. So each process
    reads the whole stream, but splits, looks up and holds only the words of its own rows.
    """

    def __init__(
        self,
        sentences: Sentences,
        n_rows: int,
        lexicon: Lexicon,
        backward: bool = False,
        pending: Pending | None = None,
        own: slice = ALL_ROWS,
    ) -> None:
        self._sentences, self._lexicon, self._backward = sentences, lexicon, backward
        self._first, self._last = (END, BEGIN) if backward else (BEGIN, END)
        self._own = range(n_rows)[own]
        self._ends_N = np.zeros(n_rows, np.int64)
        # Filled with the marker that begins a sentence: no sentence has to write its own, and one
        # follows the last word of a row.
        self._buffer = LaneBuffer(len(self._own), filler=self._first)
        if pending is not None:
            self._restore(pending)

    @property
    def waiting(self) -> Waiting:
        """What each of its own rows will read before it takes a sentence."""
        values_WN, ends_N = self._buffer.values_WN.copy(), self._own_ends.copy()
        return Waiting(values_WN, ends_N, self._lexicon.known_words, self._first)

    @property
    def waiting_numbers(self) -> np.ndarray:
        """The numbers of the waiting words, with repetitions."""
        return self._buffer.values_WN.ravel()

    def renumber(self, new_numbers: np.ndarray) -> None:
        """Follow a lexicon that has given its words other numbers, see ``Lexicon.keep``."""
        self._buffer.values_WN = new_numbers[self._buffer.values_WN]

    def take(self, n_steps: int) -> WordWindow | None:
        """The next window of its own rows; None when the stream and they have ended."""
        self._refill(n_steps)
        n_real = np.minimum(self._own_ends, n_steps)
        if not n_real.any():
            return None
        self._buffer.lengthen(n_steps + 1)
        following_TN = self._buffer.values_WN[1 : n_steps + 1]
        targets_TN = np.where(following_TN == self._first, self._last, following_TN)
        inputs_TN = self._buffer.take(n_steps)
        self._ends_N = np.maximum(self._ends_N - n_steps, 0)
        return WordWindow(inputs_TN.T, targets_TN.T, n_real)

    @property
    def _own_ends(self) -> np.ndarray:
        return self._ends_N[self._own.start : self._own.stop]

    def _refill(self, n_steps: int) -> None:
        """Give sentences to the row that ends first, until each has enough for a window."""
        # So a row takes the next sentence when its last one ends, wherever windows are cut.
        steps = self._sentences.steps
        rows_S, starts_S, self._ends_N = pack_in_order(steps, self._ends_N, n_steps)
        self._buffer.lengthen(int(self._own_ends.max(initial=0)))
        own_S = np.flatnonzero((rows_S >= self._own.start) & (rows_S < self._own.stop))
        words, lengths_S = self._sentences.take(len(rows_S), own_S)
        rows_S, starts_S = rows_S[own_S] - self._own.start, starts_S[own_S] + 1
        numbers = self._lexicon.numbers(words)
        self._buffer.write(rows_S, starts_S, lengths_S, numbers, backward=self._backward)

    def _restore(self, pending: Pending) -> None:
        self._ends_N = np.array(list(map(len, pending)), np.int64)
        self._buffer.lengthen(int(self._own_ends.max(initial=0)))
        for row, words in enumerate(pending[self._own.start : self._own.stop]):
            positions = [position for position, word in enumerate(words) if word is not None]
            numbers = self._lexicon.numbers([word for word in words if word is not None])
            self._buffer.values_WN[positions, row] = numbers


class LanePair:
    """The rows of both directions, or those of them that are one process's ``own``.

    A number of the lexicon holds from one ``take`` to the next.
    """

    def __init__(
        self,
        sentences: tuple[Sentences, Sentences],
        n_rows: int,
        lexicon: Lexicon,
        pending: Sequence[Pending] | None = None,
        own: slice = ALL_ROWS,
    ) -> None:
        self._lexicon = lexicon
        self._directions = [
            DirectionLanes(stream, n_rows, lexicon, bool(i), pending[i] if pending else None, own)
            for i, stream in enumerate(sentences)
        ]

    @property
    def waiting(self) -> list[Waiting]:
        """What both directions have before them."""
        return [lanes.waiting for lanes in self._directions]

    def take(self, n_steps: int) -> tuple[WordWindow, WordWindow] | None:
        """The next window of both directions; None at the end of a stream."""
        if len(self._lexicon) > _MOST_WORDS:
            numbers = np.concatenate([lanes.waiting_numbers for lanes in self._directions])
            new_numbers = self._lexicon.keep(numbers)
            for lanes in self._directions:
                lanes.renumber(new_numbers)
        forward, backward = (lanes.take(n_steps) for lanes in self._directions)
        return None if forward is None or backward is None else (forward, backward)


class Window(NamedTuple):
    """One window of both directions. Axis 0 of the arrays [2, N, T] is the direction.

    Within a row, T has the order of the text: the backward stack reads from the end of the row.
    Both tables of words are padded with rows of zeros.
    """

    short_UC: np.ndarray  # int32 [U, C'], the distinct words that fit C' characters
    long_UC: np.ndarray  # int32 [U', C], the others, at full width
    slots: np.ndarray  # int32, what is read, as an index into the rows of both tables
    targets: np.ndarray  # int32, what is predicted, as vocabulary ids
    fresh: np.ndarray  # bool, where a sentence begins in reading order
    real: np.ndarray  # bool, False at padding


def assemble(pair: tuple[WordWindow, WordWindow], lexicon: Lexicon, multiple: int = 1) -> Window:
    """Make the arrays of a window; U and U' are multiples of ``multiple``."""
    inputs = np.stack([window.inputs for window in pair])
    numbers = inputs.ravel()
    # In the order of appearance. It decides in which order gradients are summed, so it must not
    # depend on what the lexicon met before: a resumed run has another lexicon.
    numbers_U = numbers[first_places(numbers, len(lexicon))]
    short_UC, long_UC, slots_U = _spell_in_two_widths(numbers_U, lexicon, multiple)
    slot_of = np.empty(len(lexicon), np.int32)  # those of other words are never looked at
    slot_of[numbers_U] = slots_U
    n_real = np.array([window.n_real for window in pair])[:, :, None]
    arrays = (
        slot_of.take(inputs),
        lexicon.entries.targets_U.take(np.stack([window.targets for window in pair])),
        inputs == np.array([BEGIN, END])[:, None, None],
        np.arange(inputs.shape[2])[None, None] < n_real,
    )
    return Window(short_UC, long_UC, *(_in_text_order(array) for array in arrays))


class Sizes(NamedTuple):
    """The rows of a window's two tables of words."""

    n_short: int
    n_long: int

    @classmethod
    def of(cls, window: Window) -> Sizes:
        """Those of one window."""
        return cls(len(window.short_UC), len(window.long_UC))


def widened(window: Window, sizes: Sizes, part: int, n_parts: int) -> Window:
    """The window as a part of a larger one, whose tables are those of all parts, end to end.

    In that, each part has ``sizes``, which are at least its own.
    """
    n_short, n_long = sizes
    is_long = window.slots >= len(window.short_UC)
    longs = window.slots - len(window.short_UC) + n_parts * n_short + part * n_long
    slots = np.where(is_long, longs, window.slots + part * n_short).astype(np.int32)
    short_UC, long_UC = _padded(window.short_UC, n_short), _padded(window.long_UC, n_long)
    return window._replace(short_UC=short_UC, long_UC=long_UC, slots=slots)


def _spell_in_two_widths(
    numbers_U: np.ndarray, lexicon: Lexicon, multiple: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The short words, the long words, and the row of each word in the two together."""
    ids_UC, lengths_U, *_ = lexicon.entries
    (short, short_width), (long, full_width) = split_by_width(
        lengths_U[numbers_U], _SHORT_WORD, lexicon.config
    )
    # Doubling sizes for the few long words: two fine ladders would multiply the shapes.
    n_short = bucket(len(short), multiple=multiple)
    n_long = bucket(len(long), steps=1, multiple=multiple)
    # Whole rows first: NumPy takes longer to gather parts of rows.
    short_UC = _padded(ids_UC.take(numbers_U[short], axis=0)[:, :short_width], n_short)
    long_UC = _padded(ids_UC.take(numbers_U[long], axis=0)[:, :full_width], n_long)
    slots_U = np.empty(len(numbers_U), np.int32)
    slots_U[short] = np.arange(len(short))
    slots_U[long] = n_short + np.arange(len(long))
    return short_UC, long_UC, slots_U


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
    padded_UC = np.zeros((size, ids_UC.shape[1]), np.int32)  # np.pad is slow
    padded_UC[: len(ids_UC)] = ids_UC
    return padded_UC


def _in_text_order(array: np.ndarray) -> np.ndarray:
    """Reverse the backward rows, which come in reading order."""
    return np.stack([array[0], array[1, :, ::-1]])
