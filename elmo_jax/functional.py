"""Pure, compiled functions over batches: ``jax.vmap`` of the one-lane modules.

They hold no state and depend on their arguments only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .forking import check_process
from .lanes.devices import over_rows
from .model.arguments import check_batch, check_state
from .model.bilm import BiLM, BiLMState, zero_state
from .model.config import ElmoConfig
from .model.layers import Layers, LayerSelection, check_pooling, pool, select_layers
from .model.parameters import Params


def layer_outputs(
    params: Params,
    char_ids: Any,
    lengths: Any,
    *,
    config: ElmoConfig,
    boundaries: bool = False,
    precision: str = "float32",
) -> jax.Array:
    """All layers of a batch of sentences, each read from a zero state.

    Args:
        params: the parameter tree of ``config``.
        char_ids: int [B, T, C] from ``encode_batch``: no sentence markers, 0 at padding.
        lengths: int [B], real words of each sentence.
        config: the architecture.
        boundaries: keep the vectors of BOS and EOS, which are left out otherwise.
        precision: of the matrix products: "float32", "tf32" or "bfloat16".

    Returns:
        float32 [B, L, T, D], zeros at padding. Layer 0 is the token vector twice; layer k is
        the forward and the backward output of the k-th LSTM layer side by side. With
        ``boundaries`` [B, L, T + 2, D]: BOS first, EOS after the last real word.

    Raises:
        ElmoError: for arrays of a wrong shape, dtype or content.

    Example:
        >>> char_ids, lengths = encode_batch([["A", "bank", "."], ["Hi"]], config)
        >>> layer_outputs(params, char_ids, lengths, config=config).shape
        (2, 3, 3, 256)
    """
    char_ids, lengths = check_batch(params, char_ids, lengths, config, precision)
    if boundaries:
        state = initial_state(config, char_ids.shape[0])
        return _with_state(params, char_ids, lengths, state, config, precision)[0]
    return _layer_outputs(params, char_ids, lengths, config, precision)


def layer_outputs_with_state(
    params: Params,
    char_ids: Any,
    lengths: Any,
    state: BiLMState,
    *,
    config: ElmoConfig,
    boundaries: bool = False,
    precision: str = "float32",
) -> tuple[jax.Array, BiLMState]:
    """All layers of a batch that goes on from the state of the batch before.

    This is what bilm-tf and AllenNLP do on every call: row i continues from row i. Rows of the
    state beyond the batch stay as they are; rows that the state lacks start from zeros. An empty
    sentence moves its row on as well: BOS and EOS are read, as in bilm-tf and AllenNLP.

    Args:
        params: as in ``layer_outputs``.
        char_ids: as in ``layer_outputs``.
        lengths: as in ``layer_outputs``.
        state: from ``initial_state`` or an earlier call; each array's axis 0 is the row.
        config: the architecture.
        boundaries: as in ``layer_outputs``.
        precision: as in ``layer_outputs``.

    Returns:
        float32 [B, L, T, D], or [B, L, T + 2, D] with ``boundaries``, zeros at padding; and the
        new state, each direction's at its own end of each sentence (forward after EOS, backward
        after BOS).

    Raises:
        ElmoError: for arrays of a wrong shape, dtype or content.

    Example:
        >>> state = initial_state(config, 2)
        >>> layers, state = layer_outputs_with_state(params, ids, lengths, state, config=config)
    """
    char_ids, lengths = check_batch(params, char_ids, lengths, config, precision)
    check_state(state, config)
    return _continued(params, char_ids, lengths, state, config, precision, boundaries)


def initial_state(config: ElmoConfig, batch_size: int) -> BiLMState:
    """The state before anything was read: zeros, [batch_size, H] and [batch_size, P] a layer."""
    check_process()
    return jax.tree.map(
        lambda x: jnp.zeros((batch_size, *x.shape), x.dtype),
        jax.eval_shape(functools.partial(zero_state, config)),
    )


def pooled_sentences(
    params: Params,
    char_ids: Any,
    lengths: Any,
    *,
    config: ElmoConfig,
    layers: Layers = "average",
    pooling: str = "mean",
    mix_weights: Any = None,
    mix_gamma: Any = 1.0,
    precision: str = "float32",
) -> jax.Array:
    """One vector a sentence, pooled over its real words.

    Args:
        params: as in ``layer_outputs``.
        char_ids: as in ``layer_outputs``.
        lengths: as in ``layer_outputs``.
        config: the architecture.
        layers: "average", "top", a layer's number, "mix", or "all". Layers above the highest
            that is needed are not computed.
        pooling: "mean" or "max".
        mix_weights: for "mix", L unnormalised weights.
        mix_gamma: for "mix", the scale.
        precision: as in ``layer_outputs``.

    Returns:
        float32 [B, D]; for "all" [B, L, D]. Zeros for an empty sentence.

    Raises:
        ElmoError: for an unknown name, or arrays of a wrong shape, dtype or content.

    Example:
        >>> pooled_sentences(params, char_ids, lengths, config=config, layers="top").shape
        (2, 256)
    """
    check_pooling(pooling)
    selection, shares = select_layers(layers, config, mix_weights, mix_gamma)
    char_ids, lengths = check_batch(params, char_ids, lengths, config, precision)
    return _pooled(params, char_ids, lengths, shares, config, selection, pooling, precision)


@over_rows(3)
@functools.partial(jax.jit, static_argnames=("config", "precision"))
def _layer_outputs(
    params: Params, char_ids: jax.Array, lengths: jax.Array, config: ElmoConfig, precision: str
) -> jax.Array:
    one_lane = _one_lane(params, config, precision)
    return jax.vmap(one_lane)(char_ids, lengths)


@over_rows(4)
@functools.partial(jax.jit, static_argnames=("config", "precision"))
def _with_state(
    params: Params,
    char_ids: jax.Array,
    lengths: jax.Array,
    state: BiLMState,
    config: ElmoConfig,
    precision: str,
) -> tuple[jax.Array, BiLMState]:
    one_lane = _one_lane(params, config, precision, method="with_state")
    return jax.vmap(one_lane)(char_ids, lengths, state)


@over_rows(4)
def _continued(
    params: Params,
    char_ids: jax.Array,
    lengths: jax.Array,
    state: BiLMState,
    config: ElmoConfig,
    precision: str,
    boundaries: bool,
) -> tuple[jax.Array, BiLMState]:
    n_sentences, n_rows = char_ids.shape[0], len(jax.tree.leaves(state)[0])
    grown = jax.tree.map(
        lambda rows: jnp.pad(jnp.asarray(rows), ((0, max(0, n_sentences - n_rows)), (0, 0))),
        state,
    )
    read = jax.tree.map(lambda rows: rows[:n_sentences], grown)
    layers, new = _with_state(params, char_ids, lengths, read, config, precision)
    kept = jax.tree.map(lambda rows, end: rows.at[:n_sentences].set(end), grown, new)
    if not boundaries:
        layers = jnp.where(_real(lengths, char_ids), layers[:, :, 1:-1], 0)
    return layers, kept


@over_rows(4)
@functools.partial(jax.jit, static_argnames=("config", "selection", "pooling", "precision"))
def _pooled(
    params: Params,
    char_ids: jax.Array,
    lengths: jax.Array,
    shares_L: jax.Array,
    config: ElmoConfig,
    selection: LayerSelection,
    pooling: str,
    precision: str,
) -> jax.Array:
    one_lane = _one_lane(params, config, precision)
    n_kept = selection.n_kept or 1

    def pooled(char_ids_TC: jax.Array, length: jax.Array) -> jax.Array:
        layers_LTD = one_lane(char_ids_TC, length, selection.n_computed)
        pooled_LD = jax.vmap(lambda layer_TD: pool(layer_TD, length, pooling))(
            selection.apply(layers_LTD, shares_L, axis=0).reshape(n_kept, *layers_LTD.shape[1:])
        )
        return pooled_LD if selection.n_kept else pooled_LD[0]

    return jax.vmap(pooled)(char_ids, lengths)


def _one_lane(
    params: Params, config: ElmoConfig, precision: str, method: str = "__call__"
) -> Callable[..., Any]:
    """A method of BiLM as a function of one sentence."""
    return functools.partial(BiLM(config, precision).apply, {"params": params}, method=method)


def _real(lengths: jax.Array, char_ids: jax.Array) -> jax.Array:
    return (jnp.arange(char_ids.shape[1], dtype=jnp.int32)[None] < lengths[:, None])[
        :, None, :, None
    ]
