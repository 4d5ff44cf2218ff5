"""Semantic textual similarity: the cosine of pooled sentences, without any training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from elmo_jax import Elmo

from .bootstrap import pearson, spearman
from .data import Pair, read_splits, read_sts
from .results import AVERAGE, Row, TaskResult, layer_name
from .variants import MODEL
from .vectors import sentence_vectors

_SPLITS = ("dev", "test")  # train has nothing to teach a cosine


def sts(folder: Path, elmos: dict[str, Elmo], most: Sequence[int] | None) -> TaskResult:
    """Rank correlation of the cosine of mean vectors with what people say."""
    splits = read_splits(read_sts, folder, most)
    gold = {split: np.array([pair.similarity for pair in splits[split]]) for split in _SPLITS}
    rows = []
    for variant, elmo in elmos.items():
        cosines = {split: _cosines(elmo, splits[split]) for split in _SPLITS}
        n_layers = elmo.config.n_output_layers
        readings = [*map(layer_name, range(n_layers)), AVERAGE]
        for i, reading in enumerate(readings):
            if i == 0 and variant != MODEL:
                continue  # the model's own token layer, which is in the table already
            dev, test = (cosines[split][:, i] for split in _SPLITS)
            details = {"pearson": pearson(gold["test"], test)}
            score = spearman(gold["test"], test)
            rows.append(Row(variant, reading, spearman(gold["dev"], dev).value, score, details))
    sizes = {split: len(splits[split]) for split in _SPLITS}
    return TaskResult("sts", "Spearman correlation", sizes, rows)


def _cosines(elmo: Elmo, pairs: list[Pair]) -> np.ndarray:
    """Of each pair in each layer and in the layers' average: float32 [S, L + 1]."""
    sides_SLD = [
        sentence_vectors(elmo, [pair.first for pair in pairs]),
        sentence_vectors(elmo, [pair.second for pair in pairs]),
    ]
    units = [_unit(np.concatenate([v, v.mean(1, keepdims=True)], axis=1)) for v in sides_SLD]
    return (units[0] * units[1]).sum(-1)


def _unit(vectors_SLD: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors_SLD, axis=-1, keepdims=True)
    return vectors_SLD / np.maximum(norms, 1e-12)  # an empty sentence: a cosine of 0 with all
