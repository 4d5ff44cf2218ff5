"""The layers that a user asks for, and pooling: one vector for the tokens of a sentence."""

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
"""``layers=`` as users type it: one of LAYER_NAMES, or the number of a layer."""


@dataclasses.dataclass(frozen=True)
class LayerSelection:
    """A resolved ``layers=``. It is hashable because it decides what is compiled."""

    n_computed: int  # layers to compute, from the token layer up
    index: int | None = None  # the only layer that is wanted
    weighted: bool = False  # a weighted sum; all layers are wanted if there is no index either

    @property
    def n_result_layers(self) -> int | None:
        """The size of the layer axis of a result, or None if it has no such axis."""
        return None if self.index is not None or self.weighted else self.n_computed

    def apply(
        self, layers: Sequence[jax.Array], layer_weights_L: jax.Array, axis: int
    ) -> jax.Array:
        """The result, from ``n_computed`` layers; a layer axis, if it has one, goes to ``axis``."""
        if self.index is not None:
            return layers[self.index]
        if self.weighted:
            total = layer_weights_L[0] * layers[0]
            for weight, layer in zip(layer_weights_L[1:], layers[1:], strict=True):
                total += weight * layer
            return total
        return jnp.stack(layers, axis)


def select_layers(
    layers: Layers, config: ElmoConfig, mix_weights: Any = None, mix_gamma: Any = 1.0
) -> tuple[LayerSelection, jax.Array]:
    """Resolve ``layers=`` of the public functions, where negative numbers count from the top.

    With the selection come the factors of a weighted sum, float32 [L].
    """
    check_process()
    n_layers = config.n_output_layers
    layer_weights_L = jnp.full(n_layers, 1 / n_layers)
    if (mix_weights is not None) != (isinstance(layers, str) and layers == "mix"):
        raise ElmoError(
            f"layers='mix' and mix_weights belong together; got layers={layers!r} and "
            f"mix_weights={mix_weights!r}."
        )
    if not isinstance(layers, str):
        index = _layer_number(layers, n_layers)
        return LayerSelection(index + 1, index=index), layer_weights_L
    if layers == "all":
        return LayerSelection(n_layers), layer_weights_L
    if layers == "top":
        return LayerSelection(n_layers, index=n_layers - 1), layer_weights_L
    if layers == "average":
        return LayerSelection(n_layers, weighted=True), layer_weights_L
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
    raise ElmoError(_unknown_layers(layers, n_layers))


def _layer_number(layers: Any, n_layers: int) -> int:
    try:
        index = operator.index(layers)
    except TypeError:
        index = n_layers
    if isinstance(layers, bool) or not -n_layers <= index < n_layers:
        raise ElmoError(_unknown_layers(layers, n_layers))
    return index % n_layers


def _unknown_layers(layers: Any, n_layers: int) -> str:
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
    """The first ``length`` tokens of one sentence as one vector [D]; zeros if there are none."""
    real_T1 = (jnp.arange(vectors_TD.shape[0], dtype=jnp.int32) < length)[:, None]
    if pooling == "mean":
        n_tokens = jnp.maximum(length, 1).astype(vectors_TD.dtype)
        return jnp.where(real_T1, vectors_TD, 0).sum(axis=0) / n_tokens
    if not vectors_TD.shape[0]:
        return jnp.zeros(vectors_TD.shape[1:], vectors_TD.dtype)
    # By its index: the gradient of max() goes to the elements that equal the maximum. There may be
    # none, if the compiler computes the vectors twice and rounds them differently.
    index_1D = jnp.where(real_T1, vectors_TD, -jnp.inf).argmax(axis=0)[None]
    maximum_D = jnp.take_along_axis(vectors_TD, index_1D, axis=0)[0]
    return jnp.where(length > 0, maximum_D, 0)
