"""A progress bar over tokens, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

Result = TypeVar("Result")


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


def with_progress(
    results: Iterable[Result], bar: Any, count_tokens: Callable[[Result], int]
) -> Iterator[Result]:
    """Pass results on. The bar moves once the consumer has dealt with a result."""
    for result in results:
        yield result
        bar.update(count_tokens(result))
