"""EmbedBatch: a model in each worker of Ray Data's ``map_batches`` (extra ``ray``).

Example:
    >>> import ray
    >>> texts = ray.data.read_parquet("texts")                 # with a column "text"
    >>> vectors = texts.map_batches(EmbedBatch, concurrency=2, batch_size=1000)
    >>> vectors.write_parquet("vectors")                       # with a column "vector" beside it

With ``num_gpus=1`` each worker has a GPU to itself. The class does not import Ray, and works
without it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .embedder import Elmo
from .errors import ElmoError, shortened
from .model.layers import Layers
from .text.sentences import tokenize
from .text.tokenizers import Tokenizer


class EmbedBatch:
    """Adds a column of vectors to batches of texts.

    Ray makes one object per worker, each with its own model, and passes ``fn_constructor_kwargs``
    to it.

    Args:
        source: a model as ``elmo_jax.load`` takes it; every worker must be able to open it.
        column: the column with the texts: strings, or lists of words.
        output: the column to add.
        layers: "average", "top", a layer's number (0 is the token layer), or "all".
        pooling: "mean" or "max" over a text's tokens; None for one vector per token.
        tokenizer: a name, see ``elmo_jax.tokenizer_named``, or a function; None for whitespace.
        precision: of the matrix products: "float32", "tf32" or "bfloat16".
        dtype: of the vectors: "float32" or "float16".

    Example:
        >>> embed = EmbedBatch(pooling="max")
        >>> embed({"text": np.array(["The bank .", "Hi"])})["vector"].shape
        (2, 256)
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | None = None,
        *,
        column: str = "text",
        output: str = "vector",
        layers: Layers = "average",
        pooling: str | None = "mean",
        tokenizer: Tokenizer | str | None = None,
        precision: str = "float32",
        dtype: str = "float32",
    ) -> None:
        for name, value in {"column": column, "output": output}.items():
            if not isinstance(value, str):
                raise ElmoError(f"{name} is {shortened(value)}, expected the name of a column.")
        self._elmo = Elmo(source, precision=precision)
        self._column, self._output, self._tokenizer = column, output, tokenizer
        self._layers, self._pooling, self._dtype = layers, pooling, dtype

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """The batch, columns of B entries each, and its vectors.

        They are [B, D], or [B, L, D] for ``layers="all"``; without pooling an array of B objects,
        each [T, D], or [L, T, D].

        Raises:
            ElmoError: if the column is missing, the new one exists already, or a text is bad.
        """
        if not isinstance(batch, Mapping):
            raise ElmoError(f"Expected a batch as a dictionary, got {shortened(batch)}.")
        if self._column not in batch:
            raise ElmoError(
                f"The batch has no column {self._column!r} with texts, but {', '.join(batch)}. "
                "Name the column with column=."
            )
        if self._output in batch:
            raise ElmoError(
                f"The batch has a column {self._output!r} already. Choose another with output=."
            )
        return {**batch, self._output: self._vectors(batch[self._column])}

    def _vectors(self, texts: np.ndarray) -> np.ndarray:
        if self._pooling is not None:
            return self._elmo.embed_sentences(
                texts, self._layers, self._pooling, tokenizer=self._tokenizer, dtype=self._dtype
            )
        sentences = list(tokenize(texts, self._tokenizer))
        vectors = np.empty(len(sentences), object)
        embedded = self._elmo.embed(sentences, self._layers, dtype=self._dtype)
        for index, vectors_TD in enumerate(embedded):  # NumPy would stack arrays of one shape
            vectors[index] = vectors_TD
        return vectors
