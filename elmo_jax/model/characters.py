"""Words to character ids: UTF-8 bytes between two word markers, padded to one width.

The ids are those of bilm-tf plus one, so that 0 can mark a padded word: byte b has the id b + 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, PADDING = range(257, 262)

BOS, EOS = "<S>", "</S>"
"""The two words that stand for a sentence marker and not for their characters, as in AllenNLP."""


def encode_words(words: Sequence[str], width: int) -> np.ndarray:
    """Spell out U words as int32 [U, C], ids 1..261, where C is ``width``.

    Words longer than ``width - 2`` bytes are cut there, even inside a character; what cannot be
    encoded in UTF-8 (lone surrogates) is left out.
    """
    # The bytes of all words go into the array at once, which is much faster than word by word.
    spelled = [word.encode("utf-8", "ignore")[: width - 2] for word in words]
    n_bytes_U = np.fromiter(map(len, spelled), np.int64, len(spelled))
    ids_UC = np.full((len(spelled), width), PADDING, np.int32)
    is_byte_UC = np.arange(width - 2)[None] < n_bytes_U[:, None]
    ids_UC[:, 1:-1][is_byte_UC] = np.frombuffer(b"".join(spelled), np.uint8).astype(np.int32) + 1
    ids_UC[:, 0] = BEGIN_WORD
    ids_UC[np.arange(len(spelled)), n_bytes_U + 1] = END_WORD
    # A sentence marker is a word with one character of its own, between the same word markers.
    for marker, marker_id in ((BOS, BEGIN_SENTENCE), (EOS, END_SENTENCE)):
        rows = [row for row, word in enumerate(words) if word == marker]
        ids_UC[rows, 1:3] = marker_id, END_WORD
        ids_UC[rows, 3:] = PADDING
    return ids_UC


def spelled_lengths(char_ids_UC: np.ndarray) -> np.ndarray:
    """How many ids each word has before its padding, int64 [U]."""
    return (char_ids_UC != PADDING).sum(axis=1)
