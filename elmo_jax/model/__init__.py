"""The biLM as Flax modules, written for one lane: a row of tokens in time.

Batches are made with ``jax.vmap`` (or ``flax.linen.vmap`` inside a module of one's own).

Dimension key, used in array names here and everywhere in the library:
    B sentences, T tokens, C characters, E character dimension, F filters, P projection,
    D = 2P, H cell, G = 4H gates, L layers with the token layer, V vocabulary, N lanes,
    U distinct words, S sentences of a packed batch, M mixes.

The equations are those of Peters et al. 2018, and where the paper is silent or differs, those
of the code that was released with it (bilm-tf).
"""
