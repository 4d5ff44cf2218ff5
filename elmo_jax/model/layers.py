"""The layers that a user asks for, and pooling: one vector for the tokens of a sentence.

A model may have layers of its own beside those of the biLM, where a task has trained them: scalar
mixes, a projection after a mix, and alignments, which map the vectors of a layer into the space of
another language. ``parameters.extra_datasets`` says where they are.
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ElmoError, did_you_mean, shortened
from ..forking import check_process
from .arrays import check_finite, finite_floats
from .config import POOLINGS, ElmoConfig, check_config
from .parameters import Params
from .precision import linear

LAYER_NAMES = ("all", "average", "top", "mix")

Layers = str | SupportsIndex
"""``layers=`` as users type it: one of LAYER_NAMES, or the number of a layer."""


class LayerSelection(NamedTuple):
    """A resolved ``layers=``. It is hashable because it decides what is compiled.

    A tuple, because JAX compares it in each call: were that Python code, an interrupt in it would
    come out of JAX as a ValueError.
    """

    n_computed: int  # layers to compute, from the token layer up
    index: int | None = None  # type: ignore[assignment]  # the only layer that is wanted
    weighted: bool = False  # a weighted sum; all layers are wanted if there is no index either
    projected: bool = False  # whether the model's output projection follows the weighted sum

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
    layers: Layers,
    config: ElmoConfig,
    mix_weights: Any = None,
    mix_gamma: Any = 1.0,
    params: Params | None = None,
) -> tuple[LayerSelection, jax.Array]:
    """Resolve ``layers=`` of the public functions, where negative numbers count from the top.

    Without ``mix_weights``, or with the number of a mix, "mix" is one that ``params`` have, and the
    projection that follows it if there is one. With the selection come the factors of a weighted
    sum, float32 [L].
    """
    check_process()
    check_config(config)
    n_layers = config.n_output_layers
    layer_weights_L = jnp.full(n_layers, 1 / n_layers)
    is_mix = isinstance(layers, str) and layers == "mix"
    if not is_mix:
        _refuse_mix(layers, "mix_weights", mix_weights, None)
        _refuse_mix(layers, "mix_gamma", mix_gamma, 1.0)
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
        return _select_mix(config, mix_weights, mix_gamma, params or {})
    raise ElmoError(_unknown_layers(layers, n_layers))


def _refuse_mix(layers: Layers, name: str, value: Any, default: float | None) -> None:
    is_default = value is default or (isinstance(value, numbers.Real) and value == default)
    if not is_default:
        raise ElmoError(
            f"mix_weights and mix_gamma belong to layers='mix'; got layers={shortened(layers)} and "
            f"{name}={shortened(value)}."
        )


def _select_mix(
    config: ElmoConfig, mix_weights: Any, mix_gamma: Any, params: Params
) -> tuple[LayerSelection, jax.Array]:
    n_layers = config.n_output_layers
    gamma = jnp.asarray(finite_floats(mix_gamma, "mix_gamma", ()), np.float32)
    selection = LayerSelection(n_layers, weighted=True)
    name = "mix_weights"
    if mix_weights is None or _is_number(mix_weights):
        mix = _own_mix(params, mix_weights)
        name, mix_weights = "the weights of the model's mix", mix["weights"]
        own_gamma = finite_floats(mix["gamma"], "the gamma of the model's mix", ())
        gamma = gamma * jnp.asarray(own_gamma, np.float32)
        check_finite(gamma, "mix_gamma times the gamma of the model's mix")
        selection = selection._replace(projected="output_projection" in params)
    meaning = "one weight for each layer, the token layer first"
    weights_L = jnp.asarray(finite_floats(mix_weights, name, (n_layers,), meaning), np.float32)
    return selection, gamma * jax.nn.softmax(weights_L)


def _is_number(mix_weights: Any) -> bool:
    is_whole = hasattr(mix_weights, "__index__") and not isinstance(mix_weights, bool)
    return is_whole and np.ndim(mix_weights) == 0


def _own_mix(params: Params, number: Any) -> Params:
    """The scalar mix with this number, or the only one."""
    mixes = params.get("scalar_mixes", {})
    if not mixes:
        raise ElmoError(
            "This model has no scalar mix of its own: give the weights of layers='mix' as "
            "mix_weights, one for each layer."
        )
    if number is None and len(mixes) > 1:
        raise ElmoError(
            f"This model has {len(mixes)} scalar mixes: choose one by its number, "
            f"mix_weights=0 to {len(mixes) - 1}."
        )
    name = next(iter(mixes)) if number is None else str(operator.index(number))
    if name not in mixes:
        raise ElmoError(f"There is no scalar mix {name}: the model has {', '.join(sorted(mixes))}.")
    mix: Params = mixes[name]
    return mix


def align_layers(layers_LTD: jax.Array, params: Params) -> jax.Array:
    """Map the layers that have an ``alignment`` in ``params``: M v for every vector v.

    ``layers_LTD`` are the layers from 0 up, not necessarily all. Schuster et al. 2019,
    "Cross-Lingual Alignment of Contextual Word Embeddings".
    """
    for layer, matrix_DD in alignments(params).items():
        if layer < len(layers_LTD):
            aligned_TD = linear(matrix_DD, layers_LTD[layer], "float32", kernel_first=False)
            layers_LTD = layers_LTD.at[layer].set(aligned_TD)
    return layers_LTD


def alignments(params: Params) -> dict[int, Any]:
    """The matrix [D, D] of each layer that has one."""
    matrices = params.get("alignment", {})
    return {int(name.removeprefix("layer_")): matrices[name] for name in sorted(matrices)}


def project_output(vectors: jax.Array, params: Params) -> jax.Array:
    """The output projection of ``params``: [..., D] -> [..., O]."""
    projection = params["output_projection"]
    bias = projection["bias"].reshape(*[1] * (vectors.ndim - 1), -1)
    return linear(projection["kernel"], vectors, "float32", kernel_first=False) + bias


def select_outputs(
    layers_LTD: jax.Array,
    length: jax.Array,
    params: Params,
    layer_weights_L: jax.Array,
    selection: LayerSelection,
    pooling: str | None,
) -> jax.Array:
    """What is wanted of the layers of one sentence, with its ``length`` first tokens.

    Returns [T, D], or [L, T, D] for all layers; pooled [D] or [L, D].
    """
    selected = selection.apply(list(layers_LTD), layer_weights_L, axis=0)
    if selection.projected:
        selected = project_output(selected, params)
    if pooling is None:
        return selected
    selected_LTD = selected if selection.n_result_layers else selected[None]
    pooled_LD = jax.vmap(lambda layer_TD: pool(layer_TD, length, pooling))(selected_LTD)
    return pooled_LD if selection.n_result_layers else pooled_LD[0]


def output_dim(selection: LayerSelection, config: ElmoConfig, params: Params) -> int:
    """The size of the vectors of a result."""
    if selection.projected:
        return int(params["output_projection"]["bias"].shape[0])
    return config.output_dim


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
        f"Unknown layers={shortened(layers)}: expected {names}a number from 0 (the token layer) to "
        f"{n_layers - 1} (the top).{did_you_mean(layers, LAYER_NAMES)}"
    )


def check_pooling(pooling: str, poolings: Sequence[str] = POOLINGS) -> None:
    """Raise ElmoError unless ``pooling`` is one of ``poolings``."""
    if isinstance(pooling, str) and pooling in poolings:
        return
    if isinstance(pooling, str) and pooling == "sif":
        raise ElmoError(
            "pooling='sif' weighs words by how frequent they are, and here only their characters "
            f"are known: expected one of {', '.join(map(repr, poolings))}. "
            "Elmo.embed_sentences(..., pooling='sif') can do it."
        )
    raise ElmoError(
        f"Unknown pooling={shortened(pooling)}: expected one of "
        f"{', '.join(map(repr, poolings))}.{did_you_mean(pooling, poolings)}"
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
