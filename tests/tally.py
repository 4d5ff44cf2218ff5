"""Counting how attacks end: with the right result, with an error, or with a wrong result.

`python -m benchmarks attacks` collects them: each tally adds a line of JSON to the file that
ELMO_JAX_TALLIES names. With `pytest -s` each also prints the line.
"""

import json
import os
from pathlib import Path

_FILE = os.environ.get("ELMO_JAX_TALLIES")


def attempts(n):
    """``n``, where attacks are counted; elsewhere a fifth, so that the slow tests stay short."""
    return n if _FILE else max(1, n // 5)


class Tally:
    """How often one kind of attack ended in which way.

    Leaving the ``with`` block fails the test if any result was wrong, or if nothing was tried.

    >>> with Tally("a flipped bit in a part") as tally:
    ...     tally.right()
    ...     tally.refused()
    """

    def __init__(self, kind):
        self.kind, self.n_right, self.n_refused, self.wrong_ones = kind, 0, 0, []

    def right(self):
        """The result was that of an undisturbed run, bit for bit or within a named tolerance."""
        self.n_right += 1

    def refused(self):
        """There was no result, but a clear error."""
        self.n_refused += 1

    def wrong(self, what):
        """There was a wrong result, a crash or a fault of the program; ``what`` repeats it."""
        self.wrong_ones.append(what)

    @property
    def counts(self):
        n_wrong = len(self.wrong_ones)
        tried = self.n_right + self.n_refused + n_wrong
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]  # without " (call)"
        return {
            "kind": self.kind,
            "test": test,
            "tried": tried,
            "right": self.n_right,
            "refused": self.n_refused,
            "wrong": n_wrong,
        }

    def __enter__(self):
        return self

    def __exit__(self, error_type, *_):
        if error_type is not None:
            return
        line = json.dumps(self.counts)
        print(line)
        if path := os.environ.get("ELMO_JAX_TALLIES"):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        assert self.counts["tried"], f"{self.kind}: nothing was tried"
        assert not self.wrong_ones, f"{self.kind}: wrong: {self.wrong_ones[:5]}"
