"""Word sense disambiguation by the nearest sense vector (Peters et al. 2018, section 5.3).

A sense's vector is the mean over its occurrences in train; a word gets the sense of its lemma and
part of speech whose vector has the highest cosine with its own, of equal ones the most frequent.
A lemma that train does not have
has no sense to choose from, and counts as wrong; the paper takes WordNet's first sense there, but
these senses are not WordNet's.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from elmo_jax import Elmo

from .bootstrap import Score, share
from .data import Disambiguated, Instance, read_splits, read_wsd
from .results import AVERAGE, Row, TaskResult, layer_name
from .variants import BASELINE, MODEL

MOST_FREQUENT = "most frequent sense"
_TIE = 1e-5  # cosines that differ by less are equal: float32 sums are not more exact


@dataclasses.dataclass(frozen=True)
class Inventory:
    """The senses of train, those of a lemma and part of speech side by side.

    Attributes:
        senses: all senses; those of a key the most frequent first.
        rows: where a key's senses are.
        row_of: where one sense of a key is.
    """

    senses: list[str]
    rows: dict[tuple[str, str], slice]
    row_of: dict[tuple[tuple[str, str], str], int]

    @classmethod
    def of(cls, sentences: Iterable[Disambiguated]) -> Inventory:
        """Count the senses of sentences."""
        counts: dict[tuple[str, str], Counter[str]] = {}
        for sentence in sentences:
            for instance in sentence.instances:
                counts.setdefault(instance.key, Counter())[instance.sense] += 1
        senses: list[str] = []
        rows = {}
        for key, counter in counts.items():
            rows[key] = slice(len(senses), len(senses) + len(counter))
            senses += [sense for sense, _ in counter.most_common()]
        row_of = {
            (key, senses[i]): i
            for key, part in rows.items()
            for i in range(*part.indices(len(senses)))
        }
        return cls(senses, rows, row_of)


def wsd(folder: Path, elmos: dict[str, Elmo], most: Sequence[int] | None) -> TaskResult:
    """Share of words with the right sense, among those whose lemma and POS train has."""
    splits = read_splits(read_wsd, folder, most)
    inventory = Inventory.of(splits["train"])
    first = {split: _first_senses(inventory, splits[split]) for split in ("dev", "test")}
    rows = [_row(BASELINE, MOST_FREQUENT, inventory, splits, first)]
    for variant, elmo in elmos.items():
        vectors = sense_vectors(elmo, splits["train"], inventory)
        chosen = {
            split: choose_senses(elmo, splits[split], inventory, vectors)
            for split in ("dev", "test")
        }
        for i, reading in enumerate(
            [*map(layer_name, range(elmo.config.n_output_layers)), AVERAGE]
        ):
            if i == 0 and variant != MODEL:
                continue  # the model's own token layer, which is in the table already
            by_layer = {split: chosen[split][:, i] for split in chosen}
            rows.append(_row(variant, reading, inventory, splits, by_layer))
    sizes = {split: len(sentences) for split, sentences in splits.items()}
    return TaskResult("wsd", "sense accuracy, lemmas seen in train", sizes, rows)


def sense_vectors(
    elmo: Elmo, sentences: Sequence[Disambiguated], inventory: Inventory
) -> np.ndarray:
    """Each sense's mean vector, scaled to length 1: float32 [senses, L + 1, D].

    The last layer is the average of the others. Only sums are kept, not the occurrences.
    """
    config = elmo.config
    shape = (len(inventory.senses), config.n_output_layers + 1, config.output_dim)
    sums = np.zeros(shape, np.float32)
    for instance, vector in _instance_vectors(elmo, sentences):
        sums[inventory.row_of[instance.key, instance.sense]] += vector
    return _unit(sums)


def choose_senses(
    elmo: Elmo,
    sentences: Sequence[Disambiguated],
    inventory: Inventory,
    vectors: np.ndarray,
) -> np.ndarray:
    """The nearest sense of each instance: row numbers, int [instances, L + 1]; -1 if unseen."""
    n_readings = vectors.shape[1]
    chosen = np.full((sum(len(s.instances) for s in sentences), n_readings), -1)
    for i, (instance, vector) in enumerate(_instance_vectors(elmo, sentences)):
        part = inventory.rows.get(instance.key)
        if part is not None:
            cosines = (vectors[part] * _unit(vector)[None]).sum(-1)
            # The token layer has the same vector for every occurrence of a form; rounding must
            # not choose between senses then. The first sense is the most frequent one.
            nearest = cosines >= cosines.max(axis=0, keepdims=True) - _TIE
            chosen[i] = part.start + nearest.argmax(axis=0)
    return chosen


def _instance_vectors(
    elmo: Elmo, sentences: Sequence[Disambiguated]
) -> Iterator[tuple[Instance, np.ndarray]]:
    """Each instance with its vectors, float32 [L + 1, D], and nothing of the words around it."""
    stream = elmo.stream((sentence.words for sentence in sentences), "all")
    for sentence, vectors_LTD in zip(sentences, stream, strict=True):
        for instance in sentence.instances:
            vector_LD = vectors_LTD[:, instance.position]
            yield instance, np.concatenate([vector_LD, vector_LD.mean(0, keepdims=True)])


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scaled to length 1 along the last axis."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _first_senses(inventory: Inventory, sentences: Sequence[Disambiguated]) -> np.ndarray:
    """The most frequent sense of each instance: row numbers, int [instances]; -1 if unseen."""
    keys = (instance.key for sentence in sentences for instance in sentence.instances)
    return np.array([inventory.rows[k].start if k in inventory.rows else -1 for k in keys])


def _row(
    variant: str,
    reading: str,
    inventory: Inventory,
    splits: dict[str, list[Disambiguated]],
    chosen: dict[str, np.ndarray],
) -> Row:
    dev = _scores(inventory, splits["dev"], chosen["dev"])["seen"]
    test = _scores(inventory, splits["test"], chosen["test"])
    details = {
        "over all words": test["all"].value,
        "over lemmas with more senses": test["ambiguous"].value,
    }
    return Row(variant, reading, dev.value, test["seen"], details)


def _scores(
    inventory: Inventory, sentences: Sequence[Disambiguated], chosen_N: np.ndarray
) -> dict[str, Score]:
    """Accuracy over all instances, those with a known lemma, and those with a choice."""
    instances = [instance for sentence in sentences for instance in sentence.instances]
    ends = np.cumsum([len(sentence.instances) for sentence in sentences])
    right_N = np.array(
        [
            row >= 0 and inventory.senses[row] == instance.sense
            for row, instance in zip(chosen_N, instances, strict=True)
        ]
    )
    parts = (inventory.rows.get(instance.key, slice(0, 0)) for instance in instances)
    n_senses_N = np.array([part.stop - part.start for part in parts])

    def score(counted_N: np.ndarray) -> Score:
        counts = (
            [part.sum() for part in np.split(x, ends[:-1])]
            for x in (right_N & counted_N, counted_N)
        )
        return share(*map(np.array, counts))

    return {
        "all": score(n_senses_N >= 0),
        "seen": score(n_senses_N > 0),
        "ambiguous": score(n_senses_N > 1),
    }
