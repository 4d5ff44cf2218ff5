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

_N_FOLDS = 10


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
    """Sentence classification over the mean of a sentence's vectors: accuracy.

    By cross-validation over the sentences of all three splits, as is usual for these data (Pang
    and Lee 2005; Kim 2014): a tenth of them leaves intervals wider than what is asked about.
    """
    splits = read_splits(read_sentiment, folder, most)
    sentences = [sentence for split in SPLITS for sentence in splits[split]]
    names = sorted({sentence.label for sentence in sentences})
    labels_N = _numbers([sentence.label for sentence in sentences], names)
    rows: list[Row] = []
    for variant, elmo in elmos.items():
        vectors_NLD = sentence_vectors(elmo, [sentence.words for sentence in sentences])
        rows += _cross_validated_rows(variant, vectors_NLD, labels_N, len(names), SENTENCES)
    metric = f"accuracy, {_N_FOLDS}-fold cross-validation"
    return TaskResult("sentiment", metric, {"all": len(sentences)}, rows)


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
    for reading, part in _readings(variant, vectors["train"].shape[1]).items():
        probes = train(vectors["train"][:, part], labels_N, n_classes, recipe)
        dev = [on_dev(predicted).value for predicted in probes.predict(vectors["dev"][:, part])]
        best = int(np.argmax(dev))
        test = on_test(probes.predict(vectors["test"][:, part])[best])
        details = {"penalty": recipe.penalties[best]}
        if (shares := probes.shares()) is not None:
            details |= {f"share of layer {i}": float(s) for i, s in enumerate(shares[best])}
        yield Row(variant, reading, dev[best], test, details)


def _cross_validated_rows(
    variant: str, vectors_NLD: np.ndarray, labels_N: np.ndarray, n_classes: int, recipe: Recipe
) -> Iterator[Row]:
    """The same by cross-validation: every row is tested once, by a probe that has not seen it.

    For each fold the penalty is the one that is best on the fold after it; no probe of the fold
    is trained on either.
    """
    fold_N = np.random.default_rng(recipe.seed).permutation(len(labels_N)) % _N_FOLDS
    for reading, part in _readings(variant, vectors_NLD.shape[1]).items():
        right_N = np.zeros(len(labels_N))
        devs, shares = [], []
        for fold in range(_N_FOLDS):
            test, dev = fold_N == fold, fold_N == (fold + 1) % _N_FOLDS
            rest = ~(test | dev)
            probes = train(vectors_NLD[rest, part], labels_N[rest], n_classes, recipe)
            on_dev = (probes.predict(vectors_NLD[dev, part]) == labels_N[dev]).mean(axis=1)
            best = int(np.argmax(on_dev))
            right_N[test] = probes.predict(vectors_NLD[test, part])[best] == labels_N[test]
            devs.append(100 * float(on_dev[best]))
            if (found := probes.shares()) is not None:
                shares.append(found[best])
        details = {}
        if shares:
            mean_L = np.mean(shares, axis=0)
            details = {f"share of layer {i}": float(part_of) for i, part_of in enumerate(mean_L)}
        score = share(right_N, np.ones(len(right_N)))
        yield Row(variant, reading, float(np.mean(devs)), score, details)


def _readings(variant: str, n_layers: int) -> dict[str, slice]:
    """What is probed: each layer, and the mix of all; from the name to the layers."""
    # Below random LSTMs lies the model's own token layer, which is in the table already.
    layers = range(n_layers) if variant == MODEL else range(1, n_layers)
    return {**{layer_name(layer): slice(layer, layer + 1) for layer in layers}, MIX: slice(None)}


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
