"""The text to measure on, and fair parts of it for systems that would take hours.

A part must cost a system what the whole does, so it consists of whole batches, cut as the system
would cut them from the whole text. Sentences picked one by one would be padded to other lengths:
the fewer sentences are sorted, the less alike are neighbors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elmo_jax import ElmoError
from elmo_jax.text.readers import Records

Sentence = list[str]


BENCH = ("data", "bench", "masc_20k.txt")
HELDOUT = ("data", "heldout", "valid.txt")
"""Texts of the shared data; mini was not trained on the second."""


def shared_data() -> Path:
    """The folder that ELMO_JAX_SHARED names, or ``shared`` beside the checkout."""
    return Path(os.environ.get("ELMO_JAX_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def corpus_file(path: str | None, default: Sequence[str] = BENCH) -> Path:
    """The file at ``path``, or one of the shared data."""
    file = Path(path) if path else shared_data().joinpath(*default)
    if not file.is_file():
        raise ElmoError(
            f"There is no text {file}. Name one with --corpus (one tokenized sentence a line), "
            f"or the folder that holds {'/'.join(default)} with ELMO_JAX_SHARED."
        )
    return file


def read_sentences(file: Path) -> list[Sentence]:
    """The sentences of a text file; blank lines are left out, because some peers refuse them."""
    records = Records.of(file, "text")
    sentences = [list(record.words) for record in records if record.words]
    if not sentences:
        raise ElmoError(f"{file} has no words: expected one tokenized sentence a line.")
    return sentences


def write_sentences(file: Path, sentences: Sequence[Sequence[str]]) -> Path:
    """Write one sentence a line, as the peers read them."""
    file.write_text("".join(" ".join(words) + "\n" for words in sentences), encoding="utf-8")
    return file


def count_tokens(sentences: Sequence[Sequence[str]]) -> int:
    return sum(map(len, sentences))


def even_sample(sentences: Sequence[Sentence], n_tokens: int) -> list[Sentence]:
    """At least ``n_tokens`` tokens (or all): every k-th sentence by length, in the text's order."""
    return even_batches(sentences, n_tokens, batch_size=1, order="sorted")


def even_batches(
    sentences: Sequence[Sentence], n_tokens: int, batch_size: int, order: str
) -> list[Sentence]:
    """At least ``n_tokens`` tokens (or all) in whole batches, evenly spread over the text.

    A system that cuts the result into batches of ``batch_size`` makes batches that it would also
    make of the whole text. ``order`` says how it goes through the sentences: as they come
    ("given"), or by length ("sorted"). The sentences returned stay in the text's order.
    """
    if count_tokens(sentences) <= n_tokens:
        return list(sentences)
    indices = list(range(len(sentences)))
    if order == "sorted":
        indices.sort(key=lambda i: (len(sentences[i]), i))
    whole = len(indices) - len(indices) % batch_size  # leaves out a last batch with gaps
    batches = [indices[i : i + batch_size] for i in range(0, whole, batch_size)]
    sizes = [sum(len(sentences[i]) for i in batch) for batch in batches]
    if sum(sizes) < n_tokens:
        return list(sentences)
    n_batches = max(1, len(batches) * n_tokens // sum(sizes))
    while sum(sizes[i] for i in _evenly(len(batches), n_batches)) < n_tokens:
        n_batches += 1
    numbers = _evenly(len(batches), n_batches)
    return [sentences[i] for i in sorted(i for number in numbers for i in batches[number])]


def _evenly(n: int, n_batches: int) -> list[int]:
    """``n_batches`` of ``n`` numbers, each in the middle of its share."""
    return [(2 * i + 1) * n // (2 * n_batches) for i in range(n_batches)]


def recut(sentences: Sequence[Sentence], length: int, n_tokens: int) -> list[Sentence]:
    """The running text in sentences of ``length`` words, repeated to ``n_tokens`` or more."""
    n_sentences = -(-n_tokens // length)
    words = [word for sentence in sentences for word in sentence][: n_sentences * length]
    words *= -(-n_sentences * length // len(words))
    return [words[i * length : (i + 1) * length] for i in range(n_sentences)]


def write_made_up_text(file: Path, n_tokens: int, n_words: int) -> Path:
    """Write at least ``n_tokens`` random tokens of ``n_words`` words; always the same text.

    Word r has a probability proportional to 1 / (r + 3.7), after Zipf and Mandelbrot, so a window
    holds about as many distinct words as one of running English.
    """
    rng = np.random.default_rng(0)
    words = np.array([spell(rank) for rank in range(n_words)])
    share = 1 / (np.arange(n_words) + 3.7)
    ends = np.cumsum(rng.geometric(1 / 20, n_tokens))  # sentences have 20 words on average
    ends = ends[: int(np.searchsorted(ends, n_tokens)) + 1]
    text = words[rng.choice(n_words, ends[-1], p=share / share.sum())]
    return write_sentences(file, [part.tolist() for part in np.split(text, ends[:-1])])


def spell(rank: int) -> str:
    """The made-up word of a rank, from 0: all differ, and rare ones are longer."""
    letters = "etaoinshrdlucmfwypvbgkqjxz"
    word = ""
    rank += 1
    while rank:
        rank, digit = divmod(rank - 1, len(letters))
        word += letters[digit] * (1 + digit % 2)
    return word
