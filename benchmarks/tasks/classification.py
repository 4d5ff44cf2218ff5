"""Tasks in which a probe classifies: POS tagging, NER, sentiment."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from seqeval.metrics.sequence_labeling import get_entities
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline

from .data import SPLITS, Token, read_blocks, read_rows, read_splits
from .minilm import Model
from .probes import SENTENCE_PENALTIES, TOKEN_PENALTIES, features, inverse_penalty, probe
from .scores import MIX, Row, TaskResult, accuracy, f1, layer_names

_N_FOLDS = 10
_N_INNER_FOLDS = 3  # which choose the penalty


def pos(folder: Path, elmos: dict[str, Model], limits: Sequence[int] | None) -> TaskResult:
    """POS tagging with the language's own tags (XPOS): the share of words with the right tag."""
    read = functools.partial(read_blocks, folder / "pos_ewt", 3)
    return _tag("tag accuracy (XPOS)", accuracy, count_tags, read_splits(read, limits), elmos)


def ner(folder: Path, elmos: dict[str, Model], limits: Sequence[int] | None) -> TaskResult:
    """NER: F1 of whole entities; each word is tagged on its own."""
    read = functools.partial(read_blocks, folder / "ner_wnut17", 2)
    return _tag("entity F1", f1, count_entities, read_splits(read, limits), elmos)


def sentiment(folder: Path, elmos: dict[str, Model], limits: Sequence[int] | None) -> TaskResult:
    """Classify the mean of a sentence's vectors: accuracy, by cross-validation over all splits.

    That is usual for these data (Pang and Lee 2005; Kim 2014): test alone is too small.
    """
    splits = read_splits(functools.partial(read_rows, folder / "sentiment_mr", 2), limits)
    labels, sentences = zip(*(row for split in SPLITS for row in splits[split]), strict=True)
    words = [sentence.split() for sentence in sentences]
    rows: list[Row] = []
    for variant, elmo in elmos.items():
        vectors_SLD = elmo.embed_sentences(words, "all", "mean")
        rows += cross_validated_rows(variant, vectors_SLD, np.array(labels))
    metric = f"accuracy, {_N_FOLDS}-fold cross-validation"
    return TaskResult(metric, {"all": len(sentences)}, rows)


def token_vectors(elmo: Model, sentences: Sequence[Sequence[str]]) -> np.ndarray:
    """The vectors of the words of all sentences, end to end: float16 [N, L, D]."""
    vectors = elmo.stream(sentences, "all", dtype="float16")
    return np.concatenate([vectors_LTD.swapaxes(0, 1) for vectors_LTD in vectors])


def count_tags(gold: list[str], predicted: list[str]) -> tuple[int, int]:
    """How many tags of a sentence are right, and how many there are."""
    return sum(a == b for a, b in zip(gold, predicted, strict=True)), len(gold)


def count_entities(gold: list[str], predicted: list[str]) -> tuple[int, int, int]:
    """How many entities have the right bounds and type, are predicted, and are in the gold."""
    gold_set, predicted_set = set(get_entities(gold)), set(get_entities(predicted))
    return len(gold_set & predicted_set), len(predicted_set), len(gold_set)


def _tag(
    title: str,
    metric: Callable[..., float],
    count: Callable[[list[str], list[str]], tuple[int, ...]],
    splits: dict[str, list[list[Token]]],
    elmos: dict[str, Model],
) -> TaskResult:
    """Probe each layer and a trained mix; ``count`` counts what ``metric`` takes per sentence."""
    words = {s: [[row[0] for row in sentence] for sentence in splits[s]] for s in SPLITS}
    tags = {s: [[row[-1] for row in sentence] for sentence in splits[s]] for s in SPLITS}
    labels_N = np.concatenate(tags["train"])

    def columns(split: str, predicted_N: np.ndarray) -> tuple[np.ndarray, ...]:
        ends = np.cumsum([len(sentence) for sentence in tags[split]])
        predicted = [part.tolist() for part in np.split(predicted_N, ends[:-1])]
        return tuple(np.array(list(map(count, tags[split], predicted))).T)

    rows = []
    for variant, elmo in elmos.items():
        vectors = {split: token_vectors(elmo, words[split]) for split in SPLITS}
        for name, layers in _layer_slices(variant, elmo.config.n_output_layers).items():
            steps = features().fit(vectors["train"][:, layers], labels_N)
            inputs = {split: steps.transform(vectors[split][:, layers]) for split in SPLITS}
            classifier, probed = probe(), {}
            for penalty in TOKEN_PENALTIES:
                classifier.set_params(C=inverse_penalty(penalty, len(labels_N)))
                classifier.fit(inputs["train"], labels_N)
                dev, test = (columns(s, classifier.predict(inputs[s])) for s in ("dev", "test"))
                probed[penalty] = metric(*dev), test
            best = max(probed, key=lambda penalty: probed[penalty][0])
            details = {"penalty": best, **_shares(steps[0].shares_L)}
            rows.append(Row(variant, name, probed[best][0], metric, probed[best][1], details))
    return TaskResult(title, {split: len(splits[split]) for split in SPLITS}, rows)


def cross_validated_rows(
    variant: str, vectors_SLD: np.ndarray, labels_S: np.ndarray
) -> Iterator[Row]:
    """Probe each layer and a trained mix: each sentence is tested by a probe that has not seen it.

    The penalty is chosen within the rest; ``dev`` is the mean of the scores there.
    """
    for name, layers in _layer_slices(variant, vectors_SLD.shape[1]).items():
        right_S = np.zeros(len(labels_S))
        dev, shares = [], []
        for rest, test in KFold(_N_FOLDS, shuffle=True, random_state=0).split(labels_S):
            grid = {"C": [inverse_penalty(p, len(rest)) for p in SENTENCE_PENALTIES]}
            search = GridSearchCV(probe(), grid, cv=_N_INNER_FOLDS)
            steps = make_pipeline(features(), search).fit(vectors_SLD[rest, layers], labels_S[rest])
            right_S[test] = steps.predict(vectors_SLD[test, layers]) == labels_S[test]
            dev.append(100 * search.best_score_)
            shares.append(steps[0][0].shares_L)
        columns = right_S, np.ones(len(right_S))
        mean_shares = _shares(np.mean(shares, axis=0))
        yield Row(variant, name, float(np.mean(dev)), accuracy, columns, mean_shares)


def _layer_slices(variant: str, n_layers: int) -> dict[str, slice]:
    """What is probed: each layer, and the mix of all if there are several."""
    names = layer_names(variant, n_layers)
    layers = {name: slice(layer, layer + 1) for layer, name in names.items()}
    return {**layers, MIX: slice(None)} if n_layers > 1 else layers


def _shares(shares_L: np.ndarray) -> dict[str, float]:
    shares = {f"share of layer {layer}": float(share) for layer, share in enumerate(shares_L)}
    return shares if len(shares) > 1 else {}
