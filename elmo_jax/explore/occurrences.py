"""Where a word occurs in a text, and its vectors there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..embedder import Elmo
from ..errors import ElmoError, check_count, shortened
from ..text.cut_words import CutWords
from ..text.sentences import SentenceChecker, check_collection
from ..text.tokenizers import CheckedWords


@dataclasses.dataclass(frozen=True)
class Occurrence:
    """A word in its sentence.

    Attributes:
        words: the sentence.
        position: of the word in it, from 0.
        sentence: its number in the text, from 0; -1 for a sentence from elsewhere.
        label: of the sentence, if it has one.
        file: the name of the file with the sentence, if it is known.
        line: the line of that file where the sentence begins, from 1; 0 if it is not known.
    """

    words: tuple[str, ...]
    position: int
    sentence: int = -1
    label: str | None = None
    file: str = ""
    line: int = 0

    @property
    def word(self) -> str:
        """The word itself, as it is spelled here."""
        return self.words[self.position]

    def marked(self, left: str = "[", right: str = "]") -> str:
        """The sentence as text, with marks around the word."""
        words = list(self.words)
        words[self.position] = f"{left}{self.word}{right}"
        return " ".join(words)


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A sentence with a label, and where it comes from, if that is known.

    The functions of this package take it like a list of words.
    """

    words: Sequence[str]
    label: str | None
    file: str = ""
    line: int = 0


class Occurrences(list[Occurrence]):
    """Occurrences in the order of the text, all or a sample; ``total`` is the number of all."""

    total: int = 0


def find_occurrences(
    word: str,
    sentences: Iterable[Sequence[str] | Labelled],
    *,
    most: int | None = None,
    exact: bool = False,
) -> Occurrences:
    """Find a word in a text, in one pass.

    Args:
        word: as the tokenizer yields it.
        sentences: lists of words, or ``Labelled``.
        most: the size of a sample, spread evenly over the text; None returns every occurrence.
        exact: distinguish upper from lower case.

    Raises:
        ElmoError: if ``most`` is not positive, the word does not occur, or a sentence is bad.

    Example:
        >>> for occurrence in find_occurrences("bank", [["a", "bank"], ["The", "Bank", "lends"]]):
        ...     print(occurrence.sentence, occurrence.marked())
        0 a [bank]
        1 The [Bank] lends
    """
    if most is not None:
        check_count(most, "most")
    sample, step = Occurrences(), 1
    for occurrence in iter_occurrences(word, sentences, exact=exact):
        if sample.total % step == 0:
            sample.append(occurrence)
            if most is not None and len(sample) >= 2 * most:  # the most that memory ever holds
                # Drop every second one, and from here on take half as many.
                sample[:] = sample[::2]
                step *= 2
        sample.total += 1
    if not sample:
        raise ElmoError(
            f"{word!r} does not occur in the text{' in this spelling' if exact else ''}. Expected "
            "a word as the tokenizer yields it; tokenizer= chooses another one."
        )
    # Now there are at most 2 * most: thin them out evenly.
    if most is not None and len(sample) > most:
        sample[:] = [sample[i * len(sample) // most] for i in range(most)]
    return sample


def iter_occurrences(
    word: str | None, sentences: Iterable[Sequence[str] | Labelled], *, exact: bool = False
) -> Iterator[Occurrence]:
    """All occurrences of a word, one by one; for None, of every word."""
    if not isinstance(word, str | None):
        raise ElmoError(f"Expected a word as str, got {type(word).__name__} {shortened(word)}.")
    normal: Callable[[str], str] = str if exact else str.casefold
    wanted = None if word is None else normal(word)
    for number, sentence in enumerate(_checked_with_labels(sentences)):
        words = tuple(sentence.words)
        for position, candidate in enumerate(words):
            if wanted is None or normal(candidate) == wanted:
                origin = sentence.label, sentence.file, sentence.line
                yield Occurrence(words, position, number, *origin)


def occurrence_in(sentence: Sequence[str], word: str, *, exact: bool = False) -> Occurrence:
    """The first occurrence of a word in one sentence; raises ElmoError if there is none."""
    for occurrence in iter_occurrences(word, [sentence], exact=exact):
        return dataclasses.replace(occurrence, sentence=-1)
    raise ElmoError(f"{word!r} is not a word of the sentence {' '.join(sentence)!r}.")


def embed_occurrences(
    elmo: Elmo,
    occurrences: Sequence[Occurrence],
    *,
    done: Callable[[int], object] | None = None,
    cut_words: CutWords | None = None,
) -> np.ndarray:
    """The vectors of N occurrences in all layers, float32 [N, L, D].

    ``done`` is called after each sentence with the number of its words, to show progress;
    ``cut_words`` is that of ``Elmo.stream``.

    Raises:
        ElmoError: unless these are occurrences.

    Example:
        >>> occurrences = find_occurrences("bank", [["a", "bank"], ["The", "Bank", "lends"]])
        >>> embed_occurrences(elmo_jax.Elmo(), occurrences).shape
        (2, 3, 256)
    """
    check_occurrences(occurrences)
    shape = (len(occurrences), elmo.config.n_output_layers, elmo.config.output_dim)
    vectors_NLD = np.empty(shape, np.float32)
    sentences = (CheckedWords(occurrence.words) for occurrence in occurrences)
    results = elmo.stream(sentences, cut_words=cut_words)
    for row, (occurrence, layers_LTD) in enumerate(zip(occurrences, results, strict=True)):
        vectors_NLD[row] = layers_LTD[:, occurrence.position]
        if done is not None:
            done(len(occurrence.words))
    return vectors_NLD


def check_occurrences(occurrences: Any) -> None:
    """Raise ElmoError unless this is a sequence of occurrences."""
    is_sequence = isinstance(occurrences, Sequence)
    if not is_sequence or not all(isinstance(one, Occurrence) for one in occurrences):
        raise ElmoError(
            "Expected a list of occurrences, as find_occurrences returns it, got "
            f"{shortened(occurrences)}."
        )


def _checked_with_labels(
    sentences: Iterable[Sequence[str] | Labelled],
) -> Iterator[Labelled]:
    check_collection(sentences, "find_occurrences(word, [{}.split()])")
    checker = SentenceChecker()
    for number, sentence in enumerate(sentences):
        labelled = sentence if isinstance(sentence, Labelled) else Labelled(sentence, None)
        checker.check(labelled.words, f"sentence {number}")
        if not isinstance(labelled.label, str | None):
            raise ElmoError(
                f"The label of sentence {number} is {shortened(labelled.label)}, expected a string "
                "or None."
            )
        yield labelled
