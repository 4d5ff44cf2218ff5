"""From the vectors of pieces to those of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def word_means(vectors_LPD: np.ndarray, word_of_piece: Sequence[int | None], n: int) -> np.ndarray:
    """The mean over each word's pieces, float32 [L, T, D], of ``n`` words.

    ``word_of_piece`` has the number of each piece's word, and None for pieces of no word.

    Raises:
        ValueError: if a word has no piece.
    """
    numbers_P = np.array([-1 if word is None else word for word in word_of_piece])
    is_of_TP = numbers_P == np.arange(n)[:, None]
    n_pieces_T = is_of_TP.sum(axis=1)
    if not n_pieces_T.all():
        raise ValueError(f"the words {np.flatnonzero(n_pieces_T == 0)} have no piece")
    return is_of_TP.astype(np.float32) @ vectors_LPD / n_pieces_T[:, None].astype(np.float32)
