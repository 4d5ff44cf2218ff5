"""The loss of the softmax over the vocabulary: in full, in full by chunks, and sampled.

``head`` is {"kernel": [V, P], "bias": [V]} everywhere. Losses are negative log-probabilities in
nats, float32, one per token. Negative samples follow TensorFlow's
``log_uniform_candidate_sampler`` with ``unique=True`` over a vocabulary sorted by frequency:
P(class) = (log(class + 2) - log(class + 1)) / log(V + 1). Classes are drawn until K are distinct,
and the number of draws says how often each class was to be expected.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..lanes.distinct_words import first_places
from ..model.parameters import Params
from ..model.precision import linear

_CHUNK_LOGITS = 2**25
"""Logits that evaluation holds at a time: 128 MiB of float32."""


class Candidates(NamedTuple):
    """The negative samples of a step."""

    classes: np.ndarray | jax.Array  # int32 [..., K], all different
    n_tries: np.ndarray | jax.Array  # float32 [...], the number of draws


def full_losses(
    head: Params, outputs_MP: jax.Array, targets_M: jax.Array, precision: str = "float32"
) -> jax.Array:
    """-log softmax(W h + b)[target]: [M, P], [M] -> [M]. It holds all M · V logits in memory."""
    logits_MV = linear(head["kernel"], outputs_MP, precision) + head["bias"][None]
    true_M = jnp.take_along_axis(logits_MV, targets_M[:, None], axis=1)[:, 0]
    return jax.nn.logsumexp(logits_MV, axis=1) - true_M


def chunked_losses(
    head: Params, outputs_MP: jax.Array, targets_M: jax.Array, precision: str = "float32"
) -> jax.Array:
    """``full_losses`` in bounded memory, in chunks of the vocabulary. For evaluation."""
    n_tokens, n_words = outputs_MP.shape[0], head["bias"].shape[0]
    size = min(n_words, max(1024, _CHUNK_LOGITS // n_tokens))

    def add(number: jax.Array, so_far: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        highest_M, total_M = so_far
        # The last chunk overlaps the one before it; the words of both count once.
        start = jnp.minimum(number * size, n_words - size)
        kernel, bias = (lax.dynamic_slice_in_dim(head[k], start, size) for k in ("kernel", "bias"))
        logits = linear(kernel, outputs_MP, precision) + bias[None]
        new = start + jnp.arange(size) >= number * size
        logits = jnp.where(new[None], logits, -jnp.inf)
        higher_M = jnp.maximum(highest_M, logits.max(axis=1))
        chunk_M = jnp.exp(logits - higher_M[:, None]).sum(axis=1)
        return higher_M, total_M * jnp.exp(highest_M - higher_M) + chunk_M

    lowest = jnp.full(n_tokens, -jnp.inf, outputs_MP.dtype)
    highest_M, total_M = lax.fori_loop(
        0, -(-n_words // size), add, (lowest, jnp.zeros_like(lowest))
    )
    true_M = _true_logits(head, outputs_MP, targets_M, precision)
    return highest_M + jnp.log(total_M) - true_M


def sampled_losses(
    head: Params,
    outputs_MP: jax.Array,
    targets_M: jax.Array,
    candidates: Candidates,
    precision: str = "float32",
) -> jax.Array:
    """Sampled softmax, as TensorFlow's ``sampled_softmax_loss``: [M, P], [M] -> [M].

    The log of its expected count is subtracted from each logit, and a sample that is the target
    itself is left out. All tokens have the same candidates. The loss is lower than the full one,
    so it does not measure perplexity.
    """
    n_words = head["bias"].shape[0]
    classes_K = jnp.asarray(candidates.classes)
    correction_K = head["bias"][classes_K] - log_expected_count(
        classes_K, candidates.n_tries, n_words
    )
    logits_MK = linear(head["kernel"][classes_K], outputs_MP, precision) + correction_K[None]
    hit_MK = targets_M[:, None] == classes_K[None]
    logits_MK = jnp.where(hit_MK, -jnp.inf, logits_MK)
    true_M = _true_logits(head, outputs_MP, targets_M, precision)
    true_M -= log_expected_count(targets_M, candidates.n_tries, n_words)
    others_M = jax.nn.logsumexp(logits_MK, axis=1)
    return jnp.logaddexp(true_M, others_M) - true_M


def _true_logits(
    head: Params, outputs_MP: jax.Array, targets_M: jax.Array, precision: str
) -> jax.Array:
    """W[target] · h + b[target], with the operands rounded as in all other logits."""
    operands = [outputs_MP, head["kernel"][targets_M]]
    if precision == "bfloat16":
        operands = [operand.astype(jnp.bfloat16).astype(np.float32) for operand in operands]
    return (operands[0] * operands[1]).sum(axis=1) + head["bias"][targets_M]


# Negative samples


def draw_candidates(rng: np.random.Generator, n_samples: int, n_classes: int) -> Candidates:
    """Draw K = ``n_samples`` distinct classes of V = ``n_classes``."""
    drawn = np.empty(0, np.int64)
    while True:
        uniform = rng.random(max(1024, 2 * n_samples, len(drawn)))
        new = np.exp(uniform * np.log(n_classes + 1)).astype(np.int64) - 1
        # Rounding may give V itself, which is not a class.
        drawn = np.concatenate([drawn, np.minimum(new, n_classes - 1)])
        first = first_places(drawn, n_classes)[:n_samples]
        if len(first) == n_samples:
            return Candidates(drawn[first].astype(np.int32), np.array(first[-1] + 1, np.float32))


def candidates_of_step(seed: int, step: int, n_samples: int, n_classes: int) -> Candidates:
    """The samples of both directions at one step: classes [2, K], tries [2].

    They depend on the arguments alone, so that a resumed run draws the same ones.
    """
    rng = np.random.default_rng([seed, step])
    drawn = [draw_candidates(rng, n_samples, n_classes) for _ in range(2)]
    return Candidates(*(np.stack(parts) for parts in zip(*drawn, strict=True)))


def log_expected_count(
    classes: jax.Array, n_tries: jax.Array | np.ndarray, n_classes: int
) -> jax.Array:
    """The log of the probability that a class is among the samples of ``n_tries`` draws."""
    probability = jnp.log1p(1 / (classes.astype(jnp.result_type(float)) + 1)) / np.log(
        n_classes + 1
    )
    return jnp.log(-jnp.expm1(n_tries * jnp.log1p(-probability)))
