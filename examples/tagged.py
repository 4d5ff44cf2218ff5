"""Read tagged text for the taggers.

A line holds a word and, in the last column, its tag. A blank line separates sentences.
"""

from pathlib import Path

import numpy as np

import elmo_jax


def read(path, n_sentences=None):
    """Sentences as (words, tags), from a tab-separated file."""
    blocks = Path(path).read_text(encoding="utf-8").strip("\n").split("\n\n")[:n_sentences]
    rows = [[line.split("\t") for line in block.splitlines()] for block in blocks]
    return [([row[0] for row in block], [row[-1] for row in block]) for block in rows]


def batches(sentences, config, batch_size, pad_to=(16, 32, 64, 256)):
    """The names of the tags, and batches (char_ids, lengths, tags, real) in few shapes.

    Each shape is compiled once. B is always ``batch_size``: empty sentences fill the last batch.
    T is one of ``pad_to``. tags is int32 [B, T]; real is float32 [B, T], 1 at words, 0 at padding.
    """
    names = sorted({tag for _, tags in sentences for tag in tags})
    data = []
    for start in range(0, len(sentences), batch_size):
        words, tags = zip(*sentences[start : start + batch_size], strict=True)
        char_ids, lengths = elmo_jax.encode_batch(
            words, config, pad_to=pad_to, batch_size=batch_size
        )
        real = np.arange(char_ids.shape[1])[None] < lengths[:, None]
        numbers = np.zeros(real.shape, np.int32)
        numbers[real] = [names.index(tag) for sentence in tags for tag in sentence]
        data.append((char_ids, lengths, numbers, real.astype(np.float32)))
    return names, data
