"""Scalar mix: the weighted sum of layers through which a task reads an ELMo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ElmoError, check_count, number_problem, shortened
from ..forking import check_process
from .arrays import as_array, finite_floats, is_float, is_whole

_EPSILON = 1e-12


def scalar_mix(
    weights: jax.Array,
    gamma: jax.Array | float,
    layers: jax.Array,
    mask: jax.Array | None = None,
    do_layer_norm: bool = False,
) -> jax.Array:
    """γ · Σ_l softmax(weights)_l · layer_l (Peters et al. 2018, equation 1).

    Args:
        weights: float [L], or [M, L] for M mixes of the same layers; unnormalized, so
            ``[-9e10, 1, -9e10]`` picks layer 1.
        gamma: a scalar, or float [M].
        layers: float32 [B, L, T, D].
        mask: bool [B, T], False at padding; None if nothing is padded.
        do_layer_norm: first normalize each layer, with one mean and one variance over all
            dimensions of all positions in ``mask`` in the whole batch. A sentence's result then
            depends on its batch. bilm-tf does this over the words. AllenNLP counts BOS and EOS
            too: for that, pass layers with ``boundaries`` and a mask that includes them.

    Returns:
        float32 [B, T, D], or [M, B, T, D] for M mixes; zeros at padding.

    Raises:
        ElmoError: if the shapes do not match, or weights or gamma are not finite.

    Example:
        >>> mixed = scalar_mix(jnp.zeros(3), 1.0, layers)     # the plain mean
    """
    check_process()
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite
        layers = jnp.asarray(_floats(layers, "layers"))
    # float32 at least; written out, so that it also holds under strict promotion.
    dtype = jnp.float64 if layers.dtype == jnp.float64 else jnp.float32
    weights = jnp.asarray(finite_floats(weights, "The weights of scalar_mix"), dtype)
    gamma = jnp.asarray(finite_floats(gamma, "The gamma of scalar_mix"), dtype)
    if layers.ndim != 4 or weights.ndim not in (1, 2) or weights.shape[-1] != layers.shape[1]:
        raise ElmoError(
            "scalar_mix expected weights [L] or [M, L] and layers [B, L, T, D], one L, "
            f"got weights {weights.shape} and layers {layers.shape}."
        )
    if gamma.shape not in ((), weights.shape[:-1]):
        raise ElmoError(
            "scalar_mix expected gamma as a scalar, or [M] with weights [M, L]; "
            f"got gamma {gamma.shape} and weights {weights.shape}."
        )
    tokens = (layers.shape[0], layers.shape[2])
    mask = jnp.ones(tokens, bool) if mask is None else _as_mask(mask)
    if mask.shape != tokens:
        raise ElmoError(f"scalar_mix expected a mask [B, T] = {tokens}, got {mask.shape}.")
    # Before the mix, not after it: a NaN at padding would come back through the gradient.
    layers = jnp.where(mask[:, None, :, None], layers, 0)
    if do_layer_norm:
        layers = _normalize(layers, mask)
    gamma = jnp.broadcast_to(gamma, weights.shape[:-1])
    shares = gamma[..., None] * nn.softmax(weights, axis=-1)
    return jnp.einsum("...l,bltd->...btd", shares, layers, precision=jax.lax.Precision.HIGHEST)


def _floats(layers: Any, name: str) -> Any:
    array = as_array(layers, name)
    if not (is_float(array) or is_whole(array)):
        raise ElmoError(f"{name} has dtype {array.dtype}, expected floats [B, L, T, D].")
    return array if is_float(array) else array.astype(np.float32)


def _as_mask(mask: Any) -> jax.Array:
    array = as_array(mask, "mask")
    if not (array.dtype == bool or is_whole(array) or is_float(array)):
        raise ElmoError(f"scalar_mix expected a mask of bool, got dtype {array.dtype}.")
    return jnp.asarray(array, bool)


def _normalize(layers_BLTD: jax.Array, mask_BT: jax.Array) -> jax.Array:
    """Each layer to mean 0 and variance 1; padding is and stays zero."""
    axes = (0, 2, 3)
    n_values = jnp.maximum(mask_BT.sum() * layers_BLTD.shape[-1], 1)  # 1: no token at all
    n_values = n_values.astype(layers_BLTD.dtype)
    mean = layers_BLTD.sum(axes, keepdims=True) / n_values
    centered = jnp.where(mask_BT[:, None, :, None], layers_BLTD - mean, 0)
    variance = jnp.square(centered).sum(axes, keepdims=True) / n_values
    return centered / jnp.sqrt(variance + _EPSILON)


class ScalarMix(nn.Module):
    """A trainable scalar mix: weights start at 0 and γ at 1, so it starts as the plain mean.

    Attributes:
        n_mixes: None for one mix, [B, T, D]; M for M mixes of the same layers, [M, B, T, D].
        do_layer_norm: see ``scalar_mix``.
        dropout: rate of dropout on the result; needs an rng named "dropout" when it is applied.
        fixed_weights: L unnormalized weights that are not trained; only γ is. To train neither, as
            with AllenNLP's ``scalar_mix_parameters``, call ``scalar_mix``.
    """

    n_mixes: int | None = None
    do_layer_norm: bool = False
    dropout: float = 0.0
    fixed_weights: Sequence[float] | None = None

    @nn.compact
    def __call__(
        self,
        layers_BLTD: jax.Array,
        mask_BT: jax.Array | None = None,
        *,
        deterministic: bool = True,
    ) -> jax.Array:
        """Mix the layers of a batch.

        Args:
            layers_BLTD: float32 [B, L, T, D].
            mask_BT: bool [B, T], False at padding; None if nothing is padded.
            deterministic: False to apply dropout.

        Raises:
            ElmoError: if an attribute has a wrong type or value, or the shapes do not match.
        """
        if self.n_mixes is not None:
            check_count(self.n_mixes, "n_mixes")
        if number_problem(self.dropout, "dropout", positive=False) or self.dropout > 1:
            raise ElmoError(f"dropout is {shortened(self.dropout)}, expected a number from 0 to 1.")
        layers_BLTD = _floats(layers_BLTD, "layers")
        if layers_BLTD.ndim != 4:
            raise ElmoError(f"Expected layers [B, L, T, D], got {layers_BLTD.shape}.")
        mixes = () if self.n_mixes is None else (self.n_mixes,)
        shape = (*mixes, layers_BLTD.shape[1])
        if self.fixed_weights is None:
            weights = self.param("weights", nn.initializers.zeros, shape)
        else:
            fixed = finite_floats(self.fixed_weights, "fixed_weights")
            if np.shape(fixed) != shape[-1:]:
                raise ElmoError(f"fixed_weights has {fixed.size} values for {shape[-1]} layers.")
            weights = jnp.broadcast_to(jnp.asarray(fixed, jnp.float32), shape)
        gamma = self.param("gamma", nn.initializers.ones, mixes)
        mixed = scalar_mix(weights, gamma, layers_BLTD, mask_BT, self.do_layer_norm)
        return nn.Dropout(self.dropout)(mixed, deterministic=deterministic)
