"""Tagged text for the taggers: one word a line, its tag in the last column, blank lines between."""

from pathlib import Path

import numpy as np

import elmo_jax


def read(path, n_sentences=None):
    """Sentences as (words, tags), from a tab-separated file."""
    blocks = Path(path).read_text(encoding="utf-8").strip("\n").split("\n\n")[:n_sentences]
    rows = [[line.split("\t") for line in block.splitlines()] for block in blocks]
    return [([row[0] for row in block], [row[-1] for row in block]) for block in rows]


def batches(sentences, config, batch_size):
    """The names of the tags, and batches of one shape (char_ids, lengths, tags, real).

    One shape means one compilation. tags is int32 [B, T]; real is 1.0 [B, T] at words, 0.0 at
    padding. Sentences that do not fill a last batch are left out.
    """
    names = sorted({tag for _, tags in sentences for tag in tags})
    char_ids, lengths = elmo_jax.encode_batch([words for words, _ in sentences], config)
    real = (np.arange(char_ids.shape[1])[None] < lengths[:, None]).astype(np.float32)
    tags = np.zeros(real.shape, np.int32)
    tags[real > 0] = [names.index(tag) for _, tags in sentences for tag in tags]
    starts = range(0, len(sentences) - batch_size + 1, batch_size)
    slices = [slice(start, start + batch_size) for start in starts]
    return names, [(char_ids[s], lengths[s], tags[s], real[s]) for s in slices]
