"""The token layer: from the spelling of a word to its vector.

Each takes what ``spelling`` makes of the words of a lane, int [T, C], and gives float32 [T, P].
``make_token_layer`` chooses one. Another is another Flax module here, with its own way to spell.
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
from .spelling import alphabet_of

TOKEN_LAYER_NAMES = {
    "bytes": "char_encoder",
    "lexicon": "lexicon_encoder",
    "table": "word_encoder",
}
"""Where the parameters of a token layer are in the tree."""


def make_token_layer(config: ElmoConfig, precision: str) -> nn.Module:
    """The token layer of ``config``, under its name in the tree of parameters."""
    kinds = {"bytes": CharEncoder, "lexicon": LexiconEncoder, "table": WordEncoder}
    name = TOKEN_LAYER_NAMES[config.token_layer]
    module: nn.Module = kinds[config.token_layer](config, precision, name=name)
    return module


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
        words_TF = _read_characters(table[char_ids_TC], config, self.precision)
        return _project(words_TF, config, self.precision)


class LexiconEncoder(nn.Module):
    """A word's own vector, a char-CNN over an alphabet, or both, and a projection.

    The token layer of ELMoForManyLangs (Che et al. 2018, "Towards Better UD Parsing").
    """

    config: ElmoConfig
    precision: str = "float32"

    @nn.compact
    def __call__(self, ids_TC: jax.Array | np.ndarray) -> jax.Array:
        """Encode each word of a lane: int [T, C], rows of the tables plus one -> float32 [T, P].

        The row of the word comes first, if words have vectors; then its characters. As in
        ``CharEncoder``, there may be fewer of these, with the same result.
        """
        config, alphabet = self.config, alphabet_of(self.config)
        parts = []
        if config.word_dim:
            shape = (len(alphabet.words), config.word_dim)
            words = self.param("word_embedding", _uniform(1.0), shape)
            parts.append(_look_up(words, ids_TC[:, 0]))
        if config.filters:
            shape = (len(alphabet.characters), config.char_embedding_dim)
            characters = self.param("char_embedding", _uniform(1.0), shape)
            # Padding has a vector like any other character, and takes part in the maximum.
            characters_TCE = _look_up(characters, ids_TC[:, config.word_columns :])
            parts.append(_read_characters(characters_TCE, config, self.precision))
        return _project(jnp.concatenate(parts, axis=-1), config, self.precision)


class WordEncoder(nn.Module):
    """A table of word vectors (bilm-tf without ``char_cnn``)."""

    config: ElmoConfig
    precision: str = "float32"

    @nn.compact
    def __call__(self, ids_TC: jax.Array | np.ndarray) -> jax.Array:
        """Look up the words of a lane: int [T, 1], rows of the table plus one -> float32 [T, P]."""
        shape = (len(alphabet_of(self.config).words), self.config.projection_dim)
        return _look_up(self.param("embedding", _uniform(1.0), shape), ids_TC[:, 0])


def _look_up(table: jax.Array, ids: jax.Array | np.ndarray) -> jax.Array:
    """Rows of a table by their numbers plus one; zeros for id 0."""
    ids = jnp.asarray(ids)
    # Not from a table with a row of zeros in front, which would be a copy of a large one.
    return jnp.where((ids > 0)[..., None], table[jnp.maximum(ids - 1, 0)], 0)


# These make submodules of the token layer that calls them.


def _read_characters(characters_TCE: jax.Array, config: ElmoConfig, precision: str) -> jax.Array:
    """Convolutions, the maximum over positions, and highway layers: [T, C, E] -> [T, F]."""
    activation = {"relu": nn.relu, "tanh": jnp.tanh}[config.activation]
    features = []
    for index, (width, number) in enumerate(config.filters):
        convolution = _Convolution(width, number, precision, name=f"convolutions_{index}")
        # The activation is monotone, so it may follow the maximum, on a smaller array.
        features.append(activation(convolution(characters_TCE).max(axis=1)))
    words_TF = jnp.concatenate(features, axis=-1)
    for index in range(config.n_highway):
        words_TF = _Highway(precision, name=f"highways_{index}")(words_TF)
    return words_TF


def _project(words_TF: jax.Array, config: ElmoConfig, precision: str) -> jax.Array:
    if not config.has_token_projection:
        return words_TF
    return _Projection(config.projection_dim, precision, name="projection")(words_TF)


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
