"""Train the tagger of linen_tagger.py in Flax NNX: ``nnx.bridge.ToNNX`` brings in the biLM.

    python -m examples.nnx_tagger train.tsv [--sentences 512]

``fit`` takes a filter for the parts to train. ``nnx.split`` separates them from the rest, which is
an argument that JAX does not differentiate.
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
    """Predicts tags from a mix of ELMo's layers; ``example`` is any char_ids and lengths."""

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
    part = nnx.bridge.ToNNX(module)  # with rngs here, it would draw from them in each call
    nnx.bridge.lazy_init(part, *example, rngs=rngs)
    return part


def init(config, bilm_params, n_tags, example):
    """A new tagger with the parameters of a trained biLM."""
    # Inside jit this compiles once. Outside, it would compile once for each operation of the biLM.
    tagger = nnx.jit(lambda: Tagger(config, n_tags, example, nnx.Rngs(0)))()
    state = nnx.state(tagger.bilm, nnx.Param)
    nnx.replace_by_pure_dict(state, jax.tree.map(jnp.asarray, bilm_params))
    nnx.update(tagger.bilm, state)
    return tagger


def fit(tagger, data, trained_parts, optimizer, n_epochs):
    """Train the parts that a filter names, in place. Returns the mean loss of each epoch."""
    structure, trained, frozen = nnx.split(tagger, trained_parts, ...)

    def loss(trained, frozen, char_ids, lengths, tags, real):
        scores = nnx.merge(structure, trained, frozen)(char_ids, lengths)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, tags)
        return (losses * real).sum() / real.sum()

    @jax.jit
    def step(trained, frozen, state, batch):
        value, gradient = jax.value_and_grad(loss)(trained, frozen, *batch)
        updates, state = optimizer.update(gradient, state, trained)
        return optax.apply_updates(trained, updates), state, value

    state, epoch_losses = optimizer.init(trained), []
    for _ in range(n_epochs):
        losses = []
        for batch in data:
            trained, state, value = step(trained, frozen, state, batch)
            losses.append(value)
        epoch_losses.append(float(sum(losses)) / len(losses))
    nnx.update(tagger, trained)
    return epoch_losses


def main():
    """Train on a file, and print the losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="tab-separated: the word first, its tag last")
    parser.add_argument("--sentences", type=int, default=512)
    args = parser.parse_args()

    config, bilm_params = elmo_jax.load()
    names, data = batches(read(args.file, args.sentences), config, batch_size=32)
    tagger = init(config, bilm_params, len(names), data[0][:2])
    losses = fit(tagger, data, ALL_BUT_BILM, optax.adam(1e-2), 5)
    print("frozen:    ", *(f"{value:.3f}" for value in losses))
    losses = fit(tagger, data, ALL, optax.adam(1e-3), 5)
    print("fine-tuned:", *(f"{value:.3f}" for value in losses))


if __name__ == "__main__":
    main()
