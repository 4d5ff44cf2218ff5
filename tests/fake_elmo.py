"""A fake Elmo: its vectors come from the spelling of words, at once, without compiling."""

import zlib

import numpy as np

from elmo_jax import ElmoConfig
from elmo_jax.text.readers import Record


class FakeElmo:
    """What `embed_corpus` needs of an Elmo.

    `warmth` counts earlier sentences: in a real model, the last bits may depend on them.
    """

    def __init__(self):
        self.config = ElmoConfig(
            filters=((1, 4),), projection_dim=2, cell_dim=4, char_embedding_dim=4
        )
        self.params = {"weights": np.arange(3.0)}
        self.precision = "float32"
        self.warmth = 0
        self.streams = 0

    def forget_words(self):
        self.warmth = 0

    def stream(self, sentences, layers="all", *, pooling=None, dtype="float32", **_):
        self.streams += 1
        for words in list(sentences):  # reads ahead, as the real one does
            numbers = [zlib.crc32(word.encode()) % 1000 + self.warmth for word in words]
            self.warmth += 1
            tokens = np.outer(numbers, [1, 2, 3, 4]).astype(dtype).reshape(-1, 4)
            vectors = np.stack([tokens, -tokens, 2 * tokens]) if layers == "all" else tokens
            if pooling:
                vectors = vectors.sum(-2)
            yield vectors


def sentences(n, start=0):
    """Numbered records of 0 to 5 words, with keys."""
    for i in range(start, start + n):
        words = [f"w{i}", "é", "/", '"', "😀"][: i % 6]
        yield Record(words, " ".join(words), f"doc/{i}", "corpus", i + 1)
