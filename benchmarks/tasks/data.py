"""The task files: tab-separated, UTF-8, without header or quoting.

====================== ==================================== =============================
folder                 columns                              a blank line
====================== ==================================== =============================
``pos_ewt``            token, UPOS, XPOS                    ends a sentence
``ner_wnut17``         token, BIO tag                       ends a sentence
``wsd_noad``           token, lemma, POS, sense or ``_``    ends a sentence
``sentiment_mr``       1 or 0, sentence                     is skipped
``sts_b``              0 to 5, sentence, sentence, source   is skipped
====================== ==================================== =============================

Each folder holds ``train``, ``dev`` and ``test``, as ``.tsv`` or ``.tsv.xz``. A column that holds a
sentence separates its words by single spaces.
"""

from __future__ import annotations

import itertools
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from elmo_jax import ElmoError

from ..texts import shared_data

SPLITS = ("train", "dev", "test")

Token = list[str]  # the columns of a line
T = TypeVar("T")


class Pair(NamedTuple):
    """Two sentences, and how similar people find them, 0 to 5."""

    similarity: float
    first: list[str]
    second: list[str]


def data_folder(name: str | None) -> Path:
    """The folder of tasks: the named one, or ``data/tasks`` of the shared data."""
    folder = Path(name) if name is not None else shared_data() / "data" / "tasks"
    if not folder.is_dir():
        raise ElmoError(
            f"There is no folder of tasks at {folder}. Name one with --data, or the folder that "
            "holds data/tasks with the environment variable ELMO_JAX_SHARED."
        )
    return folder


def read_splits(read: Callable[[str], list[T]], limits: Sequence[int] | None) -> dict[str, list[T]]:
    """The items of each split, in the order of the files.

    With ``limits``, at most so many of train, dev and test, drawn at random.
    """
    splits = {split: read(split) for split in SPLITS}
    for split, limit in zip(SPLITS, limits or (), strict=limits is not None):
        n = len(splits[split])
        if limit < n:
            # Drawn, since the files are sorted by source: the first ones would be of one kind.
            drawn = np.random.default_rng(0).choice(n, limit, replace=False)
            splits[split] = [splits[split][i] for i in np.sort(drawn)]
    return splits


def read_sts(folder: Path, split: str) -> list[Pair]:
    pairs = []
    for row in read_rows(folder / "sts_b", 4, split):
        try:
            pairs.append(Pair(float(row[0]), row[1].split(), row[2].split()))
        except ValueError:
            where = f"{folder / 'sts_b'}, {split}, pair {len(pairs) + 1}"
            raise ElmoError(f"{where}: expected a number, got {row[0]!r}.") from None
    return pairs


def read_rows(task: Path, n_columns: int, split: str) -> list[Token]:
    """The rows of a file with one sentence, or one pair, per line."""
    return [*itertools.chain(*read_blocks(task, n_columns, split))]


def read_blocks(task: Path, n_columns: int, split: str) -> list[list[Token]]:
    """The sentences of a file with one token per line: the rows between blank lines."""
    blocks: list[list[Token]] = [[]]
    path = _path(task, split)
    # A line ends at \n only: "universal newlines" would also split at a lone \r.
    open_text = lzma.open if path.suffix == ".xz" else Path.open
    with open_text(path, "rt", encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            row = str(line).rstrip("\r\n").split("\t")
            if row == [""]:
                blocks.append([])
            elif len(row) == n_columns:
                blocks[-1].append(row)
            else:
                raise ElmoError(
                    f"{path}, line {number}: expected {n_columns} columns separated by tabs, "
                    f"got {len(row)}: {line[:80]!r}."
                )
    if not any(blocks):
        raise ElmoError(f"{path} is empty, expected lines of {n_columns} columns.")
    return [block for block in blocks if block]


def _path(task: Path, split: str) -> Path:
    for path in (task / f"{split}.tsv", task / f"{split}.tsv.xz"):
        if path.is_file():
            return path
    raise ElmoError(
        f"There is no {task / split}.tsv nor {split}.tsv.xz. Leave the task out with --tasks, or "
        "name another folder with --data."
    )
