"""The tagger of linen_tagger.py in Flax NNX: the biLM comes over ``nnx.bridge.ToNNX``.

    python -m examples.nnx_tagger train.tsv [--sentences 512]

``fit`` takes a filter of what learns. ``nnx.split`` puts that apart from the rest, which is an
argument that is not differentiated.
"""

import argparse

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx

import elmo_jax

from .tagged import batches, read

ALL = nnx.Param
ALL_BUT_BILM = nnx.All(nnx.Param, nnx.Not(nnx.PathContains("bilm")))


class Tagger(nnx.Module):
    """Tags from a mix of an ELMo's layers; ``example`` is a char_ids and lengths of any values."""

    def __init__(self, config, n_tags, example, rngs):
        batched = nn.vmap(
            elmo_jax.BiLM, variable_axes={"params": None}, split_rngs={"params": False}
        )
        layers = jnp.zeros((1, config.n_output_layers, 1, config.output_dim))
        self.bilm = bridged(batched(config), rngs, *example)
        self.mix = bridged(elmo_jax.ScalarMix(), rngs, layers)
        self.tags = nnx.Linear(config.output_dim, n_tags, rngs=rngs)

    def __call__(self, char_ids, lengths):
        """Scores of the tags, [B, T, n_tags]."""
        return self.tags(self.mix(self.bilm(char_ids, lengths)))


def bridged(module, rngs, *example):
    """A Linen module as an NNX one, with new parameters."""
    part = nnx.bridge.ToNNX(module)  # given rngs to keep, it would draw from them in each call
    nnx.bridge.lazy_init(part, *example, rngs=rngs)
    return part


def init(config, bilm_params, n_tags, example):
    """A new tagger around a biLM's parameters."""
    # Inside jit this is one compilation; outside, one for each operation of the biLM.
    tagger = nnx.jit(lambda: Tagger(config, n_tags, example, nnx.Rngs(0)))()
    state = nnx.state(tagger.bilm, nnx.Param)
    nnx.replace_by_pure_dict(state, jax.tree.map(jnp.asarray, bilm_params))
    nnx.update(tagger.bilm, state)
    return tagger


def fit(tagger, data, learning, optimizer, n_epochs):
    """Train what the filter ``learning`` names, in place; gives each epoch's mean loss."""
    structure, learned, fixed = nnx.split(tagger, learning, ...)

    def loss(learned, fixed, char_ids, lengths, tags, real):
        scores = nnx.merge(structure, learned, fixed)(char_ids, lengths)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, tags)
        return (losses * real).sum() / real.sum()

    @jax.jit
    def step(learned, fixed, state, batch):
        value, gradient = jax.value_and_grad(loss)(learned, fixed, *batch)
        updates, state = optimizer.update(gradient, state, learned)
        return optax.apply_updates(learned, updates), state, value

    state, course = optimizer.init(learned), []
    for _ in range(n_epochs):
        losses = []
        for batch in data:
            learned, state, value = step(learned, fixed, state, batch)
            losses.append(value)
        course.append(float(sum(losses)) / len(losses))
    nnx.update(tagger, learned)
    return course


def main():
    """Train on a file, and print the losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="tab-separated: a word first, its tag last")
    parser.add_argument("--sentences", type=int, default=512)
    args = parser.parse_args()

    config, bilm_params = elmo_jax.load()
    names, data = batches(read(args.file, args.sentences), config, batch_size=32)
    tagger = init(config, bilm_params, len(names), data[0][:2])
    course = fit(tagger, data, ALL_BUT_BILM, optax.adam(1e-2), 5)
    print("frozen:    ", *(f"{value:.3f}" for value in course))
    course = fit(tagger, data, ALL, optax.adam(1e-3), 5)
    print("fine-tuned:", *(f"{value:.3f}" for value in course))


if __name__ == "__main__":
    main()
