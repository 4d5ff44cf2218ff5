"""Endless, shuffled, restartable streams of sentences.

A corpus may be larger than memory: the files are shuffled, and within them blocks of sentences
that fit a buffer. A place in the stream is four small numbers, so a run goes on from it by
reading one block again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import ElmoError
from .lanes import LanePair, Pending, Taken
from .lexicon import Lexicon
from .text_files import Corpus


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
        self._split = corpus.split
        # The place of the current block and that after it, without what was taken of a block.
        self._start = self._next = (place or Place())._replace(taken=0)
        self._reader = self._read_from(self._start)
        self._block: list[str] = []
        self._fill()
        self._taken = place.taken if place else 0

    @property
    def place(self) -> Place:
        """After the last sentence."""
        return self._start._replace(taken=self._taken)

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        if self._taken == len(self._block):
            self._fill()
        self._taken += 1
        return list(self._split(self._block[self._taken - 1]))

    def _fill(self) -> None:
        for _ in range(2):
            read = list(itertools.islice(self._reader, self._buffer_size))
            if read:
                self._start, self._taken = self._next, 0
                self._next = Place(self._start.epoch, *read[-1][:2])
                order = self._rng(*self._start[:3]).permutation(len(read))
                self._block = [read[i][2] for i in order]
                return
            # The pass over the corpus is complete.
            self._next = Place(epoch=self._next.epoch + 1)
            self._reader = self._read_from(self._next)
        raise ElmoError(f"No sentence in the training files, of which {self._corpus.files[0]}.")

    def _read_from(self, place: Place) -> Iterator[tuple[int, int, str]]:
        """The rest of a pass: each line, with its file and its number."""
        order = self._rng(place.epoch).permutation(len(self._corpus.files))
        for number in range(place.file, len(order)):
            skip = place.line if number == place.file else 0
            for line_number, line in self._corpus.lines(self._corpus.files[order[number]], skip):
                yield number, line_number, line

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([*self._seed, len(key), *key])


class StreamPosition(NamedTuple):
    """Where both directions' training streams are; ready for JSON."""

    places: tuple[Place, Place]
    pending: Sequence[Pending]

    def to_json(self) -> dict[str, Any]:
        """Lists, words and numbers only."""
        return {"places": [list(p) for p in self.places], "rows": list(self.pending)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> StreamPosition:
        """Inverts ``to_json``.

        Raises:
            ElmoError: for what an earlier version wrote.
        """
        if "rows" not in content:
            raise ElmoError(
                "It was written by an earlier version of elmo-jax, which kept the place in the "
                "text in another form. End the run with that version, or begin another one."
            )
        forward, backward = (Place(*place) for place in content["places"])
        return cls((forward, backward), content["rows"])


class TrainingStreams:
    """The forward and the backward lanes of a training run, shuffled independently.

    Args:
        corpus: to read.
        lexicon: for the words.
        n_rows: N.
        n_steps: T.
        seed: decides every order.
        buffer_size: see ``ShuffledSentences``; each direction has its own buffer.
        position: to go on from.
    """

    def __init__(
        self,
        corpus: Corpus,
        lexicon: Lexicon,
        n_rows: int,
        n_steps: int,
        seed: int,
        buffer_size: int = 200_000,
        position: StreamPosition | None = None,
    ) -> None:
        self.lexicon, self._n_steps = lexicon, n_steps
        places = position.places if position else (None, None)
        forward, backward = (
            ShuffledSentences(corpus, (seed, number), buffer_size, place)
            for number, place in enumerate(places)
        )
        self._sentences = forward, backward
        pending = position.pending if position else None
        self._lanes = LanePair(self._sentences, n_rows, lexicon, pending)

    def take(self) -> tuple[Taken, Taken]:
        """The next window of both directions."""
        taken = self._lanes.take(self._n_steps)
        assert taken is not None  # the streams are endless
        return taken

    @property
    def position(self) -> StreamPosition:
        """After the last window."""
        forward, backward = self._sentences
        return StreamPosition((forward.place, backward.place), self._lanes.pending)
