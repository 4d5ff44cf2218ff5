"""What holds for every batch: a sentence's vectors are its own."""

import functools

import jax
import numpy as np
from comparing import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from random_models import random_elmo

import elmo_jax

# Another place in a batch may mean another order of the float32 sums, and no more than that.
BATCH_TOLERANCE = 1e-5

N_SENTENCES, N_TOKENS, MORE_SENTENCES, MORE_TOKENS = 4, 5, 7, 12
"""Every batch is padded to few shapes, because each new one is compiled."""

letters = st.characters(exclude_categories=("Cs",), exclude_characters=" \t\n\r\f\v")
words = st.one_of(
    st.sampled_from(["a", "bank", "The", ".", "<S>"]), st.text(letters, min_size=1, max_size=5)
)
sentences = st.lists(words, max_size=N_TOKENS)
batches = st.lists(sentences, min_size=N_SENTENCES, max_size=N_SENTENCES)


@functools.cache
def model():
    return random_elmo(4)


def outputs(batch, n_sentences=N_SENTENCES, n_tokens=N_TOKENS):
    """[L, T, D] of each sentence, run in a batch of the given shape."""
    elmo = model()
    char_ids, lengths = elmo_jax.encode_batch(
        batch, elmo.config, pad_to=n_tokens, batch_size=n_sentences
    )
    layers = elmo_jax.layer_outputs(elmo.params, char_ids, lengths, config=elmo.config)
    for row in range(n_sentences):
        np.testing.assert_array_equal(layers[row, :, lengths[row] :], 0)
    return [np.asarray(layers[row, :, : len(sentence)]) for row, sentence in enumerate(batch)]


def assert_same(actual, expected):
    jax.tree.map(lambda a, b: assert_close(a, b, BATCH_TOLERANCE), list(actual), list(expected))


@settings(max_examples=25)
@given(batches)
def test_padding_changes_no_vector(batch):
    expected = outputs(batch)
    assert_same(outputs(batch, n_tokens=MORE_TOKENS), expected)
    assert_same(outputs(batch, n_sentences=MORE_SENTENCES), expected)


@settings(max_examples=25)
@given(batches)
def test_batch_mates_change_no_vector(batch):
    alone = [outputs([sentence], n_sentences=1)[0] for sentence in batch]
    assert_same(alone, outputs(batch))


@settings(max_examples=25)
@given(batches, st.permutations(range(N_SENTENCES)))
def test_order_changes_no_vector(batch, order):
    expected = outputs(batch)
    assert_same(outputs([batch[i] for i in order]), [expected[i] for i in order])


@settings(max_examples=25)
@given(batches, st.integers(0, N_SENTENCES - 1), sentences)
def test_another_sentence_in_the_batch_changes_its_own_vectors_only(batch, place, other):
    expected = outputs(batch)
    changed = outputs([*batch[:place], other, *batch[place + 1 :]])
    del expected[place], changed[place]
    assert_same(changed, expected)
