"""Words to character ids: UTF-8 bytes between two word markers, padded to one width.

The ids are those of bilm-tf plus one, so that 0 can mark a padded word: byte b has the id b + 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ElmoError, count_problem, counted
from ..text.cut_words import CutWords, are_cut
from ..text.sentences import check_collection, checked_sentences
from .config import ElmoConfig

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


def boundary_ids(config: ElmoConfig) -> np.ndarray:
    """The sentence markers BOS and EOS as two words, int32 [2, C]."""
    return encode_words([BOS, EOS], config.max_characters_per_token)


def spelled_lengths(char_ids_UC: np.ndarray) -> np.ndarray:
    """How many ids each word has before its padding, int64 [U]."""
    return (char_ids_UC != PADDING).sum(axis=1)


def encode_batch(
    sentences: Iterable[Sequence[str]],
    config: ElmoConfig,
    *,
    pad_to: int | Sequence[int] | None = None,
    batch_size: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Sentences to the two arrays that the functions take.

    The functions are compiled once for each shape [B, T]. In a loop over batches, ``pad_to`` and
    ``batch_size`` limit the number of shapes. Padding changes the vectors of real words by
    rounding at most (a few 1e-6).

    Args:
        sentences: at most B lists of words; no word may be empty.
        config: of the model; decides C.
        pad_to: T, or a list of lengths: T is then the smallest that holds the longest
            sentence. None: T is the longest sentence's length.
        batch_size: B; sentences of length 0 fill the remaining rows. None: B is the number of
            sentences.

    Returns:
        char_ids int32 [B, T, C], without sentence markers, 0 at padding; and lengths int32 [B].

    Raises:
        ElmoError: if ``sentences`` is not a list of lists of strings; if a sentence is longer than
            ``pad_to`` allows, or there are more than ``batch_size``. Nothing is ever cut off.

    Warns:
        WordsCutWarning: if words are longer than the model reads.

    Example:
        >>> char_ids, lengths = encode_batch([["Hello", "world"], ["Hi"]], config)
        >>> char_ids.shape, lengths
        ((2, 2, 50), array([2, 1], dtype=int32))
        >>> encode_batch([["Hi"]], config, pad_to=[16, 32, 64], batch_size=8)[0].shape
        (8, 16, 50)
    """
    check_collection(sentences)
    sentences = list(checked_sentences(sentences))
    lengths = list(map(len, sentences))
    n_sentences, n_tokens = batch_shape(lengths, pad_to, batch_size)
    lengths_B = np.array([*lengths, *[0] * (n_sentences - len(lengths))], np.int32)
    # Each distinct word is spelled out once.
    rows: dict[str, int] = {}
    slots = [rows.setdefault(word, len(rows)) for sentence in sentences for word in sentence]
    words = list(rows)
    words_UC = encode_words(words, config.max_characters_per_token)
    char_ids = np.zeros((n_sentences, n_tokens, words_UC.shape[1]), np.int32)
    char_ids[np.arange(n_tokens)[None] < lengths_B[:, None]] = words_UC[slots]
    cut = CutWords(config.max_characters_per_token)
    where_cut = np.flatnonzero(are_cut(words, cut.width)[slots])
    cut.add(len(slots), len(where_cut), words[slots[where_cut[0]]] if len(where_cut) else "")
    cut.warn()
    return char_ids, lengths_B


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
    if isinstance(pad_to, str | bytes) or np.ndim(pad_to) == 0:
        return [_size(pad_to, "pad_to", ", or a list of such numbers")]
    if len(pad_to) == 0:
        raise ElmoError(f"pad_to is {pad_to!r}, expected at least one length.")
    return [_size(length, f"pad_to[{index}]") for index, length in enumerate(pad_to)]


def _size(value: Any, name: str, or_else: str = "") -> int:
    if problem := count_problem(value, name):
        raise ElmoError(f"{problem}{or_else}.")
    return int(value)
