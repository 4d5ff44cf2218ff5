"""The alphabet of a new model: made from the words that its softmax predicts."""

from __future__ import annotations

from ..checkpoint.vocabulary import MARKERS, Vocabulary
from ..model.alphabet import Alphabet
from ..model.config import ElmoConfig

_LEXICON_WORDS = ("<oov>", "<bos>", "<eos>", "<pad>")
_LEXICON_CHARACTERS = ("<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>")
"""In the order of the dictionaries of ELMoForManyLangs, where the characters end with these."""


def with_alphabet(config: ElmoConfig, vocabulary: Vocabulary) -> ElmoConfig:
    """The config with the alphabet that it needs and lacks.

    A table has the rows of the vocabulary, as in bilm-tf. A lexicon has its words, and their
    characters in the order in which they appear.
    """
    if config.token_layer == "bytes" or config.alphabet is not None:
        return config
    if config.token_layer == "table":
        return config.with_alphabet(Alphabet(vocabulary.words))
    words = [word for word in vocabulary.words if word and word not in MARKERS]
    characters = dict.fromkeys("".join(words))
    return config.with_alphabet(
        Alphabet([*_LEXICON_WORDS, *words], [*characters, *_LEXICON_CHARACTERS])
    )
