"""elmo-jax itself, from this checkout."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from elmo_jax import Elmo

PACKAGES = ("jax", "jaxlib", "flax", "numpy")
BATCH_SIZE = None  # it chooses its batches by itself


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

    def embed(self, batch: list[list[str]], output: str) -> Iterable[Any]:
        """What ``elmo.embed(batch)`` and ``elmo.embed_sentences(batch)`` put in a list."""
        if output == "layers":
            return self._elmo.stream(batch)
        return self._elmo.stream(batch, layers="average", pooling="mean")
