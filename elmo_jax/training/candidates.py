"""Negative samples: unique draws from a log-uniform distribution over a sorted vocabulary.

P(class) = (log(class + 2) - log(class + 1)) / log(V + 1), as TensorFlow's
``log_uniform_candidate_sampler`` with ``unique=True``: classes are drawn until there are K distinct
ones, and the number of draws says how often each class was to be expected.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Candidates(NamedTuple):
    """The negative samples of a step.

    Attributes:
        classes: int32 [..., K], all different.
        n_tries: float32 [...], the number of draws.
    """

    classes: np.ndarray | jax.Array
    n_tries: np.ndarray | jax.Array


def sample(rng: np.random.Generator, n_samples: int, n_classes: int) -> Candidates:
    """Draw K = ``n_samples`` distinct classes of V = ``n_classes``."""
    drawn = np.empty(0, np.int64)
    while True:
        uniform = rng.random(max(1024, 2 * n_samples, len(drawn)))
        new = np.exp(uniform * np.log(n_classes + 1)).astype(np.int64) - 1
        # Rounding may give V itself, which is not a class.
        drawn = np.concatenate([drawn, np.minimum(new, n_classes - 1)])
        first = _first_draws(drawn, n_classes)[:n_samples]
        if len(first) == n_samples:
            return Candidates(drawn[first].astype(np.int32), np.array(first[-1] + 1, np.float32))


def _first_draws(drawn: np.ndarray, n_classes: int) -> np.ndarray:
    """The index of the first draw of each class that was drawn, rising; without sorting."""
    index = np.arange(len(drawn))
    first_draw = np.full(n_classes, len(drawn))
    # Where a class is written several times, the last write stays: that of its first draw.
    first_draw[drawn[::-1]] = index[::-1]
    return np.flatnonzero(first_draw[drawn] == index)


def sample_both(seed: int, step: int, n_samples: int, n_classes: int) -> Candidates:
    """The samples of both directions at one step: classes [2, K], tries [2].

    They depend on the arguments alone, so that a resumed run draws the same ones.
    """
    rng = np.random.default_rng([seed, step])
    drawn = [sample(rng, n_samples, n_classes) for _ in range(2)]
    return Candidates(*(np.stack(parts) for parts in zip(*drawn, strict=True)))


def log_expected_count(
    classes: jax.Array, n_tries: jax.Array | np.ndarray, n_classes: int
) -> jax.Array:
    """The log of the probability that a class is among the samples of ``n_tries`` draws."""
    probability = jnp.log1p(1 / (classes.astype(jnp.result_type(float)) + 1)) / np.log(
        n_classes + 1
    )
    return jnp.log(-jnp.expm1(n_tries * jnp.log1p(-probability)))
