"""Which layers a caller asked for, and pooling: a sentence's tokens as one vector."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ElmoError
from ..forking import check_process
from .config import POOLINGS, ElmoConfig

LAYER_NAMES = ("all", "average", "top", "mix")

Layers = str | SupportsIndex
"""What a user may give: one of LAYER_NAMES, or a layer's number."""


@dataclasses.dataclass(frozen=True)
class LayerSelection:
    """A resolved ``layers=``. Hashable: it decides what is compiled.

    Attributes:
        n_computed: how many layers have to be computed, from the token layer up.
        index: the only layer that is wanted, or None.
        weighted: whether the result is a weighted sum of the layers.

    With neither, all layers are wanted.
    """

    n_computed: int
    index: int | None = None
    weighted: bool = False

    @property
    def n_kept(self) -> int | None:
        """Size of the layer axis of a result, None where it has none."""
        return None if self.index is not None or self.weighted else self.n_computed

    def apply(self, layers: Sequence[jax.Array], shares_L: jax.Array, axis: int) -> jax.Array:
        """The result from the layers that were computed.

        Args:
            layers: ``n_computed`` arrays of one shape.
            shares_L: float32 [L], each layer's share of a weighted sum; else not looked at.
            axis: where the layer axis goes, if all layers are kept.
        """
        if self.index is not None:
            return layers[self.index]
        if self.weighted:
            total = shares_L[0] * layers[0]
            for share, layer in zip(shares_L[1:], layers[1:], strict=True):
                total += share * layer
            return total
        return jnp.stack(layers, axis)


def select_layers(
    layers: Layers,
    config: ElmoConfig,
    mix_weights: Any = None,
    mix_gamma: Any = 1.0,
) -> tuple[LayerSelection, jax.Array]:
    """Resolve ``layers=`` of the public functions.

    Args:
        layers: "all", "average", "top", "mix" or a layer's number; 0 is the token layer, and
            negative numbers count from the top.
        config: of the model.
        mix_weights: for "mix", L unnormalised weights, as a ``ScalarMix`` trains them.
        mix_gamma: for "mix", the scale.

    Returns:
        The selection, and the shares of a weighted sum, float32 [L].

    Raises:
        ElmoError: for an unknown name or number, weights that are missing or do not fit, or
            weights without "mix".
    """
    check_process()
    n_layers = config.n_output_layers
    selection, shares_L = LayerSelection(n_layers), jnp.full(n_layers, 1 / n_layers)
    if (mix_weights is not None) != (isinstance(layers, str) and layers == "mix"):
        raise ElmoError(
            f"layers='mix' and mix_weights belong together; got layers={layers!r} and "
            f"mix_weights={mix_weights!r}."
        )
    if not isinstance(layers, str):
        index = _layer_number(layers, n_layers)
        return LayerSelection(index + 1, index=index), shares_L
    if layers == "all":
        return selection, shares_L
    if layers == "top":
        return LayerSelection(n_layers, index=n_layers - 1), shares_L
    if layers == "average":
        return LayerSelection(n_layers, weighted=True), shares_L
    if layers == "mix":
        if np.shape(mix_weights) != (n_layers,):
            raise ElmoError(
                f"mix_weights has shape {np.shape(mix_weights)}, expected ({n_layers},): one "
                "weight for each layer, the token layer first."
            )
        if np.shape(mix_gamma) != ():
            raise ElmoError(f"mix_gamma has shape {np.shape(mix_gamma)}, expected a single number.")
        weights_L = jnp.asarray(mix_weights, jnp.float32)
        return LayerSelection(n_layers, weighted=True), mix_gamma * jax.nn.softmax(weights_L)
    raise ElmoError(_unknown(layers, n_layers))


def _layer_number(layers: Any, n_layers: int) -> int:
    try:
        index = operator.index(layers)
    except TypeError:
        index = n_layers
    if isinstance(layers, bool) or not -n_layers <= index < n_layers:
        raise ElmoError(_unknown(layers, n_layers))
    return index % n_layers


def _unknown(layers: Any, n_layers: int) -> str:
    is_number = isinstance(layers, SupportsIndex) and not isinstance(layers, bool)
    names = "" if is_number else f"one of {', '.join(map(repr, LAYER_NAMES))}, or "
    return (
        f"Unknown layers={layers!r}: expected {names}a number from 0 (the token layer) to "
        f"{n_layers - 1} (the top)."
    )


def check_pooling(pooling: str) -> None:
    """Raise ElmoError unless ``pooling`` is one of POOLINGS."""
    if pooling not in POOLINGS:
        raise ElmoError(
            f"Unknown pooling={pooling!r}: expected one of {', '.join(map(repr, POOLINGS))}."
        )


def pool(vectors_TD: jax.Array, length: jax.Array, pooling: str) -> jax.Array:
    """The first ``length`` tokens of one sentence as one vector; zeros if there are none.

    Args:
        vectors_TD: float32 [T, D].
        length: int, at most T.
        pooling: "mean" or "max".
    """
    real_T1 = (jnp.arange(vectors_TD.shape[0], dtype=jnp.int32) < length)[:, None]
    if pooling == "mean":
        n_tokens = jnp.maximum(length, 1).astype(vectors_TD.dtype)
        return jnp.where(real_T1, vectors_TD, 0).sum(axis=0) / n_tokens
    if not vectors_TD.shape[0]:
        return jnp.zeros(vectors_TD.shape[1:], vectors_TD.dtype)
    # By its place: the slope of max() goes to what equals it, which is nothing where the compiler
    # computes the vectors twice and rounds them otherwise.
    place_1D = jnp.where(real_T1, vectors_TD, -jnp.inf).argmax(axis=0)[None]
    most = jnp.take_along_axis(vectors_TD, place_1D, axis=0)[0]
    return jnp.where(length > 0, most, 0)
