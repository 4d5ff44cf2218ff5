"""How the exploring commands read their text: one sentence a line, perhaps with a label."""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ElmoError
from .words import add_tokenizer_arguments, sentences_of, tokenizer_of

if TYPE_CHECKING:
    from ..corpus import TextFile
    from ..exploring import Labelled

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
        help="UTF-8 text, one sentence a line; - for standard input",
    )
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


@contextlib.contextmanager
def reading(args: argparse.Namespace) -> Iterator[Read]:
    """Open the text; gives a function that reads its sentences from the start, with labels.

    Raises:
        ElmoError: for a text, labels or a tokenizer that cannot be used.
    """
    from ..corpus import TextFile

    labels_file, column = getattr(args, "labels", None), getattr(args, "label_column", None)
    if args.split_sentences and (labels_file or column):
        raise ElmoError("Labels belong to lines; --split-sentences gives up the lines. Leave one.")
    with contextlib.ExitStack() as stack:
        text = stack.enter_context(TextFile.open(args.input))
        labels = stack.enter_context(TextFile.open(labels_file)) if labels_file else None
        tokenizer = tokenizer_of(args)

        def read() -> Iterator[Labelled]:
            from ..exploring import Labelled

            for line, label in _lines(args, text, labels, column):
                yield Labelled(tokenizer(line), label)

        yield read


def _lines(
    args: argparse.Namespace, text: TextFile, labels: TextFile | None, column: int | None
) -> Iterator[tuple[str, str | None]]:
    if labels is not None:
        pairs = itertools.zip_longest(text.lines(), labels.lines())
        for number, (line, label) in enumerate(pairs, start=1):
            if line is None or label is None:
                shorter = args.labels if label is None else args.input
                raise ElmoError(
                    f"{args.input} and {args.labels} differ in length: {Path(shorter).name} ends "
                    f"before line {number}. Expected a label for each line."
                )
            yield line, label or None
    elif column is not None:
        for number, line in enumerate(text.lines(), start=1):
            yield _columns(line, column, f"{args.input}, line {number}") if line else ("", None)
    else:
        for line in sentences_of(args, text.lines()):
            yield line, None


def _columns(line: str, column: int, where: str) -> tuple[str, str | None]:
    cells = line.split("\t")
    if not 1 <= column <= len(cells) or len(cells) < 2:
        raise ElmoError(
            f"{where}: expected a label in column {column} and the sentence in another, between "
            f"tabs; the line has {len(cells)} column{'s' if len(cells) > 1 else ''}."
        )
    label = cells.pop(column - 1)
    return cells[0], label or None
