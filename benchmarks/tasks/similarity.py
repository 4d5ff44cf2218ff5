"""Semantic textual similarity: the cosine of pooled sentences, without any training."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.stats

from elmo_jax import Elmo

from .data import Pair, read_splits, read_sts
from .scores import AVERAGE, MODEL, Row, TaskResult, layer_name, spearman

_SPLITS = ("dev", "test")  # train has nothing to teach a cosine


def sts(folder: Path, elmos: dict[str, Elmo], limits: Sequence[int] | None) -> TaskResult:
    """Rank correlation of the cosine of mean vectors with what people say."""
    splits = read_splits(functools.partial(read_sts, folder), limits)
    gold = {split: np.array([pair.similarity for pair in splits[split]]) for split in _SPLITS}
    rows = []
    for variant, elmo in elmos.items():
        cosines = {split: _cosines(elmo, splits[split]) for split in _SPLITS}
        for i, name in layers_and_average(variant, elmo):
            dev_S, test_S = (cosines[split][:, i] for split in _SPLITS)
            pearson = scipy.stats.pearsonr(gold["test"], test_S).statistic
            dev, columns = spearman(gold["dev"], dev_S), (gold["test"], test_S)
            details = {"pearson": 100 * float(pearson)}
            rows.append(Row(variant, name, dev, spearman, columns, details))
    return TaskResult("Spearman correlation", {s: len(splits[s]) for s in _SPLITS}, rows)


def layers_and_average(variant: str, elmo: Elmo) -> list[tuple[int, str]]:
    """The layers that are compared, and their average after them: number and name."""
    names = [*map(layer_name, range(elmo.config.n_output_layers)), AVERAGE]
    # Random LSTMs share the model's token layer, which is in the table already.
    return list(enumerate(names))[0 if variant == MODEL else 1 :]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scaled to length 1 along the last axis; zeros stay zeros, and have a cosine of 0 with all."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _cosines(elmo: Elmo, pairs: list[Pair]) -> np.ndarray:
    """Of each pair in each layer and in the layers' average: float32 [S, L + 1]."""
    units = []
    for sentences in ([pair.first for pair in pairs], [pair.second for pair in pairs]):
        vectors_SLD = elmo.embed_sentences(sentences, "all", "mean")
        units.append(unit(np.concatenate([vectors_SLD, vectors_SLD.mean(1, keepdims=True)], 1)))
    return (units[0] * units[1]).sum(-1)
