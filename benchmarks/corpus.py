"""The text that is measured on, and fair parts of it for systems that would take hours.

A part must cost a system what the whole does: so it is chosen in whole batches, as the system
would make them of the whole text. Sentences picked one by one would be padded to other lengths,
for the fewer sentences are sorted, the less alike are neighbours.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from elmo_jax import ElmoError
from elmo_jax.text.readers import Records

Sentence = list[str]

ORDERS = ("given", "sorted")
"""How a system goes through sentences: as they come, or by their number of tokens."""

BENCH = ("data", "bench", "masc_20k.txt")
HELDOUT = ("data", "heldout", "valid.txt")
"""Texts of the shared data; the second is one that mini was not trained on."""


def corpus_file(path: str | None, default: Sequence[str] = BENCH) -> Path:
    """The file named, or one of the shared data (ELMO_JAX_SHARED, default ``../shared``).

    Raises:
        ElmoError: if there is no such file.
    """
    checkout = Path(__file__).resolve().parents[1]
    shared = Path(os.environ.get("ELMO_JAX_SHARED", checkout.parent / "shared"))
    file = Path(path) if path else shared.joinpath(*default)
    if not file.is_file():
        raise ElmoError(
            f"There is no text {file}. Name one with --corpus (one tokenised sentence a line), "
            f"or the folder that holds {'/'.join(default)} with ELMO_JAX_SHARED."
        )
    return file


def read_sentences(file: Path) -> list[Sentence]:
    """The sentences of a text file; blank lines are left out, as some peers refuse them.

    Raises:
        ElmoError: if the file is not UTF-8, or has no words.
    """
    records = Records.of(file, "text")
    sentences = [list(record.words) for record in records if record.words]
    if not sentences:
        raise ElmoError(f"{file} has no words: expected one tokenised sentence a line.")
    return sentences


def write_sentences(file: Path, sentences: Sequence[Sequence[str]]) -> Path:
    """Write one sentence a line, as the peers read them."""
    file.write_text("".join(" ".join(words) + "\n" for words in sentences), encoding="utf-8")
    return file


def count_tokens(sentences: Sequence[Sequence[str]]) -> int:
    """Words of all sentences together."""
    return sum(map(len, sentences))


def even_sample(sentences: Sequence[Sentence], n_tokens: int) -> list[Sentence]:
    """At least ``n_tokens`` tokens (or all): every k-th of the sentences by length.

    The sample has the distribution of lengths of the whole, and its order.
    """
    return even_batches(sentences, n_tokens, batch_size=1, order="sorted")


def even_batches(
    sentences: Sequence[Sentence], n_tokens: int, batch_size: int, order: str
) -> list[Sentence]:
    """At least ``n_tokens`` tokens (or all) in whole batches, evenly spread over the text.

    A system that cuts the result into batches of ``batch_size`` in ``order`` makes batches that
    it would have made of the whole text.

    Args:
        sentences: the whole text.
        n_tokens: how much of it at least.
        batch_size: of the system.
        order: one of ORDERS.

    Returns:
        The sentences of the chosen batches, in the order of the text.
    """
    if count_tokens(sentences) <= n_tokens:
        return list(sentences)
    indices = list(range(len(sentences)))
    if order == "sorted":
        indices.sort(key=lambda i: (len(sentences[i]), i))
    whole = len(indices) - len(indices) % batch_size  # a last batch with gaps stays out
    batches = [indices[i : i + batch_size] for i in range(0, whole, batch_size)]
    sizes = [sum(len(sentences[i]) for i in batch) for batch in batches]
    if sum(sizes) < n_tokens:
        return list(sentences)
    n_chosen = max(1, len(batches) * n_tokens // sum(sizes))
    chosen = _spread(len(batches), n_chosen)
    while sum(sizes[batch] for batch in chosen) < n_tokens:
        n_chosen += 1
        chosen = _spread(len(batches), n_chosen)
    return [sentences[i] for i in sorted(i for batch in chosen for i in batches[batch])]


def _spread(n: int, n_chosen: int) -> list[int]:
    """``n_chosen`` of ``n`` places, each in the middle of its share."""
    return [(2 * i + 1) * n // (2 * n_chosen) for i in range(n_chosen)]


def recut(sentences: Sequence[Sentence], length: int, n_tokens: int) -> list[Sentence]:
    """Sentences of exactly ``length`` words: the running text, cut anew.

    Args:
        sentences: the text; it is repeated if it is too short.
        length: words of each sentence.
        n_tokens: how many words at least, in whole sentences.
    """
    n_sentences = -(-n_tokens // length)
    words = [word for sentence in sentences for word in sentence][: n_sentences * length]
    words *= -(-n_sentences * length // len(words))
    return [words[i * length : (i + 1) * length] for i in range(n_sentences)]
