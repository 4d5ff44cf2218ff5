"""Stream: the results of a run, one by one, which never end early without an error."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from ..errors import ElmoError
from .outputs import check_float16


class Stream(Iterator[np.ndarray]):
    """The results of a generator, one for each sentence.

    A generator that an interrupt or an error came out of is at its end. A caller who goes on with
    it would have too few results, and not know; or, if the interrupt came when a result was on its
    way, all later ones in the wrong place. So this raises an error instead.
    """

    def __init__(self, results: Generator[np.ndarray, None, None]) -> None:
        self._results, self._is_whole = results, True

    def __next__(self) -> np.ndarray:
        if not self._is_whole:
            raise ElmoError(
                "This stream has ended early, since an error or an interrupt came out of it, or "
                "another thread is taking a result of it. Results may be missing: start again with "
                "a new stream."
            )
        # False before the generator runs, and true after it, so that no interrupt is missed.
        self._is_whole = False
        result = next(self._results, None)
        if result is not None:
            check_float16(result, "the next sentence")  # its number may be another to the caller
        self._is_whole = True
        if result is None:
            raise StopIteration
        return result

    def close(self) -> None:
        """End the stream here; it then gives no more results."""
        self._results.close()
