"""Where does a word occur, and which vectors has it there?"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from ..embedder import Elmo
from ..errors import ElmoError, check_count
from ..text.cut_words import CutWords
from ..text.sentences import CheckedWords, check_not_a_string, checked_word, warn_of_space


@dataclasses.dataclass(frozen=True)
class Occurrence:
    """One word in its sentence.

    Attributes:
        words: the sentence.
        position: of the word in it, from 0.
        sentence: the sentence's number in its text, from 0; -1 for one from elsewhere.
        label: what the text says of the sentence, if anything.
    """

    words: tuple[str, ...]
    position: int
    sentence: int = -1
    label: str | None = None

    @property
    def word(self) -> str:
        """The word itself."""
        return self.words[self.position]

    def marked(self, left: str = "[", right: str = "]") -> str:
        """The sentence as text, the word between two marks."""
        words = list(self.words)
        words[self.position] = f"{left}{self.word}{right}"
        return " ".join(words)


@dataclasses.dataclass(frozen=True)
class Labelled:
    """A sentence with a label; ``find_occurrences`` takes it in place of a list of words."""

    words: Sequence[str]
    label: str | None


class Found(list[Occurrence]):
    """Occurrences that were kept, in the order of the text.

    Attributes:
        total: how many the text has.
    """

    total: int = 0


def find_occurrences(
    word: str,
    sentences: Iterable[Sequence[str] | Labelled],
    *,
    most: int | None = None,
    exact: bool = False,
) -> Found:
    """Find a word in a text, in one pass and in memory for ``2 * most`` sentences.

    Args:
        word: the word.
        sentences: lists of words, or ``Labelled``.
        most: how many to keep, at even distances over the text; all if None.
        exact: tell upper from lower case.

    Raises:
        ElmoError: if ``most`` is not positive, the word does not occur, or a sentence is none.
    """
    if most is not None:
        check_count(most, "most")
    found, step = Found(), 1
    for occurrence in occurrences(word, sentences, exact=exact):
        if found.total % step == 0:
            found.append(occurrence)
            if most is not None and len(found) >= 2 * most:  # keep every second from here on
                found[:] = found[::2]
                step *= 2
        found.total += 1
    if not found:
        raise ElmoError(
            f"{word!r} does not occur in the text{' in this spelling' if exact else ''}. Expected "
            "a word as the tokenizer gives it; --tokenizer chooses another."
        )
    if most is not None and len(found) > most:
        found[:] = [found[i * len(found) // most] for i in range(most)]
    return found


def occurrences(
    word: str, sentences: Iterable[Sequence[str] | Labelled], *, exact: bool = False
) -> Iterator[Occurrence]:
    """All occurrences of a word, as the sentences come."""
    wanted = word if exact else word.casefold()
    for number, (words, label) in enumerate(labelled(sentences)):
        for position, candidate in enumerate(words):
            if (candidate if exact else candidate.casefold()) == wanted:
                yield Occurrence(tuple(words), position, number, label)


def occurrence_in(sentence: Sequence[str], word: str, *, exact: bool = False) -> Occurrence:
    """The first occurrence of a word in one sentence.

    Raises:
        ElmoError: if the sentence does not have it.
    """
    for occurrence in occurrences(word, [sentence], exact=exact):
        return dataclasses.replace(occurrence, sentence=-1)
    raise ElmoError(f"{word!r} is none of the words of the sentence {' '.join(sentence)!r}.")


def embed_occurrences(
    elmo: Elmo,
    found: Sequence[Occurrence],
    *,
    done: Callable[[int], object] | None = None,
    cut_words: CutWords | None = None,
) -> np.ndarray:
    """The vectors of occurrences.

    Args:
        elmo: the model.
        found: the occurrences.
        done: called after each sentence with the number of its words, to show how far it is.
        cut_words: as in ``Elmo.stream``.

    Returns:
        float32 [N, L, D], one row an occurrence, all layers.
    """
    vectors = np.empty(
        (len(found), elmo.config.n_output_layers, elmo.config.output_dim), np.float32
    )
    words = (CheckedWords(occurrence.words) for occurrence in found)
    results = elmo.stream(words, cut_words=cut_words)
    for row, (occurrence, layers_LTD) in enumerate(zip(found, results, strict=True)):
        vectors[row] = layers_LTD[:, occurrence.position]
        if done is not None:
            done(len(occurrence.words))
    return vectors


def labelled(
    sentences: Iterable[Sequence[str] | Labelled],
) -> Iterator[tuple[Sequence[str], str | None]]:
    """Sentences with their labels, checked."""
    check_not_a_string(sentences)
    warned = False
    for number, sentence in enumerate(sentences):
        words, label = (
            (sentence.words, sentence.label) if isinstance(sentence, Labelled) else (sentence, None)
        )
        spaced = checked_word(words, f"sentence {number}")
        if spaced and not warned:
            warned = warn_of_space(spaced, f"sentence {number}")
        yield CheckedWords(words), label
