"""BiLM: the token layer and both directions, over one sentence."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import check_seed
from .config import ElmoConfig
from .lstm import LanguageModelStack, LSTMState
from .spelling import boundary_ids
from .token_layer import make_token_layer


class BiLMState(NamedTuple):
    """The state of both directions: one LSTMState per layer, the first layer first."""

    forward: tuple[LSTMState, ...]
    backward: tuple[LSTMState, ...]


def zero_state(config: ElmoConfig, dtype: jnp.dtype = jnp.float32) -> BiLMState:
    """The state of one lane before any text: zeros."""
    layer = LSTMState(jnp.zeros(config.cell_dim, dtype), jnp.zeros(config.projection_dim, dtype))
    return BiLMState((layer,) * config.n_layers, (layer,) * config.n_layers)


def init_params(config: ElmoConfig, seed: int) -> dict[str, Any]:
    """Random parameters, from the distributions that bilm-tf starts training with."""
    check_seed(seed)
    word_TC = np.ones((1, config.spelling_width), np.int32)
    variables: Any = jax.jit(BiLM(config).init)(jax.random.key(seed), word_TC)
    return dict(variables["params"])


class BiLM(nn.Module):
    """ELMo's bidirectional language model, without the softmax it was trained with.

    It describes one sentence. For a batch inside your own module::

        class Tagger(nn.Module):
            config: elmo_jax.ElmoConfig

            @nn.compact
            def __call__(self, char_ids_BTC, lengths_B):
                batched = nn.vmap(
                    elmo_jax.BiLM, variable_axes={"params": None}, split_rngs={"params": False}
                )
                layers_BLTD = batched(self.config, name="bilm")(char_ids_BTC, lengths_B)
                ...

    ``elmo_jax.model.precision`` lists the precisions.
    """

    config: ElmoConfig
    precision: str = "float32"

    def setup(self) -> None:
        """Make the token layer and the two stacks."""
        self.token_layer = make_token_layer(self.config, self.precision)
        self.forward = LanguageModelStack(self.config, precision=self.precision)
        self.backward = LanguageModelStack(self.config, reverse=True, precision=self.precision)

    def __call__(
        self,
        char_ids_TC: jax.Array,
        length: jax.Array | int | None = None,
        n_output_layers: int | None = None,
    ) -> jax.Array:
        """All layers of one sentence, read from a zero state.

        Args:
            char_ids_TC: int32 [T, C], as ``encode_batch`` makes them for one sentence: words
                without sentence markers, 0 for padding.
            length: the number of real words; T if None.
            n_output_layers: how many layers to compute, from the token layer up; all if None.

        Returns:
            float32 [L, T, D], zeros at padding. Layer 0 is the token vector twice; the others are
            the forward and the backward output side by side.
        """
        n_tokens = char_ids_TC.shape[0]
        position_T = jnp.arange(n_tokens, dtype=jnp.int32)
        length = n_tokens if length is None else length
        n_lstm_layers = (n_output_layers or self.config.n_output_layers) - 1

        tokens_TP = self.encode_words(char_ids_TC)
        after_bos, after_eos = self.start_state(n_lstm_layers)
        forward, _ = self.forward(tokens_TP, after_bos, after_bos, position_T == 0)
        # The backward stack reads the padding first, and starts anew at the last word.
        backward, _ = self.backward(tokens_TP, after_eos, after_eos, position_T == length - 1)
        return _side_by_side(tokens_TP, forward, backward, position_T < length)

    def with_state(
        self, char_ids_TC: jax.Array, length: jax.Array | int, state: BiLMState
    ) -> tuple[jax.Array, BiLMState]:
        """All layers of one sentence and its markers, read from the state of an earlier one.

        Takes the same arrays as ``__call__``. Returns float32 [L, T + 2, D] with BOS first, EOS
        after the last real word, and zeros after that; and the state of each direction at its own
        end of the sentence: forward after EOS, backward after BOS, never after padding.
        """
        tokens_TP = self.encode_words(char_ids_TC)
        bos_P, eos_P = self.encode_words(boundary_ids(self.config))
        position_T = jnp.arange(tokens_TP.shape[0] + 2, dtype=jnp.int32)
        inputs_TP = jnp.concatenate([bos_P[None], tokens_TP, jnp.zeros_like(eos_P)[None]])
        inputs_TP = jnp.where((position_T == length + 1)[:, None], eos_P[None], inputs_TP)
        real_T = position_T < length + 2
        never_T = jnp.zeros_like(real_T)
        forward, after = self.forward(inputs_TP, state.forward, state.forward, never_T, real_T)
        backward, before = self.backward(inputs_TP, state.backward, state.backward, never_T, real_T)
        layers_LTD = _side_by_side(inputs_TP, forward, backward, real_T)
        return layers_LTD, BiLMState(after, before)

    def encode_words(self, char_ids_UC: jax.Array | np.ndarray) -> jax.Array:
        """Token vectors of words, int32 [U, C] -> float32 [U, P]."""
        vectors_UP: jax.Array = self.token_layer(char_ids_UC)
        return vectors_UP

    def start_state(self, n_lstm_layers: int | None = None) -> BiLMState:
        """The state before the first word of every sentence: a constant of the model.

        Forward, it is the state after BOS; backward, the state after EOS; both start from zeros. It
        has the first ``n_lstm_layers`` layers, or all.
        """
        bos_TP, eos_TP = jnp.split(self.encode_words(boundary_ids(self.config)), 2)
        zero = zero_state(self.config, bos_TP.dtype).forward[:n_lstm_layers]
        never_T = np.zeros(1, bool)
        _, after_bos = self.forward(bos_TP, zero, zero, never_T)
        _, after_eos = self.backward(eos_TP, zero, zero, never_T)
        return BiLMState(after_bos, after_eos)


def _side_by_side(
    tokens_TP: jax.Array,
    forward: tuple[jax.Array, ...],
    backward: tuple[jax.Array, ...],
    real_T: jax.Array,
) -> jax.Array:
    """Layer 0 is [x; x], layer k [forward; backward]; zeros where ``real_T`` is False."""
    pairs = [(tokens_TP, tokens_TP), *zip(forward, backward, strict=True)]
    layers_LTD = jnp.stack([jnp.concatenate(pair, axis=-1) for pair in pairs])
    return jnp.where(real_T[None, :, None], layers_LTD, 0)
