"""How far a run is, on stderr: tokens, tokens a second, and the time that is left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .writers import Results


@contextlib.contextmanager
def progress_bar(total: int, done: int, shown: bool, what: str | None = None) -> Iterator[Any]:
    """A bar over ``total`` tokens, ``done`` of which an earlier run has done.

    Args:
        total: all tokens.
        done: where it starts.
        shown: False for no bar; otherwise there is one if stderr is a terminal.
        what: is being done, if it is not embedding.
    """
    from tqdm import tqdm

    with tqdm(
        total=total,
        initial=done,
        desc=what,
        unit="token",
        unit_scale=True,
        disable=None if shown else True,
    ) as bar:
        yield bar


def advancing(results: Results, bar: Any) -> Results:
    """The results; the bar moves when one has been taken care of."""
    for record, vectors in results:
        yield record, vectors
        bar.update(len(record.words))
