"""Linear probes: a softmax over one layer, or over a trained scalar mix of all layers.

Each dimension of each layer is scaled to mean 0 and variance 1 first, so that no layer has an
advantage of scale. The mix is whitened before the softmax: that is a change of coordinates, which
leaves the probe linear, but without it the dimensions go together so much that a few passes of
Adam stop points short of the optimum. A probe is trained with several strengths of the L2 penalty
at once; the task chooses among them on dev.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from elmo_jax import ScalarMix

_CHUNK = 8192  # rows at a time where they are converted
_FLOOR = 1e-4  # of a direction's variance, where a single dimension's is 1


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a probe is trained: Adam, with a learning rate that falls to 0 on a straight line.

    Attributes:
        penalties: K weights of half the squared norm of the probe's matrix, beside the mean
            cross-entropy: a probe is trained with each.
        epochs: passes over the training data.
        batch_size: rows of one step.
        learning_rate: of the first step.
        seed: of the order of rows.
    """

    penalties: tuple[float, ...]
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int = 0


TOKENS = Recipe(penalties=(1e-5, 1e-4, 1e-3), epochs=8, batch_size=512, learning_rate=2e-2)
SENTENCES = Recipe(penalties=(1e-3, 1e-2, 1e-1, 1.0), epochs=30, batch_size=256, learning_rate=1e-2)


class Scaling(NamedTuple):
    """What is done to vectors before they are mixed, and to the mix; constants, from train.

    Attributes:
        mean_LD: the mean of each dimension.
        scale_LD: 1 / its standard deviation.
        whitening_DD: from the mix to coordinates that are uncorrelated and of variance 1, for a
            mix of equal shares.
    """

    mean_LD: np.ndarray
    scale_LD: np.ndarray
    whitening_DD: np.ndarray


class _Probe(nn.Module):
    n_classes: int

    @nn.compact
    def __call__(self, vectors_BLD: jax.Array, scaling: Scaling) -> jax.Array:
        """Logits [B, n_classes]; with a single layer there is nothing to mix."""
        layers_BLD = vectors_BLD.astype(jnp.float32) - scaling.mean_LD[None]
        layers_BLD = layers_BLD * scaling.scale_LD[None]
        if layers_BLD.shape[1] == 1:
            mixed_BD = layers_BLD[:, 0]
        else:
            mixed_BD = ScalarMix(name="mix")(layers_BLD.swapaxes(0, 1)[None])[0]
        zeros = nn.initializers.zeros
        linear = nn.Dense(self.n_classes, kernel_init=zeros, name="linear")
        return linear(mixed_BD @ scaling.whitening_DD)


@dataclasses.dataclass(frozen=True)
class TrainedProbes:
    """K probes of the same input.

    Attributes:
        params: of all K, stacked.
        scaling: of the input.
        n_classes: of the labels.
    """

    params: Any
    scaling: Scaling
    n_classes: int

    def predict(self, vectors_NLD: np.ndarray) -> np.ndarray:
        """The class of each row, after each of the K probes: int [K, N]."""
        chunks = [
            np.asarray(_classes(self.params, part, self.scaling, self.n_classes))
            for part in _chunks(vectors_NLD)
        ]
        return np.concatenate(chunks, axis=1)

    def shares(self) -> np.ndarray | None:
        """The mixes' softmax weights, float [K, L], or None if nothing was mixed."""
        mix = self.params.get("mix")
        return None if mix is None else np.asarray(nn.softmax(mix["weights"], axis=-1))


def train(
    vectors_NLD: np.ndarray, labels_N: np.ndarray, n_classes: int, recipe: Recipe
) -> TrainedProbes:
    """Train a probe with each penalty of the recipe.

    Args:
        vectors_NLD: float [N, L, D]; one layer to probe it, more to train a mix of them.
        labels_N: int [N], from 0.
        n_classes: how many labels there are.
        recipe: see ``Recipe``.
    """
    scaling = _scaling(vectors_NLD)
    order_SB = _order(len(vectors_NLD), recipe)
    one_LD = jnp.zeros((1, *vectors_NLD.shape[1:]))
    params = _Probe(n_classes).init(jax.random.key(0), one_LD, scaling)["params"]
    params = jax.tree.map(lambda leaf: jnp.stack([leaf] * len(recipe.penalties)), params)
    labels = jnp.asarray(labels_N, jnp.int32)
    params = _train(params, jnp.asarray(vectors_NLD), labels, order_SB, scaling, n_classes, recipe)
    return TrainedProbes(params, scaling, n_classes)


