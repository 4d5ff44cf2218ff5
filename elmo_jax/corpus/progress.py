"""A progress bar over tokens, on stderr."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .writers import RecordVectors


@contextlib.contextmanager
def progress_bar(
    total: int, done: int, shown: bool, description: str | None = None
) -> Iterator[Any]:
    """A bar over ``total`` tokens; ``done`` of them were embedded by an earlier run.

    There is no bar if ``shown`` is False or stderr is not a terminal.
    """
    from tqdm import tqdm

    with tqdm(
        total=total,
        initial=done,
        desc=description,
        unit="token",
        unit_scale=True,
        disable=None if shown else True,  # None: tqdm looks whether stderr is a terminal
    ) as bar:
        yield bar


def with_progress(results: RecordVectors, bar: Any) -> RecordVectors:
    """Pass results on. The bar moves once the consumer has dealt with a result."""
    for record, vectors in results:
        yield record, vectors
        bar.update(len(record.words))
