"""Tasks in which a probe classifies: POS tagging, NER, sentiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from elmo_jax import Elmo

from .bootstrap import Score, f1, share
from .data import SPLITS, Tagged, read_ner, read_pos, read_sentiment, read_splits
from .entities import span_counts
from .probes import SENTENCES, TOKENS, Recipe, train
from .results import MIX, Row, TaskResult, layer_name
from .variants import MODEL
from .vectors import sentence_vectors, token_vectors

# From the predicted classes of a split, int [N], to its score.
Scorer = Callable[[np.ndarray], Score]


def pos(folder: Path, elmos: dict[str, Elmo], most: Sequence[int] | None) -> TaskResult:
    """POS tagging: the share of words with the right tag."""
    splits = read_splits(read_pos, folder, most)
    rows = _tagging(splits, elmos, _tag_accuracy)
    return TaskResult("pos", "tag accuracy (XPOS)", _sizes(splits), rows)


def ner(folder: Path, elmos: dict[str, Elmo], most: Sequence[int] | None) -> TaskResult:
    """NER: F1 of whole entities; each word is tagged on its own."""
    splits = read_splits(read_ner, folder, most)
    rows = _tagging(splits, elmos, _entity_f1)
    return TaskResult("ner", "entity F1", _sizes(splits), rows)


def sentiment(folder: Path, elmos: dict[str, Elmo], most: Sequence[int] | None) -> TaskResult:
    """Sentence classification over the mean of a sentence's vectors: accuracy."""
    splits = read_splits(read_sentiment, folder, most)
    names = sorted({sentence.label for sentence in splits["train"]})
    labels = {split: _numbers([s.label for s in splits[split]], names) for split in SPLITS}

    def scorer(split: str) -> Scorer:
        one_S = np.ones(len(labels[split]))
        return lambda predicted_S: share(predicted_S == labels[split], one_S)

    rows: list[Row] = []
    for variant, elmo in elmos.items():
        vectors = {
            split: sentence_vectors(elmo, [sentence.words for sentence in splits[split]])
            for split in SPLITS
        }
        scorers = scorer("dev"), scorer("test")
        rows += _probe_rows(variant, vectors, labels["train"], len(names), *scorers, SENTENCES)
    return TaskResult("sentiment", "accuracy", _sizes(splits), rows)


def _tagging(
    splits: dict[str, list[Tagged]],
    elmos: dict[str, Elmo],
    score: Callable[[list[Tagged], list[list[str]]], Score],
) -> list[Row]:
    names = sorted({tag for sentence in splits["train"] for tag in sentence.tags})
    labels_N = _numbers([tag for sentence in splits["train"] for tag in sentence.tags], names)

    def scorer(split: str) -> Scorer:
        ends = np.cumsum([len(sentence.tags) for sentence in splits[split]])

        def of(predicted_N: np.ndarray) -> Score:
            tags_N = np.array(names, object)[predicted_N]
            return score(splits[split], [list(part) for part in np.split(tags_N, ends[:-1])])

        return of

    rows: list[Row] = []
    for variant, elmo in elmos.items():
        vectors = {
            split: token_vectors(elmo, [sentence.words for sentence in splits[split]])
            for split in SPLITS
        }
        scorers = scorer("dev"), scorer("test")
        rows += _probe_rows(variant, vectors, labels_N, len(names), *scorers, TOKENS)
    return rows


def _probe_rows(
    variant: str,
    vectors: dict[str, np.ndarray],
    labels_N: np.ndarray,
    n_classes: int,
    on_dev: Scorer,
    on_test: Scorer,
    recipe: Recipe,
) -> Iterator[Row]:
    """Probe each layer and a trained mix; the penalty is the one that is best on dev."""
    n_layers = vectors["train"].shape[1]
    # Below random LSTMs lies the model's own token layer, which is in the table already.
    layers = range(n_layers) if variant == MODEL else range(1, n_layers)
    readings = {layer_name(layer): slice(layer, layer + 1) for layer in layers}
    for reading, part in {**readings, MIX: slice(None)}.items():
        probes = train(vectors["train"][:, part], labels_N, n_classes, recipe)
        dev = [on_dev(predicted).value for predicted in probes.predict(vectors["dev"][:, part])]
        best = int(np.argmax(dev))
        test = on_test(probes.predict(vectors["test"][:, part])[best])
        details = {"penalty": recipe.penalties[best]}
        if (shares := probes.shares()) is not None:
            details |= {f"share of layer {i}": float(s) for i, s in enumerate(shares[best])}
        yield Row(variant, reading, dev[best], test, details)


def _tag_accuracy(gold: list[Tagged], predicted: list[list[str]]) -> Score:
    right = [
        sum(a == b for a, b in zip(sentence.tags, tags, strict=True))
        for sentence, tags in zip(gold, predicted, strict=True)
    ]
    return share(np.array(right), np.array([len(sentence.tags) for sentence in gold]))


def _entity_f1(gold: list[Tagged], predicted: list[list[str]]) -> Score:
    pairs = zip(gold, predicted, strict=True)
    return f1(np.array([span_counts(sentence.tags, tags) for sentence, tags in pairs]))


def _numbers(labels: list[str], names: list[str]) -> np.ndarray:
    """Labels as numbers, int [N]; -1, which no probe predicts, for one that train has not."""
    number = {name: i for i, name in enumerate(names)}
    return np.array([number.get(label, -1) for label in labels])


def _sizes(splits: dict[str, list]) -> dict[str, int]:
    return {split: len(sentences) for split, sentences in splits.items()}
