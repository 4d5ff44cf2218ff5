"""Vectors that depend on the sentences before them: the LSTM's state carried through a corpus.

The original tools wrote files of such vectors. bilm-tf's ``dump_bilm_embeddings`` reads one
sentence after the other. ``allennlp elmo`` reads batches of ``--batch-size`` sentences in the order
of the file, and row i of a batch continues from row i of the batch before.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np

from ..embedder import Elmo
from ..engine.outputs import check_float16
from ..functional import initial_state, layer_outputs_with_state
from ..model.batches import encode_batch
from ..model.layers import LayerSelection, select_layers, select_outputs
from ..model.parameters import Params
from ..model.spelling import word_limit
from ..text.cut_words import CutWords
from .job import EmbedOptions

_LEAST_PADDED_LENGTH = 16


def stream_with_state(
    elmo: Elmo, sentences: Iterable[Sequence[str]], n_rows: int, options: EmbedOptions
) -> Iterator[np.ndarray]:
    """What ``Elmo.stream`` yields, but read in batches of ``n_rows`` that pass on their state.

    The state starts from zeros. As in bilm-tf, an empty sentence is read too, as its two markers.
    Words that are cut get no warning.
    """
    config, params = elmo.config, elmo.params
    choice = options.layers, config, options.mix_weights, options.mix_gamma, params
    selection, layer_weights_L = select_layers(*choice)
    state = initial_state(config, n_rows)
    uncounted = CutWords(word_limit(config))
    remaining, n_read = iter(sentences), 0
    while batch := list(itertools.islice(remaining, n_rows)):
        longest = max(map(len, batch))
        char_ids, lengths = encode_batch(
            batch, config, pad_to=_padded(longest), batch_size=n_rows, cut_words=uncounted
        )
        layers_BLTD, state = layer_outputs_with_state(
            params, char_ids, lengths, state, config=config, precision=elmo.precision
        )
        wanted = _select(
            params, layers_BLTD, lengths, layer_weights_L, selection, options.pooling, options.dtype
        )
        for vectors in _unpadded(np.asarray(wanted), batch, pooled=options.pooling is not None):
            check_float16(vectors, f"sentence {n_read}")
            n_read += 1
            yield vectors


def _padded(n_tokens: int) -> int:
    """The next power of two, so that few shapes are compiled."""
    return max(_LEAST_PADDED_LENGTH, 1 << (n_tokens - 1).bit_length())


@functools.partial(jax.jit, static_argnames=("selection", "pooling", "dtype"))
def _select(
    params: Params,
    layers_BLTD: jax.Array,
    lengths_B: jax.Array,
    layer_weights_L: jax.Array,
    selection: LayerSelection,
    pooling: str | None,
    dtype: str,
) -> jax.Array:
    def select_one(layers_LTD: jax.Array, length: jax.Array) -> jax.Array:
        return select_outputs(layers_LTD, length, params, layer_weights_L, selection, pooling)

    return jax.vmap(select_one)(layers_BLTD, lengths_B).astype(dtype)


def _unpadded(
    wanted: np.ndarray, batch: Sequence[Sequence[str]], *, pooled: bool
) -> Iterator[np.ndarray]:
    """The result of each sentence, from [B, D] or [B, L, D] if pooled, else from [B, ..., T, D]."""
    for row, words in enumerate(batch):
        yield wanted[row] if pooled else wanted[row, ..., : len(words), :]
