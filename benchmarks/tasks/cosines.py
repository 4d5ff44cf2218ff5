"""Tasks without any training: the cosine of sentences, and the nearest sense of a word.

Word senses follow Peters et al. 2018, section 5.3: a sense's vector is the mean over its
occurrences in train. A word gets the sense of its lemma and part of speech whose vector has the
highest cosine with its own; among equal ones, the most frequent sense. A lemma that is not in train
counts as wrong in "over all words". The paper takes WordNet's first sense there, but these senses
are not WordNet's.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.stats

from elmo_jax import ElmoError

from .data import SPLITS, Pair, Token, read_blocks, read_splits, read_sts
from .minilm import Model
from .scores import (
    AVERAGE,
    BASELINE,
    MODEL,
    SIF,
    Row,
    TaskResult,
    accuracy,
    layer_names,
    spearman,
)

_SPLITS = ("dev", "test")  # train has nothing to teach a cosine
MOST_FREQUENT = "most frequent sense"
_NO_SENSE = "_"
_TIE = 1e-5  # cosines that differ by less are equal: float32 sums are not more exact


def sts(folder: Path, elmos: dict[str, Model], limits: Sequence[int] | None) -> TaskResult:
    """Rank correlation of the cosine of pooled vectors with what people say.

    The layers are compared by their plain mean; the weighted one, "sif", is shown beside it.
    """
    splits = read_splits(functools.partial(read_sts, folder), limits)
    gold = {split: np.array([pair.similarity for pair in splits[split]]) for split in _SPLITS}
    rows = []
    for variant, elmo in elmos.items():
        for pooling, suffix in poolings(variant, elmo).items():
            cosines = {split: pair_cosines(elmo, splits[split], pooling) for split in _SPLITS}
            n_layers = cosines["test"].shape[1] - 1
            for i, name in layers_and_average(variant, n_layers).items():
                dev_S, test_S = (cosines[split][:, i] for split in _SPLITS)
                pearson = scipy.stats.pearsonr(gold["test"], test_S).statistic
                dev, columns = spearman(gold["dev"], dev_S), (gold["test"], test_S)
                details = {"pearson": 100 * float(pearson)}
                rows.append(Row(variant, name + suffix, dev, spearman, columns, details))
    return TaskResult("Spearman correlation", {s: len(splits[s]) for s in _SPLITS}, rows)


def poolings(variant: str, elmo: Model) -> dict[str, str]:
    """How a sentence becomes one vector, and what the names of such layers end with."""
    plain = {"mean": ""}
    if variant != MODEL:
        return plain
    try:
        elmo.embed_sentences([["word"]], "all", "sif")
    except ElmoError:  # its vocabulary is not known
        return plain
    return {**plain, "sif": SIF}


def layers_and_average(variant: str, n_layers: int) -> dict[int, str]:
    """The layers that are compared, and the average of several after them: number and name."""
    layers = layer_names(variant, n_layers)
    return {**layers, n_layers: AVERAGE} if n_layers > 1 else layers


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scaled to length 1 along the last axis; zeros stay zeros, and have a cosine of 0 with all."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def pair_cosines(elmo: Model, pairs: list[Pair], pooling: str = "mean") -> np.ndarray:
    """Of each pair in each layer and in the layers' average: float32 [S, L + 1]."""
    units = []
    for sentences in ([pair.first for pair in pairs], [pair.second for pair in pairs]):
        vectors_SLD = elmo.embed_sentences(sentences, "all", pooling)
        units.append(unit(np.concatenate([vectors_SLD, vectors_SLD.mean(1, keepdims=True)], 1)))
    return (units[0] * units[1]).sum(-1)


class Instance(NamedTuple):
    """A word in a sentence with its sense; ``key`` is its lemma and part of speech."""

    position: int
    key: tuple[str, str]
    sense: str


def instances(sentence: Sequence[Token]) -> list[Instance]:
    return [
        Instance(position, (lemma, pos), sense)
        for position, (_, lemma, pos, sense) in enumerate(sentence)
        if sense != _NO_SENSE
    ]


@dataclasses.dataclass(frozen=True)
class Inventory:
    """The senses of train, numbered: those of a key side by side, the most frequent first."""

    senses: dict[tuple[tuple[str, str], str], int]  # by key and sense
    of_key: dict[tuple[str, str], range]

    @classmethod
    def from_sentences(cls, sentences: Sequence[Sequence[Token]]) -> Inventory:
        counts = Counter((i.key, i.sense) for sentence in sentences for i in instances(sentence))
        ordered = sorted(counts, key=lambda sense: (sense[0], -counts[sense]))
        of_key, start = {}, 0
        for key, n_senses in Counter(key for key, _ in ordered).items():
            of_key[key] = range(start, start + n_senses)
            start += n_senses
        return cls({sense: number for number, sense in enumerate(ordered)}, of_key)


