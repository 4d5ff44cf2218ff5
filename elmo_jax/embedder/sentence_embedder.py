"""Sentences to vectors: one by one, in a list, or in one array."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..engine import Request, Stream
from ..engine.layer_maps import maps_for
from ..errors import ElmoError, check_flag, shortened
from ..model.config import SENTENCE_POOLINGS, dtype_name
from ..model.layers import Layers, check_pooling, select_layers
from ..model.spelling import word_limit
from ..progress import progress_bar, with_progress
from ..text.cut_words import CutWords, check_cut_words
from ..text.sentences import check_collection, checked_sentences, tokenize
from ..text.tokenizers import Tokenizer
from .on_device import ModelOnDevice
from .results import EmbeddedTokens, empty_aligned, to_jax

_PLACEHOLDER = np.zeros(0)


class SentenceEmbedder(ModelOnDevice):
    """What ``Elmo`` does with sentences; see there."""

    def stream(
        self,
        sentences: Iterable[Sequence[str]],
        layers: Layers = "all",
        *,
        pooling: str | None = None,
        mix_weights: Any = None,
        mix_gamma: Any = 1.0,
        dtype: str = "float32",
        cut_words: CutWords | None = None,
    ) -> Iterator[np.ndarray]:
        """Embed any number of sentences, one result after the other, in bounded memory.

        Args:
            sentences: lists of words, none of them empty; read as results are taken.
            layers: "all", "average", "top", a layer's number (0 is the token layer), or "mix".
                Layers above the highest that is needed are not computed.
            pooling: None for one vector per token; "mean", "max" or "sif" for one per sentence, see
                ``embed_sentences``.
            mix_weights: for "mix", L unnormalized weights, as a ``ScalarMix`` trains them; None for
                the model's own mix, followed by its output projection if it has one; or the number
                of such a mix.
            mix_gamma: for "mix", the scale.
            dtype: of the results: "float32", or "float16", which holds numbers up to 65,504.
            cut_words: counts words that are longer than the model reads, instead of the warning.

        Yields:
            For each sentence, in order: [T, D], or [L, T, D] for all layers; pooled [D] or [L, D].
            An empty sentence has T = 0, and pooled zeros.

        Raises:
            ElmoError: at once for an unknown name, or a mix that is not finite; for a bad sentence,
                or one with vectors that float16 cannot hold, when its turn comes. After an error or
                an interrupt (Ctrl-C), a stream raises this for every further result.

        Warns:
            WordsCutWarning: once, at the first words that are longer than the model reads.

        Example:
            >>> sentences = (line.split() for line in ["The bank .", "Hi"])
            >>> [vectors.shape for vectors in elmo_jax.Elmo().stream(sentences)]
            [(3, 3, 256), (3, 1, 256)]
        """
        request = self._request(layers, pooling, mix_weights, mix_gamma, dtype)
        check_collection(sentences, "elmo.stream([{}.split()])")
        check_cut_words(cut_words)
        if cut_words is not None:
            return Stream(self._engine.run(checked_sentences(sentences), request, cut_words))
        cut = self._cut_words()
        results = self._engine.run(checked_sentences(sentences), request, cut)
        return Stream(_warn_once(results, cut))

    def embed(
        self,
        sentences: Iterable[str | Sequence[str]],
        layers: Layers = "all",
        *,
        tokenizer: Tokenizer | str | None = None,
        mix_weights: Any = None,
        mix_gamma: Any = 1.0,
        dtype: str = "float32",
        progress: bool = False,
        return_tokens: bool = False,
        as_jax: bool = False,
    ) -> list[Any]:
        """Embed sentences with one vector per token.

        Args:
            sentences: lists of words; with a ``tokenizer`` also strings, which it splits.
            layers: "all", "average", "top", a layer's number, or "mix"; see ``stream``.
            tokenizer: a function, or a name: "auto" for the model's own, or see
                ``tokenizer_named``.
            mix_weights: see ``stream``.
            mix_gamma: see ``stream``.
            dtype: of the results: "float32" or "float16".
            progress: show a bar on stderr, if that is a terminal.
            return_tokens: give ``EmbeddedTokens``, the words of each sentence with their vectors.
            as_jax: give JAX arrays, on the Elmo's first device. The results are put together on the
                host, and copied from there.

        Returns:
            For each sentence, in order: [L, T, D], or [T, D] unless ``layers="all"``.

        Raises:
            ElmoError: for an unknown name, a mix that is not finite, a bad sentence, or a string
                without a tokenizer, before anything is computed; for vectors that float16 cannot
                hold.

        Warns:
            WordsCutWarning: if words are longer than the model reads.

        Example:
            >>> elmo = elmo_jax.Elmo()
            >>> [v.shape for v in elmo.embed([["The", "bank", "."], []])]
            [(3, 3, 256), (3, 0, 256)]
            >>> [v.shape for v in elmo.embed(["The bank isn't open."], 1, tokenizer="auto")]
            [(6, 256)]
        """
        check_flag(return_tokens, "return_tokens")
        check_flag(as_jax, "as_jax")
        request = self._request(layers, None, mix_weights, mix_gamma, dtype)
        listed = self._words(sentences, tokenizer, "embed")
        # The engine gives the results in the order in which they leave the device.
        results: list[Any] = [_PLACEHOLDER] * len(listed)
        for index, vectors in self._results(listed, request, progress):
            results[index] = vectors
        if as_jax:
            results = to_jax(results, self._devices)
        if return_tokens:
            pairs = zip(listed, results, strict=True)
            results = [EmbeddedTokens(list(words), vectors) for words, vectors in pairs]
        return results

    def embed_padded(
        self,
        sentences: Iterable[str | Sequence[str]],
        layers: Layers = "all",
        *,
        tokenizer: Tokenizer | str | None = None,
        mix_weights: Any = None,
        mix_gamma: Any = 1.0,
        dtype: str = "float32",
        progress: bool = False,
        as_jax: bool = False,
    ) -> tuple[Any, Any]:
        """Embed sentences in one array, as long as the longest. Arguments as in ``embed``.

        Returns:
            The vectors, [B, L, T, D], or [B, T, D] unless ``layers="all"``, with zeros after the
            end of a sentence; and the lengths of the sentences, int32 [B].

        Raises:
            ElmoError: as ``embed`` does.

        Warns:
            WordsCutWarning: if words are longer than the model reads.

        Example:
            >>> elmo = elmo_jax.Elmo()
            >>> vectors, lengths = elmo.embed_padded([["The", "bank", "."], ["Hi"]], layers=1)
            >>> vectors.shape, lengths.tolist()
            ((2, 3, 256), [3, 1])
        """
        check_flag(as_jax, "as_jax")
        request = self._request(layers, None, mix_weights, mix_gamma, dtype)
        listed = self._words(sentences, tokenizer, "embed_padded")
        lengths = np.fromiter(map(len, listed), np.int32, len(listed))
        shape = request.shape(self.config, int(lengths.max(initial=0)))
        results = empty_aligned((len(listed), *shape), request.dtype)
        for index, vectors in self._results(listed, request, progress):
            results[index, ..., : lengths[index], :] = vectors
            results[index, ..., lengths[index] :, :] = 0
        padded = results, lengths
        return to_jax(padded, self._devices) if as_jax else padded

    def embed_sentences(
        self,
        texts: Iterable[str | Sequence[str]],
        layers: Layers = "average",
        pooling: str = "mean",
        *,
        tokenizer: Tokenizer | str | None = None,
        mix_weights: Any = None,
        mix_gamma: Any = 1.0,
        dtype: str = "float32",
        progress: bool = False,
        as_jax: bool = False,
    ) -> Any:
        """Embed texts, with one vector per text, pooled over its tokens.

        ``texts`` are lists of words, or strings, which ``tokenizer`` splits: a function, a name
        ("auto" for the model's own, "words", "spacy", see ``tokenizer_named``), or None to split at
        whitespace. ``pooling`` is "mean"; "max"; or "sif", a mean in which frequent words count
        less (smooth inverse frequency, Arora et al. 2017): the weight of a word is
        10⁻⁴ / (10⁻⁴ + p), where its frequency p follows from its rank in the model's vocabulary.
        For the other arguments see ``embed``.

        Returns:
            [B, D], or [B, L, D] for ``layers="all"``; zeros for an empty text.

        Raises:
            ElmoError: for an unknown name, a mix that is not finite, a bad text, or "sif" with a
                model whose vocabulary is not known, before anything is computed; for vectors that
                float16 cannot hold.

        Warns:
            RawTextWarning: if strings are split at whitespace and look raw.
            WordsCutWarning: if words are longer than the model reads.

        Example:
            >>> elmo_jax.Elmo().embed_sentences(["The bank .", ["Hi"]]).shape
            (2, 256)
        """
        check_pooling(pooling, SENTENCE_POOLINGS)
        check_flag(as_jax, "as_jax")
        request = self._request(layers, pooling, mix_weights, mix_gamma, dtype)
        one = "elmo.embed_sentences([{}])"
        listed = _checked_list(tokenize(texts, tokenizer, self.tokenizer, one))
        results = empty_aligned((len(listed), *request.shape(self.config, 0)), request.dtype)
        for index, vector in self._results(listed, request, progress):
            results[index] = vector
        return to_jax(results, self._devices) if as_jax else results

    def forget_words(self) -> None:
        """Drop the remembered token vectors; streams in progress keep theirs.

        The next results are then the same to the last bit, whatever was computed before: new
        words are spelled out in batches, and the size of a batch may change a last bit.
        """
        self._engine.forget_words()

    def _request(
        self, layers: Layers, pooling: str | None, mix_weights: Any, mix_gamma: Any, dtype: str
    ) -> Request:
        if pooling is not None:
            check_pooling(pooling, SENTENCE_POOLINGS)
        dtype = dtype_name(dtype)
        choice = layers, self.config, mix_weights, mix_gamma, self.params
        selection, layer_weights = select_layers(*choice)
        maps = maps_for(self.params, selection)
        if pooling == "sif":
            self._weigh_words()
        return Request(selection, layer_weights, pooling, dtype, maps)

    def _words(
        self,
        sentences: Iterable[str | Sequence[str]],
        tokenizer: Tokenizer | str | None,
        method: str,
    ) -> list[Sequence[str]]:
        """The sentences as checked lists of words; an error says how to call ``method``."""
        if tokenizer is not None:
            one = f"elmo.{method}([{{}}], tokenizer=...)"
            return _checked_list(tokenize(sentences, tokenizer, self.tokenizer, one))
        one = f"elmo.{method}([{{0}}.split()]), or elmo.encode({{0}}) for raw text"
        check_collection(sentences, one)
        return _checked_list(_without_strings(sentences))

    def _results(
        self, sentences: Sequence[Sequence[str]], request: Request, progress: bool
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each result with the index of its sentence, in any order; warn of cut words."""
        check_flag(progress, "progress")
        cut = self._cut_words()
        results = self._engine.run_all(sentences, request, cut)
        if progress:
            with progress_bar(sum(map(len, sentences)), 0, progress) as bar:
                yield from with_progress(results, bar, lambda pair: len(sentences[pair[0]]))
        else:
            yield from results
        cut.warn()

    def _cut_words(self) -> CutWords:
        return CutWords(word_limit(self.config))


def _without_strings(sentences: Iterable[str | Sequence[str]]) -> Iterator[Sequence[str]]:
    for index, sentence in enumerate(sentences):
        if isinstance(sentence, str):
            raise ElmoError(
                f"Expected sentence {index} as a list of words, got the str {shortened(sentence)}. "
                "Pass tokenizer='auto' to split raw text as the model's training text was split, "
                "or split it first: sentence.split()."
            )
        yield sentence


def _checked_list(sentences: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    return list(checked_sentences(sentences))


def _warn_once(
    results: Generator[np.ndarray, None, None], cut: CutWords
) -> Generator[np.ndarray, None, None]:
    with contextlib.closing(results):  # so that an interrupt while it closes is not lost
        for result in results:
            if cut.n_cut:
                cut.warn(so_far=True)
                yield result
                break
            yield result
        yield from results
