"""The biLM as Flax modules, written for one lane: a row of tokens in time.

``jax.vmap`` makes batches (inside your own module, ``flax.linen.vmap``).

Dimension key, used in array names here and everywhere in the library:
    B sentences, T tokens, C characters, E character dimension, F filters, P projection,
    D = 2P, H cell, G = 4H gates, L layers with the token layer, V vocabulary, N lanes,
    U distinct words, S sentences of a packed batch, M mixes.

The equations are those of Peters et al. 2018. Where the paper is silent or differs from the code
released with it (bilm-tf), they are those of the code.
"""
