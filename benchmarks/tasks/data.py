"""Readers of the task folders: tab-separated, UTF-8, no header, no quoting.

====================== ==================================== =============================
folder                 columns                              a blank line
====================== ==================================== =============================
``pos_ewt``            token, UPOS, XPOS                    ends a sentence
``ner_wnut17``         token, BIO tag                       ends a sentence
``wsd_noad``           token, lemma, POS, sense or ``_``    ends a sentence
``sentiment_mr``       1 or 0, sentence                     is skipped
``sts_b``              0 to 5, sentence, sentence, source   is skipped
====================== ==================================== =============================

Each folder holds ``train``, ``dev`` and ``test``, as ``.tsv`` or ``.tsv.xz``. Words are separated
by single spaces where a column holds a sentence.
"""

from __future__ import annotations

import lzma
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

import numpy as np

from elmo_jax import ElmoError

SPLITS = ("train", "dev", "test")
_NO_SENSE = "_"

T = TypeVar("T")


class Tagged(NamedTuple):
    """A sentence with a tag for each word."""

    words: list[str]
    tags: list[str]


class Labelled(NamedTuple):
    """A sentence with one label."""

    words: list[str]
    label: str


class Pair(NamedTuple):
    """Two sentences, and how similar people find them, 0 to 5."""

    similarity: float
    first: list[str]
    second: list[str]


class Instance(NamedTuple):
    """A word whose sense is known: its place in the sentence, what it is, and the sense."""

    position: int
    key: tuple[str, str]  # lemma and part of speech
    sense: str


class Disambiguated(NamedTuple):
    """A sentence, some words of which have a sense."""

    words: list[str]
    instances: list[Instance]


def data_folder(given: str | None) -> Path:
    """The folder of tasks: the one given, or the default.

    Raises:
        ElmoError: if there is no such folder.
    """
    default = Path(__file__).resolve().parents[3] / "shared"
    shared = Path(os.environ.get("ELMO_JAX_SHARED", default))
    folder = Path(given) if given is not None else shared / "data" / "tasks"
    if not folder.is_dir():
        raise ElmoError(
            f"There is no folder of tasks at {folder}. Name one with --data, or the folder that "
            "holds data/tasks with the environment variable ELMO_JAX_SHARED."
        )
    return folder


def read_pos(folder: Path, split: str) -> list[Tagged]:
    """``pos_ewt``: sentences with the language's own tags (XPOS; Penn Treebank's in English)."""
    return [
        Tagged([row[0] for row in rows], [row[2] for row in rows])
        for rows in _sentences(folder / "pos_ewt", split, n_columns=3)
    ]


def read_ner(folder: Path, split: str) -> list[Tagged]:
    """``ner_wnut17``: sentences with BIO tags."""
    return [
        Tagged([row[0] for row in rows], [row[1] for row in rows])
        for rows in _sentences(folder / "ner_wnut17", split, n_columns=2)
    ]


def read_wsd(folder: Path, split: str) -> list[Disambiguated]:
    """``wsd_noad``: the sentences in which some word has a sense; the others are left out."""
    read = []
    for rows in _sentences(folder / "wsd_noad", split, n_columns=4):
        instances = [
            Instance(position, (lemma, pos), sense)
            for position, (_, lemma, pos, sense) in enumerate(rows)
            if sense != _NO_SENSE
        ]
        if instances:
            read.append(Disambiguated([row[0] for row in rows], instances))
    return read


def read_sentiment(folder: Path, split: str) -> list[Labelled]:
    """``sentiment_mr``: sentences with the label "1" (positive) or "0"."""
    return [
        Labelled(sentence.split(), label)
        for _, (label, sentence) in _rows(folder / "sentiment_mr", split, n_columns=2)
    ]


def read_sts(folder: Path, split: str) -> list[Pair]:
    """``sts_b``: pairs of sentences.

    Raises:
        ElmoError: if a similarity is not a number.
    """
    pairs = []
    for place, (similarity, first, second, _) in _rows(folder / "sts_b", split, n_columns=4):
        try:
            pairs.append(Pair(float(similarity), first.split(), second.split()))
        except ValueError:
            raise ElmoError(f"{place}: expected a number, got {similarity!r}.") from None
    return pairs


def read_splits(
    read: Callable[[Path, str], list[T]], folder: Path, most: Sequence[int] | None
) -> dict[str, list[T]]:
    """All splits of a task, or a random part of each.

    Args:
        read: one of the readers above.
        folder: the folder of tasks.
        most: how many sentences to keep of each split, in the order of ``SPLITS``; all if None.

    Returns:
        The sentences of each split, in the order of the file.
    """
    splits = {split: read(folder, split) for split in SPLITS}
    for split, n_kept in zip(SPLITS, most or (), strict=most is not None):
        n_read = len(splits[split])
        if n_kept < n_read:
            # Not the first ones: files are sorted by source.
            kept = np.sort(np.random.default_rng(0).choice(n_read, n_kept, replace=False))
            splits[split] = [splits[split][i] for i in kept]
    return splits


def _sentences(task: Path, split: str, n_columns: int) -> Iterator[list[list[str]]]:
    """Sentences of a token file: the rows between blank lines."""
    rows: list[list[str]] = []
    for _, row in _rows(task, split, n_columns, blank_lines=True):
        if row:
            rows.append(row)
        elif rows:
            yield rows
            rows = []
    if rows:
        yield rows


def _rows(
    task: Path, split: str, n_columns: int, blank_lines: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """(place for messages, columns) of each line; [] for a blank one, if they are wanted."""
    path, n_rows = _path(task, split), 0
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            line = line.rstrip("\r\n")
            if not line:
                if blank_lines:
                    yield f"{path}, line {number}", []
                continue
            row = line.split("\t")
            if len(row) != n_columns:
                raise ElmoError(
                    f"{path}, line {number}: expected {n_columns} columns separated by tabs, "
                    f"got {len(row)}: {line[:80]!r}."
                )
            n_rows += 1
            yield f"{path}, line {number}", row
    if not n_rows:
        raise ElmoError(f"{path} is empty, expected lines of {n_columns} columns.")


def _path(task: Path, split: str) -> Path:
    paths = [task / f"{split}{suffix}" for suffix in (".tsv", ".tsv.xz")]
    for path in paths:
        if path.is_file():
            return path
    raise ElmoError(
        f"There is no {paths[0]} nor {paths[1].name}. Leave the task out with --tasks, or name "
        "another folder with --data."
    )


def _open(path: Path) -> IO[str]:
    # A line ends at \n only: "universal newlines" would also split at a lone \r.
    if path.suffix == ".xz":
        return lzma.open(path, "rt", encoding="utf-8", newline="\n")
    return path.open(encoding="utf-8", newline="\n")