def wsd(folder: Path, elmos: dict[str, Model], limits: Sequence[int] | None) -> TaskResult:
    """Share of words with the right sense, among those that have lemma and POS in train."""

    def read(split: str) -> list[list[Token]]:
        return list(filter(instances, read_blocks(folder / "wsd_noad", 4, split)))

    splits = read_splits(read, limits)
    inventory = Inventory.from_sentences(splits["train"])

    def row(variant: str, name: str, senses: list[np.ndarray]) -> Row:
        dev, test = map(functools.partial(count_right, inventory), evaluated, senses)
        details = {"over all words": accuracy(*test["all"])}
        details["over lemmas with more senses"] = accuracy(*test["ambiguous"])
        return Row(variant, name, accuracy(*dev["seen"]), accuracy, test["seen"], details)

    evaluated = [splits["dev"], splits["test"]]
    first = [first_senses(inventory, sentences) for sentences in evaluated]
    rows = [row(BASELINE, MOST_FREQUENT, first)]
    for variant, elmo in elmos.items():
        vectors = sense_vectors(elmo, splits["train"], inventory)
        nearest = [nearest_senses(elmo, part, inventory, vectors) for part in evaluated]
        for i, name in layers_and_average(variant, elmo.config.n_output_layers).items():
            rows.append(row(variant, name, [numbers[:, i] for numbers in nearest]))
    sizes = {split: len(splits[split]) for split in SPLITS}
    return TaskResult("sense accuracy, lemmas seen in train", sizes, rows)


def sense_vectors(elmo: Model, sentences: list[list[Token]], inventory: Inventory) -> np.ndarray:
    """Each sense's mean vector, scaled to length 1: float32 [senses, L + 1, D].

    The last layer is the average of the others. Only the sums are in memory, not the occurrences.
    """
    n_layers, dim = elmo.config.n_output_layers, elmo.config.output_dim
    sums = np.zeros((len(inventory.senses), n_layers + 1, dim), np.float32)
    for instance, vector in _instance_vectors(elmo, sentences):
        sums[inventory.senses[instance.key, instance.sense]] += vector
    return unit(sums)


def nearest_senses(
    elmo: Model, sentences: list[list[Token]], inventory: Inventory, vectors: np.ndarray
) -> np.ndarray:
    """The number of each instance's nearest sense: int [instances, L + 1]; -1 if unseen."""
    nearest = []
    for instance, vector in _instance_vectors(elmo, sentences):
        numbers = inventory.of_key.get(instance.key)
        if numbers is None:
            nearest.append(np.full(len(vector), -1))
            continue
        cosines = (vectors[numbers.start : numbers.stop] * unit(vector)[None]).sum(-1)
        # The token layer has the same vector for every occurrence of a form; rounding must not
        # choose between senses then. The first sense is the most frequent one.
        equal = cosines >= cosines.max(axis=0, keepdims=True) - _TIE
        nearest.append(numbers.start + equal.argmax(axis=0))
    return np.array(nearest)


def first_senses(inventory: Inventory, sentences: list[list[Token]]) -> np.ndarray:
    """The number of each instance's most frequent sense: int [instances]; -1 if unseen."""
    keys = [instance.key for sentence in sentences for instance in instances(sentence)]
    return np.array([inventory.of_key.get(key, range(-1, 0)).start for key in keys])


def count_right(
    inventory: Inventory, sentences: list[list[Token]], numbers_N: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Right senses and instances of each sentence: of all, of seen keys, and of ambiguous ones."""
    words = [(s, i) for s, sentence in enumerate(sentences) for i in instances(sentence)]
    sentence_N = np.array([s for s, _ in words])
    right_N = np.array([inventory.senses.get((i.key, i.sense)) for _, i in words]) == numbers_N
    n_choices_N = np.array([len(inventory.of_key.get(i.key, ())) for _, i in words])

    def count(counted_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        right_S = np.bincount(sentence_N, right_N & counted_N, len(sentences))
        return right_S, np.bincount(sentence_N, counted_N, len(sentences))

    kinds = {"all": n_choices_N >= 0, "seen": n_choices_N > 0, "ambiguous": n_choices_N > 1}
    return {kind: count(counted_N) for kind, counted_N in kinds.items()}


def _instance_vectors(
    elmo: Model, sentences: list[list[Token]]
) -> Iterator[tuple[Instance, np.ndarray]]:
    """Each instance with its vectors, float32 [L + 1, D]."""
    stream = elmo.stream([[token[0] for token in sentence] for sentence in sentences], "all")
    for sentence, vectors_LTD in zip(sentences, stream, strict=True):
        for instance in instances(sentence):
            vector_LD = vectors_LTD[:, instance.position]
            yield instance, np.concatenate([vector_LD, vector_LD.mean(0, keepdims=True)])
