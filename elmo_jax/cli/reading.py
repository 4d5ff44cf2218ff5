"""How the exploring commands read their text: one sentence a line, perhaps with a label."""

from __future__ import annotations

import argparse
import functools
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ElmoError, counted
from ..text.tokenizers import Tokenizer, warn_of_other_spaces
from .words import add_tokenizer_arguments, tokenizer_of

if TYPE_CHECKING:
    from ..explore import Labelled
    from ..text.readers import Records

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
    add_format_arguments(parser)
    if labels:
        either = parser.add_mutually_exclusive_group()
        either.add_argument("--labels", metavar="FILE", help="a label for each line, in a file")
        either.add_argument(
            "--label-column",
            metavar="N",
            help="lines are columns between tabs: the label is in column N (from 1), the "
            "sentence in the first of the others; with --column, the name of the label's column",
        )
    add_tokenizer_arguments(parser)
    add("--exact", action="store_true", help="tell upper from lower case in WORD")


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how the file is read."""
    from ..text.readers import FORMATS

    add = parser.add_argument
    add("--input-format", choices=FORMATS, help="of the text (default: by its suffix)")
    add("--column", metavar="NAME", help="of a table (CSV, JSON lines, …): that with the sentences")


def input_files(args: argparse.Namespace) -> list[Path]:
    """The files that ``reading`` reads, which no output may replace."""
    from ..text.readers import find_files

    named = [name for name in (args.input, getattr(args, "labels", None)) if name is not None]
    return list(find_files(named, or_stdin=True)) if named else []


def reading(args: argparse.Namespace) -> Read:
    """Find the text; gives a function that reads its sentences from the start, with labels.

    Raises:
        ElmoError: for a text, labels or a tokenizer that cannot be used.
    """
    from ..text.readers import Records, format_of

    labels_file, label_column = getattr(args, "labels", None), getattr(args, "label_column", None)
    if args.split_sentences and (labels_file or label_column):
        raise ElmoError("Labels belong to lines; --split-sentences gives up the lines. Leave one.")
    tokenizer = tokenizer_of(args)
    format = args.input_format
    if label_column is not None and args.column is None and format in (None, "text"):
        return functools.partial(
            _with_label_column, Records.of(args.input, "text"), _number(label_column), tokenizer
        )
    if labels_file is not None and args.column is None and format_of(args.input) == "tsv":
        format = format or "text"  # each label is that of a line
    records = Records.of(
        args.input,
        format,
        column=args.column,
        key_column=label_column,
        tokenizer=tokenizer,
        running_text=args.split_sentences,
    )
    if labels_file is not None:
        return functools.partial(_with_labels, args, records, Records.of(labels_file, "text"))
    return functools.partial(_with_keys, records, labelled=label_column is not None)


def _with_keys(records: Records, *, labelled: bool) -> Iterator[Labelled]:
    from ..explore import Labelled

    for record in records:
        yield Labelled(record.words, record.key if labelled else None)


def _with_label_column(records: Records, column: int, split: Tokenizer) -> Iterator[Labelled]:
    from ..explore import Labelled

    warned = split is not str.split
    for where, line in records.lines():
        sentence, label = _columns(line, column, where) if line.strip() else ("", None)
        warned = warned or warn_of_other_spaces(sentence, where)
        yield Labelled(split(sentence) if sentence else [], label)


def _with_labels(args: argparse.Namespace, records: Records, labels: Records) -> Iterator[Labelled]:
    from ..explore import Labelled

    pairs = itertools.zip_longest(records, labels)
    for number, (record, label) in enumerate(pairs, start=1):
        if record is None or label is None:
            shorter = args.labels if label is None else args.input
            raise ElmoError(
                f"{args.input} and {args.labels} differ in length: {Path(shorter).name} ends "
                f"before line {number}. Expected a label for each line."
            )
        yield Labelled(record.words, label.text or None)


def _number(label_column: str) -> int:
    if re.fullmatch("[+-]?[0-9]+", label_column):
        if int(label_column) < 1:
            raise ElmoError(f"Expected --label-column as a number from 1, got {label_column}.")
    else:
        raise ElmoError(
            f"--label-column {label_column} is a name, so which column holds the sentences? Name "
            "it with --column; or give the number of a column between tabs."
        )
    return int(label_column)


def _columns(line: str, column: int, where: str) -> tuple[str, str | None]:
    cells = line.split("\t")
    if not 1 <= column <= len(cells) or len(cells) < 2:
        raise ElmoError(
            f"{where}: expected a label in column {column} and the sentence in another, between "
            f"tabs; the line has {counted(len(cells), 'column')}."
        )
    label = cells.pop(column - 1)
    return cells[0], label or None
