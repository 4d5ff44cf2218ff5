"""Pure, compiled functions over batches: ``jax.vmap`` of the one-lane modules."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .errors import check_count
from .forking import check_process
from .lanes.devices import over_rows
from .model.arguments import check_batch, check_state
from .model.bilm import BiLM, BiLMState, zero_state
from .model.config import ElmoConfig, check_config
from .model.layers import (
    Layers,
    LayerSelection,
    align_layers,
    check_pooling,
    select_layers,
    select_outputs,
)
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
        params: the parameter tree for ``config``.
        char_ids: int [B, T, C] from ``encode_batch``: no sentence markers, 0 at padding.
        lengths: int [B], the number of real words in each sentence.
        config: the architecture.
        boundaries: include the vectors of BOS and EOS in the result.
        precision: for matrix products: "float32", "tf32" or "bfloat16".

    Returns:
        float32 [B, L, T, D], zeros at padding. Layer 0 is the token vector twice. Layer k is the
        forward and the backward output of the k-th LSTM layer side by side, aligned if the model
        has an alignment for that layer. With ``boundaries``, [B, L, T + 2, D]: BOS comes first,
        and EOS after the last real word.

    Raises:
        ElmoError: for arrays with a wrong shape, dtype or content.

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
    """All layers of a batch, read from the state that the previous batch left.

    bilm-tf and AllenNLP do this on every call: row i continues from row i. If the state has more
    rows than the batch, the extra rows stay as they are. If it has fewer, the missing rows start
    from zeros. As in bilm-tf and AllenNLP, BOS and EOS are read too, even in an empty sentence.

    Args:
        params: the parameter tree for ``config``.
        char_ids: int [B, T, C], see ``layer_outputs``.
        lengths: int [B], the number of real words in each sentence.
        state: from ``initial_state`` or an earlier call; axis 0 of each array is the row.
        config: the architecture.
        boundaries: include the vectors of BOS and EOS in the result.
        precision: for matrix products: "float32", "tf32" or "bfloat16".

    Returns:
        float32 [B, L, T, D], or [B, L, T + 2, D] with ``boundaries``, zeros at padding; and the
        new state. Each direction's state is the one at its own end of the sentence: forward after
        EOS, backward after BOS.

    Raises:
        ElmoError: for arrays with a wrong shape, dtype or content.

    Example:
        >>> state = initial_state(config, 2)
        >>> layers, state = layer_outputs_with_state(params, ids, lengths, state, config=config)
    """
    char_ids, lengths = check_batch(params, char_ids, lengths, config, precision)
    check_state(state, config)
    return _continued(params, char_ids, lengths, state, config, precision, boundaries)


def initial_state(config: ElmoConfig, batch_size: int) -> BiLMState:
    """The state before any text: zeros, float32 [batch_size, H] and [batch_size, P] per layer."""
    check_process()
    check_config(config)
    check_count(batch_size, "batch_size", least=0)
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
    """One vector per sentence, pooled over its real words.

    Args:
        params: the parameter tree for ``config``.
        char_ids: int [B, T, C], see ``layer_outputs``.
        lengths: int [B], the number of real words in each sentence.
        config: the architecture.
        layers: "average", "top", a layer's number, "mix", or "all". Layers above the highest
            one needed are not computed.
        pooling: "mean" or "max".
        mix_weights: for "mix", L unnormalized weights; None for the model's own mix, followed by
            its output projection if it has one; or the number of one of its mixes.
        mix_gamma: for "mix", the scale.
        precision: for matrix products: "float32", "tf32" or "bfloat16".

    Returns:
        float32 [B, D]; for "all" [B, L, D]. After an output projection, its size takes the place
        of D. An empty sentence gives zeros.

    Raises:
        ElmoError: for an unknown name, arrays with a wrong shape, dtype or content, or a mix
            that is not finite.

    Example:
        >>> pooled_sentences(params, char_ids, lengths, config=config, layers="top").shape
        (2, 256)
    """
    check_pooling(pooling)
    char_ids, lengths = check_batch(params, char_ids, lengths, config, precision)
    selection, layer_weights = select_layers(layers, config, mix_weights, mix_gamma, params)
    return _pooled(params, char_ids, lengths, layer_weights, config, selection, pooling, precision)


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
    n_sentences, n_tokens, _ = char_ids.shape
    # Rows that the state lacks start from zeros; rows beyond the batch pass through.
    n_missing = max(0, n_sentences - len(jax.tree.leaves(state)[0]))
    state = jax.tree.map(lambda x: jnp.pad(jnp.asarray(x), ((0, n_missing), (0, 0))), state)
    before = jax.tree.map(lambda x: x[:n_sentences], state)
    layers, after = _with_state(params, char_ids, lengths, before, config, precision)
    state = jax.tree.map(lambda x, rows: x.at[:n_sentences].set(rows), state, after)
    if not boundaries:
        # EOS stands right after the last word, so dropping the ends leaves it in shorter rows.
        real_BT = jnp.arange(n_tokens, dtype=jnp.int32)[None] < lengths[:, None]
        layers = jnp.where(real_BT[:, None, :, None], layers[:, :, 1:-1], 0)
    return layers, state


@over_rows(4)
@functools.partial(jax.jit, static_argnames=("config", "selection", "pooling", "precision"))
def _pooled(
    params: Params,
    char_ids: jax.Array,
    lengths: jax.Array,
    layer_weights_L: jax.Array,
    config: ElmoConfig,
    selection: LayerSelection,
    pooling: str,
    precision: str,
) -> jax.Array:
    one_lane = _one_lane(params, config, precision)

    def pool_one(char_ids_TC: jax.Array, length: jax.Array) -> jax.Array:
        layers_LTD = one_lane(char_ids_TC, length, selection.n_computed)
        return select_outputs(layers_LTD, length, params, layer_weights_L, selection, pooling)

    return jax.vmap(pool_one)(char_ids, lengths)


def _one_lane(
    params: Params, config: ElmoConfig, precision: str, method: str = "__call__"
) -> Callable[..., Any]:
    apply = functools.partial(BiLM(config, precision).apply, {"params": params}, method=method)
    if "alignment" not in params:
        return apply

    def aligned(*arguments: Any) -> Any:
        outputs: Any = apply(*arguments)
        if method == "with_state":
            layers_LTD, state = outputs
            return align_layers(layers_LTD, params), state
        return align_layers(outputs, params)

    return aligned
