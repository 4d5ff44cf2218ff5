"""The windows of a run, in the shapes that all of its processes need.

Each process reads its own rows and meets other words, but a compiled step has one shape. So the
processes agree on the most words that any of them has to spell. None may wait for the others to do
so: each prepares its windows some steps ahead, and the sizes of the newest travel with the step.
"""

from __future__ import annotations

import collections

from ..processes import Processes
from .streams import Mark, TrainingStreams
from .windows import Sizes, Window, assemble, widened


class WindowFeed:
    """The windows of a process's rows, in the order of the run.

    With several processes, ``n_ahead`` windows are prepared before they are needed. After each
    ``take``, ``newest_sizes`` must be told to the others, and the largest of all given to
    ``agree``, before ``n_ahead`` further windows are taken.

    Attributes:
        mark: where the streams are after the last window that was taken.
        failure: why no further window could be prepared. Those before it can still be taken, so
            that all processes stop at the same step.
    """

    def __init__(
        self, streams: TrainingStreams, processes: Processes, n_devices: int, n_ahead: int
    ) -> None:
        self._streams, self._processes = streams, processes
        self._multiple = n_devices // processes.count  # each device spells as many words
        self.mark = streams.mark
        self.failure: Exception | None = None
        self._ready: collections.deque[tuple[Window, Mark]] = collections.deque()
        self._agreed: collections.deque[Sizes] = collections.deque()
        self.newest_sizes = Sizes(0, 0)
        if not processes.is_alone:
            with processes.together():
                own_sizes = [self._prepare() for _ in range(n_ahead)]
            for sizes in zip(*processes.gather(own_sizes), strict=True):
                self.agree(Sizes(*map(max, zip(*sizes, strict=True))))

    def take(self) -> Window:
        """The part of the next window that is this process's."""
        if self._processes.is_alone:
            self._prepare()
        elif self.failure is None:
            try:
                self.newest_sizes = self._prepare()
            except Exception as error:
                self.failure, self.newest_sizes = error, Sizes(0, 0)
        window, self.mark = self._ready.popleft()
        if self._processes.is_alone:
            return window
        sizes = self._agreed.popleft()
        return widened(window, sizes, self._processes.index, self._processes.count)

    def agree(self, sizes: Sizes) -> None:
        """Take in the sizes, of all processes, of the first window that has none yet."""
        self._agreed.append(sizes)

    def _prepare(self) -> Sizes:
        window = assemble(self._streams.take(), self._streams.lexicon, self._multiple)
        self._ready.append((window, self._streams.mark))
        return Sizes.of(window)
