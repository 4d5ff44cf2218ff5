"""A progress bar over tokens, on stderr."""

from __future__ import annotations

from typing import Any

from .writers import RecordVectors


def progress_bar(total: int, done: int, shown: bool, description: str | None = None) -> Any:
    """A bar over ``total`` tokens, for a ``with`` statement; an earlier run embedded ``done``."""
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=done,
        desc=description,
        unit="token",
        unit_scale=True,
        disable=None if shown else True,  # None: tqdm looks whether stderr is a terminal
    )


def with_progress(results: RecordVectors, bar: Any) -> RecordVectors:
    """Pass results on. The bar moves once the consumer has dealt with a result."""
    for record, vectors in results:
        yield record, vectors
        bar.update(len(record.words))
