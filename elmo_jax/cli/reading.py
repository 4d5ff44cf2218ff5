"""How the exploring commands read their text: one sentence a line, perhaps with a label."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ElmoError
from .words import add_tokenizer_arguments, tokenizer_of

if TYPE_CHECKING:
    from ..exploring import Labelled
    from ..readers import Records

Read = Callable[[], "Iterator[Labelled]"]
"""Reads the text from its start; a text can be read several times."""


def add_text_arguments(parser: argparse.ArgumentParser, *, labels: bool = False) -> None:
    """Declare what ``reading`` reads from the command line."""
    add = parser.add_argument
    add(
        "--in",
        dest="input",
        metavar="CORPUS",
        required=True,
        help="a file or pattern of a format that `elmo-jax embed` reads; - for standard input",
    )
    add("--column", metavar="NAME", help="of JSON lines and Parquet: that with the sentences")
    if labels:
        either = parser.add_mutually_exclusive_group()
        either.add_argument("--labels", metavar="FILE", help="a label for each line, in a file")
        either.add_argument(
            "--label-column",
            type=int,
            metavar="N",
            help="lines are columns between tabs: the label is in column N (from 1), the "
            "sentence in the first of the others",
        )
    add_tokenizer_arguments(parser)
    add("--exact", action="store_true", help="tell upper from lower case in WORD")


def reading(args: argparse.Namespace) -> Read:
    """Find the text; gives a function that reads its sentences from the start, with labels.

    Raises:
        ElmoError: for a text, labels or a tokenizer that cannot be used.
    """
    from ..readers import Records

    labels_file, column = getattr(args, "labels", None), getattr(args, "label_column", None)
    if args.split_sentences and (labels_file or column):
        raise ElmoError("Labels belong to lines; --split-sentences gives up the lines. Leave one.")
    tokenizer = tokenizer_of(args)
    records = Records.of(
        args.input, column=args.column, tokenizer=tokenizer, running_text=args.split_sentences
    )
    labels = Records.of(labels_file, "text") if labels_file else None

    def read() -> Iterator[Labelled]:
        from ..exploring import Labelled

        if labels is not None:
            yield from _with_labels(args, records, labels)
        elif column is not None:
            for record in records:
                where = f"{record.file}, line {record.number}"
                sentence, label = (
                    _columns(record.text, column, where) if record.text else ("", None)
                )
                yield Labelled(tokenizer(sentence), label)
        else:
            for record in records:
                yield Labelled(record.words, None)

    return read


def _with_labels(args: argparse.Namespace, records: Records, labels: Records) -> Iterator[Labelled]:
    from ..exploring import Labelled

    pairs = itertools.zip_longest(records, labels)
    for number, (record, label) in enumerate(pairs, start=1):
        if record is None or label is None:
            shorter = args.labels if label is None else args.input
            raise ElmoError(
                f"{args.input} and {args.labels} differ in length: {Path(shorter).name} ends "
                f"before line {number}. Expected a label for each line."
            )
        yield Labelled(record.words, label.text or None)


def _columns(line: str, column: int, where: str) -> tuple[str, str | None]:
    cells = line.split("\t")
    if not 1 <= column <= len(cells) or len(cells) < 2:
        raise ElmoError(
            f"{where}: expected a label in column {column} and the sentence in another, between "
            f"tabs; the line has {len(cells)} column{'s' if len(cells) > 1 else ''}."
        )
    label = cells.pop(column - 1)
    return cells[0], label or None
