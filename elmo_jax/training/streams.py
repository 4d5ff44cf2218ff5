"""Endless, shuffled, restartable streams of sentences, and the lanes that they fill.

A corpus may be larger than memory: the files are shuffled, and within them blocks of sentences
that fit a buffer. A place in the stream is four small numbers, so a run goes on from it by
reading one block again.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..characters import BOS, EOS
from ..errors import ElmoError
from .corpus import Corpus


class Place(NamedTuple):
    """Where a stream is: the start of the current block, and what was taken of the block.

    Attributes:
        epoch: passes over the corpus that are complete.
        file: files of this pass that are complete, in its own order.
        line: lines of the current file before the block.
        taken: sentences taken from the block.
    """

    epoch: int = 0
    file: int = 0
    line: int = 0
    taken: int = 0


class ShuffledSentences:
    """The sentences of a corpus over and over, in another order each time.

    The order follows from ``seed`` and the epoch alone. Iterating gives lists of words.

    Args:
        corpus: to read.
        seed: integers, for instance the run's seed and the stream's number.
        buffer_size: sentences of a block: the most that are in memory.
        place: where to start; ``place`` of an earlier stream of the same seed and corpus.
    """

    def __init__(
        self,
        corpus: Corpus,
        seed: Sequence[int],
        buffer_size: int = 200_000,
        place: Place | None = None,
    ) -> None:
        self._corpus, self._seed, self._buffer_size = corpus, list(seed), buffer_size
        self.place = place or Place()
        self._reader = self._read_from(self.place)
        self._block: list[str] = []
        self._next = self.place
        self._fill(taken=self.place.taken)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        if self.place.taken == len(self._block):
            self._fill(taken=0)
        line = self._block[self.place.taken]
        self.place = self.place._replace(taken=self.place.taken + 1)
        return line.split()

    def _fill(self, taken: int) -> None:
        for _ in range(2):
            read = list(itertools.islice(self._reader, self._buffer_size))
            if read:
                start, after = self._next, read[-1][0]
                order = self._rng(*start[:3]).permutation(len(read))
                self._block = [read[i][1] for i in order]
                self.place, self._next = start._replace(taken=taken), after
                return
            # The pass over the corpus is complete.
            self._next = Place(epoch=self._next.epoch + 1)
            self._reader = self._read_from(self._next)
        raise ElmoError(f"No sentence in the training files, of which {self._corpus.files[0]}.")

    def _read_from(self, place: Place) -> Iterator[tuple[Place, str]]:
        """The rest of a pass: each line, and the place after it."""
        order = self._rng(place.epoch).permutation(len(self._corpus.files))
        for number in range(place.file, len(order)):
            skip = place.line if number == place.file else 0
            for line_number, line in self._corpus.lines(self._corpus.files[order[number]], skip):
                yield Place(place.epoch, number, line_number), line

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([*self._seed, len(key), *key])


class Taken(NamedTuple):
    """One window of every row, flat: row by row, N · T words each.

    Attributes:
        inputs: what is read.
        targets: the word that follows each of them in reading order.
        n_real: of each row, how many of its T words are real; the others are padding.
    """

    inputs: list[str]
    targets: list[str]
    n_real: list[int]


class Lanes:
    """Rows of text without gaps, each cut into windows one after the other.

    As in bilm-tf, a sentence of n words makes n + 1 steps: forward it reads
    ``<S> w1 … wn`` and predicts ``w1 … wn </S>``; backward it reads ``</S> wn … w1`` and
    predicts ``wn … w1 <S>``. A row takes the next sentence of the stream when it runs out.

    Args:
        sentences: the stream that all rows take from. Where it ends, rows are padded.
        n_rows: N.
        backward: reverse each sentence.
        pending: of an earlier object, to go on from there.
    """

    def __init__(
        self,
        sentences: Iterator[list[str]],
        n_rows: int,
        backward: bool = False,
        pending: Sequence[tuple[list[str], list[str]]] | None = None,
    ) -> None:
        self._sentences, self._backward = sentences, backward
        # (inputs, targets) of each row that no window has had yet. The lists are never changed
        # in place, so that a caller may keep them as the row's position.
        self.pending = [(list(a), list(b)) for a, b in pending or [([], [])] * n_rows]

    def take(self, n_steps: int) -> Taken | None:
        """The next window of every row; None at the end of the stream."""
        self._refill(n_steps)
        taken = Taken([], [], [])
        for row, (inputs, targets) in enumerate(self.pending):
            n_missing = max(0, n_steps - len(inputs))
            taken.inputs.extend(inputs[:n_steps] + [BOS] * n_missing)
            taken.targets.extend(targets[:n_steps] + [BOS] * n_missing)
            taken.n_real.append(n_steps - n_missing)
            self.pending[row] = inputs[n_steps:], targets[n_steps:]
        return taken if any(taken.n_real) else None

    def _refill(self, n_steps: int) -> None:
        """Give sentences to the row that has least, until each has enough for a window.

        So a row takes the next sentence when its last one ends, wherever windows are cut.
        """
        first, last = (EOS, BOS) if self._backward else (BOS, EOS)
        rows = [(len(inputs), row) for row, (inputs, _) in enumerate(self.pending)]
        heapq.heapify(rows)
        while rows[0][0] < n_steps and (words := next(self._sentences, None)) is not None:
            row = rows[0][1]
            inputs, targets = self.pending[row]
            read = words[::-1] if self._backward else words
            self.pending[row] = [*inputs, first, *read], [*targets, *read, last]
            heapq.heapreplace(rows, (len(self.pending[row][0]), row))


class StreamPosition(NamedTuple):
    """Where both directions' training streams are; ready for JSON."""

    places: tuple[Place, Place]
    pending: tuple[Any, Any]

    def to_json(self) -> dict[str, Any]:
        """Lists and numbers only."""
        return {"places": [list(p) for p in self.places], "pending": list(self.pending)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> StreamPosition:
        """Inverts ``to_json``."""
        forward, backward = (Place(*place) for place in content["places"])
        return cls((forward, backward), (content["pending"][0], content["pending"][1]))


class TrainingStreams:
    """The forward and the backward lanes of a training run, shuffled independently.

    Args:
        corpus: to read.
        n_rows: N.
        n_steps: T.
        seed: decides every order.
        buffer_size: see ``ShuffledSentences``; each direction has its own buffer.
        position: to go on from.
    """

    def __init__(
        self,
        corpus: Corpus,
        n_rows: int,
        n_steps: int,
        seed: int,
        buffer_size: int = 200_000,
        position: StreamPosition | None = None,
    ) -> None:
        self._n_steps = n_steps
        self._sentences = [
            ShuffledSentences(
                corpus, (seed, number), buffer_size, position.places[number] if position else None
            )
            for number in range(2)
        ]
        self._lanes = [
            Lanes(
                self._sentences[number],
                n_rows,
                backward=bool(number),
                pending=position.pending[number] if position else None,
            )
            for number in range(2)
        ]

    def take(self) -> tuple[Taken, Taken]:
        """The next window of both directions."""
        forward, backward = (lanes.take(self._n_steps) for lanes in self._lanes)
        assert forward is not None and backward is not None  # the streams are endless
        return forward, backward

    @property
    def position(self) -> StreamPosition:
        """After the last window."""
        forward, backward = self._sentences
        pending = tuple([list(pair) for pair in lanes.pending] for lanes in self._lanes)
        return StreamPosition((forward.place, backward.place), (pending[0], pending[1]))
