"""Endless, shuffled streams of sentences that can be resumed.

A corpus may be larger than memory: the files are shuffled, and within them blocks of sentences
that fit a buffer. An offset in the stream is four small numbers, so a run is resumed by reading
one block again.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ElmoError, count_problem, shortened
from ..processes import Processes
from .lexicon import Lexicon
from .sentences import Sentences, SpacedLines, SplitSentences, Words
from .settings import TrainingSettings
from .text_files import Corpus
from .windows import ALL_ROWS, LanePair, Pending, Waiting, WordWindow


class StreamOffset(NamedTuple):
    """Where a stream is: the start of the current block, and how far it is into the block."""

    epoch: int = 0  # complete passes over the corpus
    file: int = 0  # complete files of this pass, in the order of the pass
    line: int = 0  # lines of the current file before the block
    sentence: int = 0  # sentences of the block that were handed out


class _Unshuffled(NamedTuple):
    """Lines that are to be shuffled together, and where the lines after them start."""

    lines: list[str]
    end: StreamOffset


class _Block(NamedTuple):
    """Sentences that were shuffled together."""

    start: StreamOffset
    size: int  # with those that were handed out before
    sentences: Sentences


class ShuffledSentences:
    """The sentences of a corpus over and over, in another order each time.

    The order follows from ``seed`` and the epoch alone. At most ``buffer_size`` sentences, a block,
    are in memory; two blocks while a window takes sentences of both. ``offset`` is that of an
    earlier stream of the same seed and corpus.
    """

    def __init__(
        self,
        corpus: Corpus,
        seed: Sequence[int],
        buffer_size: int = 200_000,
        offset: StreamOffset | None = None,
    ) -> None:
        self._corpus, self._seed, self._buffer_size = corpus, seed, buffer_size
        self._split = None if corpus.tokenizer == "whitespace" else corpus.split
        offset = offset or StreamOffset()
        self._next = offset._replace(sentence=0)  # where the next block starts
        self._read = self._lines_from(self._next)
        self._n_given = offset.sentence  # sentences of the first block that were handed out
        self._blocks = collections.deque([self._read_block(self._n_given)])
        self.steps = itertools.chain.from_iterable(self._steps_of_blocks())

    @property
    def offset(self) -> StreamOffset:
        """The offset after the last sentence."""
        return self._blocks[0].start._replace(sentence=self._n_given)

    def take(self, count: int, chosen_S: np.ndarray) -> Words:
        """See ``Sentences``."""
        parts = []
        while (n_here := self._blocks[0].size - self._n_given) < count:
            n_chosen = np.searchsorted(chosen_S, n_here)
            block = self._blocks.popleft()
            parts.append(block.sentences.take(n_here, chosen_S[:n_chosen]))
            count, chosen_S, self._n_given = count - n_here, chosen_S[n_chosen:] - n_here, 0
        self._n_given += count
        return Words.joined([*parts, self._blocks[0].sentences.take(count, chosen_S)])

    def _steps_of_blocks(self) -> Iterator[Iterator[int]]:
        yield self._blocks[0].sentences.steps
        while True:
            self._blocks.append(self._read_block())
            yield self._blocks[-1].sentences.steps

    def _read_block(self, n_given: int = 0) -> _Block:
        """Read and shuffle the next block; it lacks the sentences that were handed out earlier."""
        for _ in range(2):
            if read := next(self._read, None):
                lines, start, self._next = read.lines, self._next, read.end
                order = self._rng(*start[:3]).permutation(len(lines))[n_given:]
                shuffled = list(map(lines.__getitem__, order.tolist()))
                return _Block(start, len(lines), self._sentences_of(shuffled))
            # The pass over the corpus is complete.
            self._next = StreamOffset(epoch=self._next.epoch + 1)
            self._read = self._lines_from(self._next)
        raise ElmoError(
            f"The training files have no sentence; the first of them: {self._corpus.files[0]}."
        )

    def _sentences_of(self, lines: list[str]) -> Sentences:
        return SplitSentences(map(self._split, lines)) if self._split else SpacedLines(lines)

    def _lines_from(self, offset: StreamOffset) -> Iterator[_Unshuffled]:
        """The rest of a pass, one block after the other."""
        order = self._rng(offset.epoch).permutation(len(self._corpus.files))
        block: list[str] = []
        end = offset
        for file in range(offset.file, len(order)):
            skip = offset.line if file == offset.file else 0
            for numbers, lines in self._corpus.blocks(self._corpus.files[order[file]], skip):
                while lines:
                    n_missing = self._buffer_size - len(block)
                    block += lines[:n_missing]
                    end = StreamOffset(offset.epoch, file, numbers[:n_missing][-1])
                    numbers, lines = numbers[n_missing:], lines[n_missing:]
                    if len(block) == self._buffer_size:
                        yield _Unshuffled(block, end)
                        block = []
        if block:
            yield _Unshuffled(block, end)

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([*self._seed, len(key), *key])


class Mark(NamedTuple):
    """Where the streams of both directions were at one moment; it costs little to set one."""

    offsets: tuple[StreamOffset, StreamOffset]
    waiting: Sequence[Waiting]


class StreamPosition(NamedTuple):
    """Where the training streams of both directions are, with the words that wait in their rows."""

    offsets: tuple[StreamOffset, StreamOffset]
    pending: Sequence[Pending]

    def to_json(self) -> dict[str, Any]:
        """Lists, words and numbers, under the keys that earlier checkpoints have."""
        return {"places": [list(offset) for offset in self.offsets], "rows": list(self.pending)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> StreamPosition:
        """The inverse of ``to_json``; ElmoError for a form that earlier versions wrote."""
        if "rows" not in content:
            raise ElmoError(
                "It was written by an earlier version of elmo-jax, which stored the position in "
                "the text in another form. Finish the run with that version, or start a new one."
            )
        offsets: Any = content.get("places")
        pending: Any = content["rows"]
        if not (_are_two(offsets) and all(map(_is_offset, offsets))):
            raise ElmoError(f"Its offsets in the text are {shortened(offsets)}.")
        if not (_are_two(pending) and all(map(_is_pending, pending))):
            raise ElmoError(f"Its pending words are {shortened(pending)}.")
        forward, backward = (StreamOffset(*offset) for offset in offsets)
        return cls((forward, backward), pending)

    @classmethod
    def joined(cls, mark: Mark, processes: Processes) -> StreamPosition:
        """The position with the rows of all processes; each gives the mark of its own."""
        own = [direction.pending() for direction in mark.waiting]
        parts = processes.gather(own)
        pending = [list(itertools.chain.from_iterable(rows)) for rows in zip(*parts, strict=True)]
        return cls(mark.offsets, pending)


def _are_two(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _is_offset(value: Any) -> bool:
    is_right = isinstance(value, list) and len(value) == len(StreamOffset._fields)
    return is_right and not any(count_problem(number, "", 0) for number in value)


def _is_pending(value: Any) -> bool:
    """Whether these are rows of words; None is where a sentence begins."""
    return isinstance(value, list) and all(
        isinstance(row, list) and all(isinstance(word, str | None) for word in row) for row in value
    )


class TrainingStreams:
    """The windows of a training run, from the start or from the ``position`` of earlier streams.

    Each direction shuffles the text in its own way, in a buffer of its own. ``own`` are the rows
    of this process; the position to start from has those of all.
    """

    def __init__(
        self,
        corpus: Corpus,
        lexicon: Lexicon,
        settings: TrainingSettings,
        position: StreamPosition | None = None,
        own: slice = ALL_ROWS,
    ) -> None:
        self.lexicon, self._n_steps = lexicon, settings.unroll_steps
        offsets = position.offsets if position else (None, None)
        forward, backward = self._sentences = tuple(
            ShuffledSentences(corpus, (settings.seed, number), settings.shuffle_buffer, offset)
            for number, offset in enumerate(offsets)
        )
        pending = position.pending if position else None
        if pending and any(len(rows) != settings.batch_size for rows in pending):
            raise ElmoError("The checkpoint is of another batch size than its run.")
        self._lanes = LanePair((forward, backward), settings.batch_size, lexicon, pending, own)

    def take(self) -> tuple[WordWindow, WordWindow]:
        """The next window of both directions."""
        pair = self._lanes.take(self._n_steps)
        assert pair is not None  # the streams are endless
        return pair

    @property
    def mark(self) -> Mark:
        """Where the streams are after the last window."""
        forward, backward = self._sentences
        return Mark((forward.offset, backward.offset), self._lanes.waiting)
