"""WordVectors: the vectors of words by name, their neighbors, and their files."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ElmoError, check_count, shortened
from ..model.arrays import finite_floats
from ..text.sentences import check_strings
from .vector_files import read_vectors, write_vectors


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class WordVectors:
    """The vectors of V words.

    Attributes:
        words: V different words, often by falling frequency.
        vectors: float32 [V, D].

    Raises:
        ElmoError: if words are not different strings, or there is not one finite vector for each.

    Example:
        >>> vectors = WordVectors(["bank", "shore"], [[1.0, 0.0], [0.6, 0.8]])
        >>> vectors.most_similar("bank")
        [('shore', 0.6)]
    """

    words: Sequence[str]
    vectors: np.ndarray

    def __post_init__(self) -> None:
        check_strings(self.words, "the words of WordVectors")
        object.__setattr__(self, "words", tuple(self.words))
        if len(self._rows) < len(self.words):
            raise ElmoError("The words of WordVectors are not all different.")
        shape, meaning = (len(self.words), None), "one vector for each word"
        vectors = finite_floats(self.vectors, "The vectors of WordVectors", shape, meaning)
        object.__setattr__(self, "vectors", np.asarray(vectors).astype(np.float32, copy=False))

    def __repr__(self) -> str:
        return f"WordVectors of {len(self):,} words, {self.vectors.shape[1]:,} dimensions"

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[str]:
        return iter(self.words)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and word in self._rows

    def __getitem__(self, word: str) -> np.ndarray:
        """The vector of a word, float32 [D]; raises ElmoError for a word that is not here."""
        return self.vectors[self._row(word)]

    def most_similar(self, word_or_vector: Any, n: int = 10) -> list[tuple[str, float]]:
        """The words whose vectors have the highest cosine with that of a word, or with a vector.

        Args:
            word_or_vector: one of the words, which is not in its own list; or a vector, [D].
            n: how many.

        Returns:
            Words and cosines, the highest first. The cosine with a vector of zeros is 0.

        Raises:
            ElmoError: if the word is not here, the vector has another size, or ``n`` is below 1.

        Example:
            >>> vectors.most_similar(vectors["bank"] - vectors["money"], n=1)
            [('bank', 0.71)]
        """
        check_count(n, "n")
        if isinstance(word_or_vector, str):
            own_row = self._row(word_or_vector)
            vector_D = self.vectors[own_row]
        else:
            own_row, shape = -1, (self.vectors.shape[1],)
            meaning = "a vector as long as those of the words; or a word"
            vector_D = np.asarray(
                finite_floats(word_or_vector, "word_or_vector", shape, meaning), np.float32
            )
        norms_V = self._norms * np.linalg.norm(vector_D)
        cosines_V = self.vectors @ vector_D / np.where(norms_V > 0, norms_V, 1)
        order_V = np.argsort(-cosines_V, kind="stable")  # words with equal cosines keep their order
        nearest = order_V[order_V != own_row][:n]
        return [(self.words[row], float(cosines_V[row])) for row in nearest]

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write a file that ``gensim.models.KeyedVectors.load_word2vec_format`` reads.

        The suffix decides the format of word2vec: ``.vec`` or ``.txt`` is the text, with the nine
        digits that a float32 needs, ``.bin`` the binary one (``binary=True`` in gensim).

        Raises:
            ElmoError: for another suffix, words with spaces or line ends, or if the file exists.

        Example:
            >>> vectors.save("words.bin")
            >>> KeyedVectors.load_word2vec_format("words.bin", binary=True)
        """
        write_vectors(Path(path), self.words, self.vectors, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> WordVectors:
        """Read a file that ``save``, gensim, fastText or word2vec wrote in one of the two formats.

        A ``.bin`` file is binary; any other is text, which may be compressed (``.vec.gz``).

        Raises:
            ElmoError: if there is no such file, or it has problems; the message names lines.

        Example:
            >>> len(WordVectors.load("words.vec"))
            50000
        """
        return cls(*read_vectors(Path(path)))

    @functools.cached_property
    def _rows(self) -> dict[str, int]:
        return {word: row for row, word in enumerate(self.words)}

    @functools.cached_property
    def _norms(self) -> np.ndarray:
        return np.linalg.norm(self.vectors, axis=1)

    def _row(self, word: Any) -> int:
        if not isinstance(word, str):
            raise ElmoError(f"Expected a word as str, got {shortened(word)}.")
        if word not in self._rows:
            raise ElmoError(
                f"{shortened(word)} is none of the {len(self):,} words. {self._likely(word)}"
            )
        return self._rows[word]

    def _likely(self, word: str) -> str:
        """What the user may have meant, as a sentence."""
        same = [other for other in self.words if other.casefold() == word.casefold()]
        likely = same[:3] or difflib.get_close_matches(word, self.words, 3)
        if likely:
            return f"Did you mean {' or '.join(map(repr, likely))}?"
        return "Its attribute words lists them."
