"""Words as a model reads them: rows of C ids, whatever its token layer.

An id is a row of one of the model's tables plus one, so that 0 can mark a padded word. With
"bytes" the ids are those of ``characters``. With a "lexicon" the first id, if the words have
vectors, is that of the word, and the others are its characters'. With a "table" there is only the
word's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ElmoError
from ..text.cut_words import WordLimit, are_cut
from .alphabet import Alphabet
from .characters import BOS, EOS, encode_words, spelled_lengths
from .config import ElmoConfig

LEXICON_MARKS = ("<bos>", "<eos>")
"""What ELMoForManyLangs calls the sentence markers."""


class Spelling(NamedTuple):
    """U words as the model reads them."""

    ids_UC: np.ndarray  # int32
    lengths_U: np.ndarray  # int64, how many ids of each word come before its padding
    is_cut_U: np.ndarray  # bool, whether the word is longer than the model reads


def word_limit(config: ElmoConfig) -> WordLimit:
    """How much of a word the model reads."""
    if config.token_layer == "table":
        return WordLimit(None)
    unit = "byte" if config.token_layer == "bytes" else "character"
    return WordLimit(config.max_characters_per_token - 2, unit)


def unknown_of(config: ElmoConfig) -> str:
    """The entry of the alphabet that stands for what is not in it."""
    return "<UNK>" if config.token_layer == "table" else "<oov>"


def spell(words: Sequence[str], config: ElmoConfig) -> Spelling:
    """Spell words at full width.

    Raises:
        ElmoError: if the config lacks the alphabet that its token layer needs.
    """
    is_cut_U = are_cut(words, word_limit(config))
    if config.token_layer == "bytes":
        ids_UC = encode_words(words, config.max_characters_per_token)
        return Spelling(ids_UC, spelled_lengths(ids_UC), is_cut_U)
    alphabet = alphabet_of(config)
    if config.token_layer == "table":
        ids_U1 = _rows(words, alphabet.word_rows, unknown_of(config))[:, None] + 1
        return Spelling(ids_U1, np.ones(len(words), np.int64), is_cut_U)
    return Spelling(*_spell_with_lexicon(words, config, alphabet), is_cut_U)


def spell_marks(config: ElmoConfig) -> Spelling:
    """The sentence markers BOS and EOS, spelled as two words."""
    if config.token_layer != "lexicon":
        return spell([BOS, EOS], config)
    # Unlike words, they are never cut.
    ids_2C, lengths = _spell_with_lexicon(LEXICON_MARKS, config, alphabet_of(config), cut=False)
    return Spelling(ids_2C, lengths, np.zeros(2, bool))


def boundary_ids(config: ElmoConfig) -> np.ndarray:
    """The sentence markers BOS and EOS as two words, int32 [2, C]."""
    return spell_marks(config).ids_UC


def alphabet_of(config: ElmoConfig) -> Alphabet:
    """The alphabet of a model that needs one; ElmoError if its config has none."""
    if config.alphabet is None:
        raise ElmoError(
            f"This ElmoConfig with token_layer={config.token_layer!r} has no alphabet, so nothing "
            "says which word or character has which row: config.with_alphabet(Alphabet(words, "
            "characters))."
        )
    return config.alphabet


def _spell_with_lexicon(
    words: Sequence[str], config: ElmoConfig, alphabet: Alphabet, *, cut: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The ids and lengths of words as ELMoForManyLangs spells them."""
    if cut:  # for both look-ups; in code points
        most = config.max_characters_per_token - 2
        words = [word[:most] for word in words]
    ids_UC = np.zeros((len(words), config.spelling_width), np.int32)
    lengths_U = np.full(len(words), config.word_columns, np.int64)
    if config.word_columns:
        ids_UC[:, 0] = _rows(words, alphabet.word_rows, unknown_of(config))
    if config.filters:
        row_of = alphabet.character_rows
        # A sentence marker is a word with one character of its own.
        spelled = [[word] if word in LEXICON_MARKS else word for word in words]
        n_U = np.fromiter(map(len, spelled), np.int64, len(words))
        characters_UC = ids_UC[:, config.word_columns :]
        characters_UC[:] = row_of["<pad>"]
        is_inner_UC = np.arange(characters_UC.shape[1] - 2)[None] < n_U[:, None]
        inner = _rows(list(itertools.chain.from_iterable(spelled)), row_of, unknown_of(config))
        characters_UC[:, 1:-1][is_inner_UC] = inner
        # The marks of a word stand the wrong way round, in training and so here.
        characters_UC[:, 0] = row_of["<eow>"]
        characters_UC[np.arange(len(words)), n_U + 1] = row_of["<bow>"]
        lengths_U += n_U + 2
    return ids_UC + 1, lengths_U


def _rows(entries: Sequence[str], row_of: Mapping[str, int], unknown: str) -> np.ndarray:
    rows = map(row_of.get, entries, itertools.repeat(row_of[unknown]))
    return np.fromiter(rows, np.int32, len(entries))
