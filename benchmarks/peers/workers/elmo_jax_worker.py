"""elmo-jax itself, from this checkout.

It chooses its batches by itself. ``stream`` is what ``embed`` and ``embed_sentences`` list, so
keeping its results is calling those, and dropping them is embedding in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from elmo_jax import Elmo

PACKAGES = ("jax", "jaxlib", "flax", "numpy")


class Model:
    """An ``Elmo``, of the published files or of whatever else ``Elmo(source)`` takes."""

    def __init__(
        self,
        options: str | None = None,
        weights: str | None = None,
        folder: str | None = None,
        **settings: Any,
    ) -> None:
        self._elmo = Elmo(folder, options_file=options, weight_file=weights, **settings)

    def embed(
        self, sentences: list[list[str]], batch_size: int | None, output: str
    ) -> Iterable[Any]:
        """``elmo.embed(sentences)``, or ``elmo.embed_sentences(sentences)``, as they come."""
        if batch_size is not None:
            raise ValueError("elmo-jax chooses its batches by itself: leave batch_size out")
        if output == "layers":
            return self._elmo.stream(sentences)
        return self._elmo.stream(sentences, layers="average", pooling="mean")

    def vectors(self, sentences: list[list[str]]) -> Iterable[Any]:
        """``elmo.embed(sentences)``; there is no state to reset."""
        return self._elmo.embed(sentences)