def _order(n_rows: int, recipe: Recipe) -> np.ndarray:
    """The rows of each step, int32 [steps, B]: each epoch a new order, its rest left out."""
    rng = np.random.default_rng(recipe.seed)
    n_batch = min(recipe.batch_size, n_rows)
    n_used = n_rows - n_rows % n_batch
    epochs = [rng.permutation(n_rows)[:n_used] for _ in range(recipe.epochs)]
    return np.concatenate(epochs).reshape(-1, n_batch).astype(np.int32)


@functools.partial(jax.jit, static_argnames=("n_classes", "recipe"))
def _train(
    params: Any,
    vectors_NLD: jax.Array,
    labels_N: jax.Array,
    order_SB: jax.Array,
    scaling: Scaling,
    n_classes: int,
    recipe: Recipe,
) -> Any:
    """All steps of the K probes, which see the same batches."""
    schedule = optax.linear_schedule(recipe.learning_rate, 0.0, order_SB.shape[0])
    optimizer = optax.adam(schedule)
    penalties_K = jnp.array(recipe.penalties, jnp.float32)

    def loss(params: Any, penalty: jax.Array, vectors_BLD: jax.Array, labels_B: jax.Array) -> Any:
        logits = _Probe(n_classes).apply({"params": params}, vectors_BLD, scaling)
        wrong = optax.softmax_cross_entropy_with_integer_labels(logits, labels_B).mean()
        return wrong + penalty / 2 * jnp.square(params["linear"]["kernel"]).sum()

    def update(params: Any, state: Any, penalty: Any, vectors_BLD: Any, labels_B: Any) -> Any:
        gradients = jax.grad(loss)(params, penalty, vectors_BLD, labels_B)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    update_all = jax.vmap(update, (0, 0, 0, None, None))

    def step(carry: Any, rows_B: jax.Array) -> Any:
        params, state = carry
        vectors_BLD, labels_B = vectors_NLD[rows_B], labels_N[rows_B]
        return update_all(params, state, penalties_K, vectors_BLD, labels_B), None

    (params, _), _ = jax.lax.scan(step, (params, jax.vmap(optimizer.init)(params)), order_SB)
    return params


@functools.partial(jax.jit, static_argnames="n_classes")
def _classes(params: Any, vectors_BLD: jax.Array, scaling: Scaling, n_classes: int) -> jax.Array:
    probe = _Probe(n_classes)
    logits: Any = jax.vmap(lambda one: probe.apply({"params": one}, vectors_BLD, scaling))(params)
    return jnp.argmax(logits, axis=-1)


def _scaling(vectors_NLD: np.ndarray) -> Scaling:
    """Moments over rows, in double precision, a part of the rows at a time."""
    n_rows = len(vectors_NLD)
    mean_LD = sum(part.sum(0, dtype=np.float64) for part in _chunks(vectors_NLD)) / n_rows
    squares = (np.square(part.astype(np.float64) - mean_LD).sum(0) for part in _chunks(vectors_NLD))
    scale_LD = 1 / np.maximum(np.sqrt(sum(squares) / n_rows), 1e-6)
    averages = (
        ((part.astype(np.float64) - mean_LD) * scale_LD).mean(1) for part in _chunks(vectors_NLD)
    )
    variances, axes = np.linalg.eigh(sum(part.T @ part for part in averages) / n_rows)
    # Nearly empty directions hold rounding noise, which must not be blown up.
    whitening_DD = axes / np.sqrt(np.maximum(variances, 0) + _FLOOR)
    return Scaling(*(np.asarray(x, np.float32) for x in (mean_LD, scale_LD, whitening_DD)))


def _chunks(vectors_NLD: np.ndarray) -> Iterator[np.ndarray]:
    yield from (vectors_NLD[i : i + _CHUNK] for i in range(0, len(vectors_NLD), _CHUNK))
