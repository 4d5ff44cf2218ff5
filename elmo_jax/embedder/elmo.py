"""Elmo, with the calls that people know from other libraries."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from ..errors import ElmoError, WhitespaceWarning, check_count, check_flag, shortened, warn
from ..model.config import SENTENCE_POOLINGS, dtype_name
from ..model.layers import Layers, check_pooling
from ..text.sentences import check_collection, check_strings, tokenize
from ..text.tokenizers import AUTO, Tokenizer
from .on_device import PathLike
from .results import EmbeddedTokens, to_jax, unit_vectors
from .sentence_embedder import SentenceEmbedder

_OUTPUT_VALUES = ("sentence_embedding", "token_embeddings")


class Elmo(SentenceEmbedder):
    """An ELMo, ready to use.

    It has no state: the vectors of a sentence depend on that sentence alone, up to float32 rounding
    (a few 1e-6), since the last bits depend on how many lanes a call fills. The same call gives the
    same bits, see ``forget_words``. The token vectors of words are computed once and remembered.
    Sentences of any number and length go through a few compiled shapes. Threads may share an Elmo.

    An Elmo never changes, so a copy is the object itself. A pickle names the model's files, which
    are opened again where it is loaded; if they hold another model by then, the first use of the
    Elmo raises ElmoError. The pickle of an Elmo ``from_params`` holds the parameters. ``devices``
    are pickled by platform and number; if any of them is missing, the default devices are used.

    Args:
        source: a folder, an archive or a published model's name; None for mini, which is in the
            package. Or ``options.json``, followed by its weights. See ``load`` for this and the
            other arguments that say what to open, up to ``verify``.
        precision: of the matrix products: "float32", "tf32" or "bfloat16".
        devices: JAX devices that share the work; None for all local ones.

    Attributes:
        config: the architecture, which the functions take.
        params: the parameters on the device, which the functions take.
        precision: of the matrix products.
        tokenizer: the name of what splits raw text as the model's training text was split. It is
            what ``tokenizer="auto"`` stands for.

    Raises:
        ElmoError: if there is no such model, or its files have problems.

    Example:
        >>> elmo = elmo_jax.Elmo()
        >>> elmo
        <Elmo 'mini': 3 layers of 256 dimensions, float32, tokenizer 'treebank'>
        >>> elmo.encode("The bank isn't open.").shape
        (256,)
    """

    def encode(
        self,
        sentences: str | Iterable[str | Sequence[str]],
        *,
        output_value: str = "sentence_embedding",
        layers: Layers = "average",
        pooling: str = "mean",
        tokenizer: Tokenizer | str | None = AUTO,
        normalize_embeddings: bool = False,
        dtype: str = "float32",
        batch_size: int | None = None,
        show_progress_bar: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        return_tokens: bool = False,
    ) -> Any:
        """Raw text to vectors, with the arguments of sentence-transformers.

        Args:
            sentences: a string, or several of them; those that are lists of words stay as they are.
            output_value: "sentence_embedding" for one vector per text, pooled over its tokens; or
                "token_embeddings" for one per token.
            layers: see ``stream``. The average has something of each layer, and none is best for
                all tasks: for the similarity of sentences, mini's token layer is, ``layers=0``.
            pooling: "mean", "max" or "sif", see ``embed_sentences``.
            tokenizer: "auto", what the model's training text was split with; see
                ``embed_sentences`` for others.
            normalize_embeddings: scale each vector to length 1; zeros stay zeros.
            dtype: "float32" or "float16".
            batch_size: has no effect, since sentences are packed without padding.
            show_progress_bar: show a bar on stderr, if that is a terminal.
            convert_to_numpy: False for JAX arrays.
            convert_to_tensor: must be False. ``torch.from_dlpack`` takes JAX arrays.
            return_tokens: give ``EmbeddedTokens``, with the words that the tokenizer has made; for
                "token_embeddings".

        Returns:
            For several texts [B, D], zeros for an empty one, or a list of [T, D]; for one string
            [D] or [T, D]. With ``layers="all"`` there is an axis L: [B, L, D], [L, T, D].

        Raises:
            ElmoError: for an unknown name or a bad text, before anything is computed; for vectors
                that float16 cannot hold.

        Warns:
            WordsCutWarning: if words are longer than the model reads.

        Example:
            >>> elmo = elmo_jax.Elmo()
            >>> elmo.encode("The bank isn't open.").shape
            (256,)
            >>> elmo.encode(["The bank isn't open.", "Hi!"], normalize_embeddings=True).shape
            (2, 256)
            >>> tokens = elmo.encode(["Hi, you!"], output_value="token_embeddings")
            >>> [vectors.shape for vectors in tokens]
            [(4, 256)]
        """
        _check_encode(output_value, batch_size, convert_to_tensor, return_tokens)
        check_flag(normalize_embeddings, "normalize_embeddings")
        check_flag(show_progress_bar, "show_progress_bar", optional=True)
        check_flag(convert_to_numpy, "convert_to_numpy")
        dtype = dtype_name(dtype)
        check_pooling(pooling, SENTENCE_POOLINGS)
        is_one = isinstance(sentences, str)
        texts = [sentences] if isinstance(sentences, str) else sentences
        check_collection(texts, "elmo.encode({})")
        # Lengths of vectors are computed in float32, where none of them overflows.
        computed = "float32" if normalize_embeddings else dtype
        choices: dict[str, Any] = {"tokenizer": tokenizer, "dtype": computed}
        choices["progress"] = bool(show_progress_bar)
        finish = functools.partial(
            self._finish,
            dtype=dtype if normalize_embeddings else None,
            as_jax=not convert_to_numpy,
        )
        if output_value == "sentence_embedding":
            vectors = self.embed_sentences(texts, layers, pooling, **choices)
            return finish(vectors[0] if is_one else vectors)
        results = [
            EmbeddedTokens(words, finish(vectors)) if return_tokens else finish(vectors)
            for words, vectors in self.embed(texts, layers, return_tokens=True, **choices)
        ]
        return results[0] if is_one else results

    def _finish(self, vectors: np.ndarray, *, dtype: str | None, as_jax: bool) -> Any:
        """Vectors as ``encode`` returns them: of length 1 if there is a ``dtype`` for these."""
        if dtype is not None:
            vectors = unit_vectors(vectors).astype(dtype)
        return to_jax(vectors, self._devices) if as_jax else vectors

    def get_word_embeddings(self, items: Sequence[str]) -> np.ndarray | list[np.ndarray]:
        """Vectors for the words of one sentence, or for several sentences as strings.

        If no item has whitespace, they are the words of one sentence; otherwise each is a sentence,
        which is split at whitespace. So one word with a space, such as "New York", makes sentences
        of all others, each read by itself. ``embed`` is told which is which: ``embed([words])``.

        Returns:
            For words float32 [T, L, D], so that ``[i][1]`` is word i in the first biLM layer;
            for sentences a list of float32 [L, T, D].

        Raises:
            ElmoError: if ``items`` is not a list of strings.

        Warns:
            RawTextWarning: if the sentences look raw.
            WhitespaceWarning: if some items have whitespace and some have none.

        Example:
            >>> elmo = elmo_jax.Elmo()
            >>> elmo.get_word_embeddings(["The", "quick", "fox"]).shape
            (3, 3, 256)
            >>> elmo.get_word_embeddings(["The quick fox"])[0].shape
            (3, 3, 256)
        """
        check_strings(items, "the words")
        if spaced := [item for item in items if any(map(str.isspace, item))]:
            _warn_of_single_words(items, spaced[0])
            return self.embed(list(tokenize(items)))
        return np.ascontiguousarray(self.embed([items])[0].swapaxes(0, 1))

    @classmethod
    def from_pretrained(cls, source: PathLike | None = None, *args: Any, **choices: Any) -> Self:
        """``Elmo(source, …)``, by the name that Hugging Face's libraries use.

        Example:
            >>> elmo_jax.Elmo.from_pretrained("mini").dim
            256
        """
        return cls(source, *args, **choices)

    def get_sentence_embedding_dimension(self) -> int:
        """``dim``, by the name that sentence-transformers uses."""
        return self.dim


def _warn_of_single_words(items: Sequence[str], spaced: str) -> None:
    """Warn if words may have been meant for one sentence, and are read as sentences."""
    single = next((item for item in items if item and not any(map(str.isspace, item))), None)
    if single is not None:
        warn(
            f"{shortened(spaced)} has whitespace, so each item is read as a sentence of its own, "
            f"also {shortened(single)}. For the words of one sentence, write embed([words]); for "
            "sentences, embed([sentence.split() for sentence in sentences]).",
            WhitespaceWarning,
        )


def _check_encode(
    output_value: str, batch_size: int | None, convert_to_tensor: bool, return_tokens: bool
) -> None:
    if not (isinstance(output_value, str) and output_value in _OUTPUT_VALUES):
        raise ElmoError(
            f"Unknown output_value={shortened(output_value)}: expected "
            f"{' or '.join(map(repr, _OUTPUT_VALUES))}."
        )
    if batch_size is not None:
        check_count(batch_size, "batch_size")
    check_flag(convert_to_tensor, "convert_to_tensor")
    if convert_to_tensor:
        raise ElmoError(
            "elmo-jax gives NumPy and JAX arrays. For a tensor of PyTorch, write "
            "torch.from_dlpack(elmo.encode(..., convert_to_numpy=False)), or "
            "torch.from_numpy(elmo.encode(...))."
        )
    check_flag(return_tokens, "return_tokens")
    if return_tokens and output_value != "token_embeddings":
        raise ElmoError(
            "return_tokens=True gives words with their vectors, so it belongs to "
            'output_value="token_embeddings".'
        )
