"""The token layer: from the spelling of a word to its vector.

Another token layer is another Flax module like ``CharEncoder``: it takes what describes the words
of a lane, one row per word, and gives float32 [T, P]. ``BiLM.setup`` chooses it.
"""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.nn.initializers import Initializer

from .config import ElmoConfig
from .options import N_CHARACTERS
from .precision import convolve, linear


class CharEncoder(nn.Module):
    """Char-CNN, highway layers and projection (Peters et al. 2018, section 3.4; bilm-tf)."""

    config: ElmoConfig
    precision: str = "float32"

    @nn.compact
    def __call__(self, char_ids_TC: jax.Array | np.ndarray) -> jax.Array:
        """Encode each word of a lane by its spelling alone: int [T, C] -> float32 [T, P].

        Ids are 1..261, or only 0 in a padded word. C is ``max_characters_per_token``. It may be
        less, with the same result, if ``max_filter_width`` padding characters follow every word.
        """
        config = self.config
        shape = (N_CHARACTERS, config.char_embedding_dim)
        embedding = self.param("char_embedding", _uniform(1.0), shape)
        # Id 0 marks a padded word. Its vector is zero and never trained, so not a parameter.
        table = jnp.concatenate([jnp.zeros_like(embedding[:1]), embedding])
        characters_TCE = table[char_ids_TC]

        activation = {"relu": nn.relu, "tanh": jnp.tanh}[config.activation]
        features = []
        for index, (width, number) in enumerate(config.filters):
            convolution = _Convolution(width, number, self.precision, name=f"convolutions_{index}")
            # The activation is monotone, so it may follow the maximum, on a smaller array.
            features.append(activation(convolution(characters_TCE).max(axis=1)))
        words_TF = jnp.concatenate(features, axis=-1)

        for index in range(config.n_highway):
            words_TF = _Highway(self.precision, name=f"highways_{index}")(words_TF)
        if not config.has_token_projection:
            return words_TF
        return _Projection(config.projection_dim, self.precision, name="projection")(words_TF)


class _Convolution(nn.Module):
    width: int
    number: int
    precision: str

    @nn.compact
    def __call__(self, characters_TCE: jax.Array) -> jax.Array:
        shape = (self.width, characters_TCE.shape[-1], self.number)
        kernel = self.param("kernel", _uniform(0.05), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.number,))
        return convolve(kernel, characters_TCE, self.precision) + bias[None, None]


class _Highway(nn.Module):
    """y = g · relu(x W_transform + b_transform) + (1 - g) · x, g = σ(x W_carry + b_carry)."""

    precision: str

    @nn.compact
    def __call__(self, x_TF: jax.Array) -> jax.Array:
        size = x_TF.shape[-1]
        normal, zeros = nn.initializers.normal(size**-0.5), nn.initializers.zeros
        carry_kernel = self.param("carry_kernel", normal, (size, size))
        # With -2 the gate starts nearly closed: an untrained layer passes its input on.
        carry_bias = self.param("carry_bias", nn.initializers.constant(-2.0), (size,))
        transform_kernel = self.param("transform_kernel", normal, (size, size))
        transform_bias = self.param("transform_bias", zeros, (size,))
        times = functools.partial(linear, inputs=x_TF, precision=self.precision, kernel_first=False)
        gate = nn.sigmoid(times(carry_kernel) + carry_bias[None])
        # relu here, whatever the activation of the convolutions [bilm-tf].
        new = nn.relu(times(transform_kernel) + transform_bias[None])
        return gate * new + (1 - gate) * x_TF


class _Projection(nn.Module):
    size: int
    precision: str

    @nn.compact
    def __call__(self, x_TF: jax.Array) -> jax.Array:
        n_in = x_TF.shape[-1]
        kernel = self.param("kernel", nn.initializers.normal(n_in**-0.5), (self.size, n_in))
        bias = self.param("bias", nn.initializers.zeros, (self.size,))
        return linear(kernel, x_TF, self.precision, kernel_first=False) + bias[None]


def _uniform(limit: float) -> Initializer:
    return functools.partial(jax.random.uniform, dtype=jnp.float32, minval=-limit, maxval=limit)
