"""Timing that can be compared: equal first, then systems take turns.

A machine is not equally fast all the time. So systems are timed A B A B in one run, and a ratio is
taken within each round: what slows the machine for a while slows both sides of it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from elmo_jax import ElmoError

Sample = TypeVar("Sample")


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far numbers may differ: a ``share`` of them by ``largest`` at most, the others more."""

    name: str
    largest: float
    share: float


# float32 products of up to 4096 terms, through two LSTM layers and up to a sentence of steps; the
# values themselves are of size 1.
SUMS = Tolerance("sums in another order", largest=1e-4, share=1.0)


def assert_equal(
    name: str, actual: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: Tolerance
) -> float:
    """The largest difference between two systems' vectors, float32 [L, T, D] for each sentence.

    Raises:
        ElmoError: if they differ by more than the tolerance, in number or in shape.
    """
    shapes = [array.shape for array in actual], [array.shape for array in expected]
    if shapes[0] != shapes[1]:
        raise ElmoError(
            f"{name} gives vectors of other shapes: expected {shapes[1][:3]}…, got "
            f"{shapes[0][:3]}… ({len(actual)} of {len(expected)} sentences). Nothing was timed."
        )
    differences = np.concatenate(
        [np.abs(a - b).ravel() for a, b in zip(actual, expected, strict=True)]
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
    """The median of several samples, and their 10th and 90th percentile."""

    median: float
    p10: float
    p90: float
    n: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        low, middle, high = np.percentile(np.asarray(samples, np.float64), [10, 50, 90])
        return cls(float(middle), float(low), float(high), len(samples))

    def json(self) -> dict[str, float]:
        """Four significant digits, ready for JSON."""
        percentiles = {"median": self.median, "p10": self.p10, "p90": self.p90}
        return {**{key: float(f"{x:.4g}") for key, x in percentiles.items()}, "n": self.n}


PAUSE = 0.25
"""Seconds before a call: after their work, some systems' threads spin for up to 0.2 s."""


def interleave(
    calls: Mapping[str, Callable[[], Sample]], rounds: int, *, pause: float = PAUSE
) -> dict[str, list[Sample]]:
    """Call each in turn, A B C A B C; a call is warm already, and returns the seconds it took."""
    samples: dict[str, list[Sample]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            time.sleep(pause)
            samples[name].append(call())
    return samples


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """The spread of the ratio of two systems, taken within each round."""
    return Spread.of([a / b for a, b in zip(numerators, denominators, strict=True)])


def compare_rates(
    seconds: Mapping[str, Sequence[float]], n_tokens: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """Each system's tokens a second, and how many times faster the first one, elmo-jax, is."""
    rates = {name: [n_tokens[name] / s for s in samples] for name, samples in seconds.items()}
    own = next(iter(rates.values()))
    return {
        name: {
            "tokens_per_second": Spread.of(samples).json(),
            "elmo_jax_times_faster": ratios(own, samples).json(),
        }
        for name, samples in rates.items()
    }


def timed(function: Callable[[], Any]) -> float:
    """Seconds until the result of ``function`` is there, on the device too."""
    import jax

    started = time.perf_counter()
    jax.block_until_ready(function())  # type: ignore[no-untyped-call]
    return time.perf_counter() - started
