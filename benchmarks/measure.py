"""Timing that can be compared: interleaved calls, medians, ratios pair by pair.

A machine is not equally fast all the time. So systems are timed in turn, A B A B, in one run, and
a ratio is taken within each round: what slows the machine for a while slows both sides of it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from elmo_jax import ElmoError


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far outputs may differ from the peer's before a timing would compare unlike things.

    Attributes:
        name: of the tolerance, for messages.
        largest: the largest absolute difference of a number.
        share: of the numbers that must be within it.
        reason: why it is not zero.
    """

    name: str
    largest: float
    share: float
    reason: str


SUMS = Tolerance(
    "sums in another order",
    largest=1e-4,
    share=1.0,
    reason="float32 products of up to 4096 terms, summed in another order, through two LSTM "
    "layers and up to a sentence of steps; the values themselves are of size 1.",
)


def assert_equal(
    name: str, found: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: Tolerance
) -> float:
    """The largest difference between two systems' vectors of the same sentences.

    Args:
        name: of the system that is held against the expected vectors.
        found: float32 [L, T, D] a sentence.
        expected: the same.
        tolerance: how far they may differ.

    Raises:
        ElmoError: if they differ by more, in number or in shape. Nothing is timed then.
    """
    shapes = [array.shape for array in found], [array.shape for array in expected]
    if shapes[0] != shapes[1]:
        raise ElmoError(
            f"{name} gives vectors of other shapes: expected {shapes[1][:3]}…, got "
            f"{shapes[0][:3]}… ({len(found)} of {len(expected)} sentences). Nothing was timed."
        )
    differences = np.concatenate(
        [np.abs(a - b).ravel() for a, b in zip(found, expected, strict=True)]
    )
    within = float((differences <= tolerance.largest).mean())  # NaN is not within anything
    if within < tolerance.share:
        raise ElmoError(
            f"{name} does not compute the same: {within:.2%} of its numbers are within "
            f'{tolerance.largest:g} ("{tolerance.name}"), expected {tolerance.share:.0%}; the '
            f"largest difference is {differences.max():.3g}. Nothing was timed."
        )
    return float(differences.max())


@dataclasses.dataclass(frozen=True)
class Spread:
    """Of several samples: the median, and the 10th and 90th percentile."""

    median: float
    p10: float
    p90: float
    n: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Take it of at least one sample."""
        low, middle, high = np.percentile(np.asarray(samples, np.float64), [10, 50, 90])
        return cls(float(middle), float(low), float(high), len(samples))

    def json(self) -> dict[str, float]:
        """Four significant digits, ready for JSON."""
        return {
            key: value if isinstance(value, int) else float(f"{value:.4g}")
            for key, value in dataclasses.asdict(self).items()
        }


PAUSE = 0.25
"""Seconds before a call: threads of the system before spin for up to 0.2 s after their work."""


def interleave(
    calls: Mapping[str, Callable[[], float]],
    rounds: int,
    *,
    pause: float = PAUSE,
    note: Callable[[str, int, float], None] | None = None,
) -> dict[str, list[float]]:
    """Call each in turn, ``rounds`` times: A B C A B C.

    Args:
        calls: what gives the seconds of one sample; warm already.
        rounds: how many samples of each.
        pause: seconds before each call.
        note: is told (name, round, seconds) of each.
    """
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name, call in calls.items():
            time.sleep(pause)
            samples[name].append(call())
            if note:
                note(name, number, samples[name][-1])
    return samples


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """The spread of the ratio of two systems, taken within each round."""
    return Spread.of([a / b for a, b in zip(numerators, denominators, strict=True)])


def timed(function: Callable[[], Any]) -> float:
    """Seconds until what ``function`` gives is there, on the device too."""
    import jax

    started = time.perf_counter()
    jax.block_until_ready(function())  # type: ignore[no-untyped-call]
    return time.perf_counter() - started
