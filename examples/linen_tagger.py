"""Train a part-of-speech tagger in Flax Linen: on a frozen biLM first, then together with it.

    python -m examples.linen_tagger train.tsv [--sentences 512]

``fit`` takes the names of the parts to train. The other parts are an argument that JAX does not
differentiate: they have no gradient, and the optimizer stores nothing for them.
"""

import argparse

import flax.linen as nn
import jax
import optax

import elmo_jax

from .tagged import batches, read


class Tagger(nn.Module):
    """Predicts tags from a mix of ELMo's layers."""

    config: elmo_jax.ElmoConfig
    n_tags: int

    @nn.compact
    def __call__(self, char_ids, lengths):
        """Scores of the tags, [B, T, n_tags]."""
        batched = nn.vmap(
            elmo_jax.BiLM, variable_axes={"params": None}, split_rngs={"params": False}
        )
        layers = batched(self.config, name="bilm")(char_ids, lengths)  # [B, L, T, D]
        mixed = elmo_jax.ScalarMix(name="mix")(layers)
        return nn.Dense(self.n_tags, name="tags")(mixed)


def init(tagger, bilm_params, batch):
    """New parameters for the tagger, with the biLM's replaced by trained ones."""
    char_ids, lengths, *_ = batch
    params = jax.jit(tagger.init)(jax.random.key(0), char_ids, lengths)["params"]
    return {**params, "bilm": bilm_params}


def fit(tagger, params, data, trained_parts, optimizer, n_epochs):
    """Train some parts. Returns all parameters, and the mean loss of each epoch."""

    def loss(trained, frozen, char_ids, lengths, tags, real):
        scores = tagger.apply({"params": {**frozen, **trained}}, char_ids, lengths)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, tags)
        return (losses * real).sum() / real.sum()

    @jax.jit
    def step(trained, frozen, state, batch):
        value, gradient = jax.value_and_grad(loss)(trained, frozen, *batch)
        updates, state = optimizer.update(gradient, state, trained)
        return optax.apply_updates(trained, updates), state, value

    trained = {name: params[name] for name in trained_parts}
    frozen = {name: params[name] for name in params if name not in trained_parts}
    state, epoch_losses = optimizer.init(trained), []
    for _ in range(n_epochs):
        losses = []
        for batch in data:
            trained, state, value = step(trained, frozen, state, batch)
            losses.append(value)
        epoch_losses.append(float(sum(losses)) / len(losses))
    return {**frozen, **trained}, epoch_losses


def main():
    """Train on a file, and print the losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", help="tab-separated: the word first, its tag last")
    parser.add_argument("--sentences", type=int, default=512)
    args = parser.parse_args()

    config, bilm_params = elmo_jax.load()
    names, data = batches(read(args.file, args.sentences), config, batch_size=32)
    tagger = Tagger(config, len(names))
    params = init(tagger, bilm_params, data[0])
    params, losses = fit(tagger, params, data, ("mix", "tags"), optax.adam(1e-2), 5)
    print("frozen:    ", *(f"{value:.3f}" for value in losses))
    params, losses = fit(tagger, params, data, ("bilm", "mix", "tags"), optax.adam(1e-3), 5)
    print("fine-tuned:", *(f"{value:.3f}" for value in losses))


if __name__ == "__main__":
    main()
