"""Batches of sentences as the arrays that the functions take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ElmoError, count_problem, counted
from ..text.cut_words import CutWords, check_cut_words
from ..text.sentences import check_collection, checked_sentences
from .config import ElmoConfig, check_config
from .spelling import spell, word_limit


def encode_batch(
    sentences: Iterable[Sequence[str]],
    config: ElmoConfig,
    *,
    pad_to: int | Sequence[int] | None = None,
    batch_size: int | None = None,
    cut_words: CutWords | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn sentences into the two arrays that the functions take.

    The functions are compiled once for each shape [B, T]. In a loop over batches, ``pad_to`` and
    ``batch_size`` limit the number of shapes. Padding changes the vectors of real words only
    by rounding (a few 1e-6).

    Args:
        sentences: at most B lists of words; no word may be empty.
        config: the model's; it decides C, and holds the alphabet if the model needs one.
        pad_to: T; or a list of lengths, of which T is the smallest that holds the longest
            sentence. None: T is the length of the longest sentence.
        batch_size: B; sentences of length 0 fill the remaining rows. None: B is the number of
            sentences.
        cut_words: counts words that are longer than the model reads; replaces the warning.

    Returns:
        char_ids int32 [B, T, C], without sentence markers, 0 at padding; and lengths int32 [B].
        The page "Functions over arrays" says what the C ids of a word are.

    Raises:
        ElmoError: if ``sentences`` is not a list of lists of strings; if a sentence is longer than
            ``pad_to`` allows, or there are more than ``batch_size`` sentences; or if there is not
            enough memory for the arrays. Nothing is ever cut off.

    Warns:
        WordsCutWarning: if words are longer than the model reads.

    Example:
        >>> char_ids, lengths = encode_batch([["Hello", "world"], ["Hi"]], config)
        >>> char_ids.shape, lengths
        ((2, 2, 50), array([2, 1], dtype=int32))
        >>> encode_batch([["Hi"]], config, pad_to=[16, 32, 64], batch_size=8)[0].shape
        (8, 16, 50)
    """
    check_config(config)
    check_cut_words(cut_words)
    check_collection(sentences)
    sentences = list(checked_sentences(sentences))
    lengths = list(map(len, sentences))
    n_sentences, n_tokens = batch_shape(lengths, pad_to, batch_size)
    lengths_B, char_ids = _zeros(n_sentences, n_tokens, config.spelling_width)
    lengths_B[: len(lengths)] = lengths
    # Each distinct word is spelled out once.
    rows: dict[str, int] = {}
    slots = [rows.setdefault(word, len(rows)) for sentence in sentences for word in sentence]
    words = list(rows)
    spelling = spell(words, config)
    char_ids[np.arange(n_tokens)[None] < lengths_B[:, None]] = spelling.ids_UC[slots]
    cut = CutWords(word_limit(config)) if cut_words is None else cut_words
    where_cut = np.flatnonzero(spelling.is_cut_U[slots])
    cut.add(len(slots), len(where_cut), words[slots[where_cut[0]]] if len(where_cut) else "")
    if cut_words is None:
        cut.warn()
    return char_ids, lengths_B


def _zeros(n_sentences: int, n_tokens: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    try:
        lengths_B = np.zeros(n_sentences, np.int32)
        return lengths_B, np.zeros((n_sentences, n_tokens, width), np.int32)
    except (MemoryError, ValueError):  # ValueError: more bytes than 64 bits count
        raise ElmoError(
            f"There is not enough memory for {n_sentences:,} sentences of {n_tokens:,} words, "
            f"{width:,} ids each. Choose a smaller batch_size or pad_to."
        ) from None


def batch_shape(
    lengths: Sequence[int], pad_to: int | Sequence[int] | None, batch_size: int | None
) -> tuple[int, int]:
    """B and T for sentences of these lengths, see ``encode_batch``."""
    n_rows = len(lengths) if batch_size is None else _size(batch_size, "batch_size")
    if len(lengths) > n_rows:
        raise ElmoError(
            f"Got {counted(len(lengths), 'sentence')} for batch_size={n_rows}. Divide them into "
            "batches of at most that many."
        )
    longest = max(lengths, default=0)
    if pad_to is None:
        return n_rows, longest
    sizes = _sizes(pad_to)
    if longest > max(sizes):
        index = list(lengths).index(longest)
        raise ElmoError(
            f"Sentence {index} has {longest} words; pad_to={pad_to!r} allows at most {max(sizes)}. "
            "Add a larger length to pad_to, or divide the sentence."
        )
    return n_rows, min(size for size in sizes if size >= longest)


def _sizes(pad_to: Any) -> list[int]:
    # A NumPy array is no Sequence; what is neither gets an error as a number would.
    if not (isinstance(pad_to, list | tuple | range) or getattr(pad_to, "ndim", 0) == 1):
        return [_size(pad_to, "pad_to", ", or a list of such numbers")]
    if len(pad_to) == 0:
        raise ElmoError(f"pad_to is {pad_to!r}, expected at least one length.")
    return [_size(length, f"pad_to[{index}]") for index, length in enumerate(pad_to)]


def _size(value: Any, name: str, or_else: str = "") -> int:
    if problem := count_problem(value, name):
        raise ElmoError(f"{problem}{or_else}.")
    return int(value)
