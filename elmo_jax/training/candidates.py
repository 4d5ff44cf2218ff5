"""Negative samples: unique draws from a log-uniform distribution over a sorted vocabulary.

P(class) = (log(class + 2) - log(class + 1)) / log(V + 1), as TensorFlow's
``log_uniform_candidate_sampler`` with ``unique=True``: classes are drawn until K distinct ones
are there, and the number of draws decides how often each class was to be expected.
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
        n_tries: float32 [...], how many draws it took.
    """

    classes: np.ndarray | jax.Array
    n_tries: np.ndarray | jax.Array


def sample(rng: np.random.Generator, n_samples: int, n_classes: int) -> Candidates:
    """Draw K = ``n_samples`` distinct classes of V = ``n_classes``."""
    drawn = np.empty(0, np.int64)
    while True:
        uniform = rng.random(max(1024, 2 * n_samples, len(drawn)))
        new = np.exp(uniform * np.log(n_classes + 1)).astype(np.int64) - 1
        # Rounding may give the bound itself, which is no class.
        drawn = np.concatenate([drawn, np.minimum(new, n_classes - 1)])
        first = _first_places(drawn, n_classes)
        if len(first) >= n_samples:
            kept = first[:n_samples]
            return Candidates(drawn[kept].astype(np.int32), np.array(kept[-1] + 1, np.float32))


def _first_places(drawn: np.ndarray, n_classes: int) -> np.ndarray:
    """Where each class that was drawn comes first, in rising order; without sorting the draws."""
    places = np.full(n_classes, len(drawn))
    # Of places that are written several times, the last write stays: that of the first draw.
    places[drawn[::-1]] = np.arange(len(drawn))[::-1]
    is_first = places[drawn] == np.arange(len(drawn))
    return np.flatnonzero(is_first)


def sample_both(seed: int, step: int, n_samples: int, n_classes: int) -> Candidates:
    """The samples of both directions at one step: classes [2, K], tries [2].

    They follow from the arguments alone, so that a resumed run draws the same.
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
