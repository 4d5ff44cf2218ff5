"""The text that commands read: sentences, which may have labels."""

from __future__ import annotations

import argparse
import functools
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ElmoError, counted, shortened
from ..text.tokenizers import split_text, warn_of_other_spaces
from .flags import add_flag, add_input, add_word_flags
from .models import chosen_tokenizer, model_files, tokenizer_name

if TYPE_CHECKING:
    from ..explore import Labelled
    from ..text.readers import Records


def open_records(
    args: argparse.Namespace, key_column: str | None = None, format: str | None = None
) -> Records:
    """What ``flags.add_input`` and ``flags.add_word_flags`` read."""
    from ..text.readers import Records

    return Records.of(
        args.input,
        format or args.input_format,
        column=args.column,
        key_column=key_column,
        tokenizer=chosen_tokenizer(args),
        split_sentences=args.split_sentences,
    )


def check_output(args: argparse.Namespace) -> Path:
    """The path of OUT; an error if it is an input, or exists and ``--overwrite`` is missing."""
    from ..files import refuse_existing, refuse_input
    from ..text.readers import find_files

    output, names = Path(args.output), list(vars(args).get("input") or [])
    if args.output == "-":
        raise ElmoError("OUT is a file, not standard output: expected its name, got '-'.")
    if vars(args).get("labels"):
        names.append(args.labels)
    texts = find_files(names, or_stdin=True) if names else ()
    refuse_input(output, [*texts, *model_files(args)])
    refuse_existing(output, args.overwrite)
    return output


LabelledText = Callable[[], "Iterator[Labelled]"]
"""Reads the text from its start; a text can be read several times."""


def add_text_arguments(parser: argparse.ArgumentParser, *, labels: bool = False) -> None:
    """Declare what ``labelled_text`` reads."""
    add_input(parser)
    if labels:
        either = parser.add_mutually_exclusive_group()
        either.add_argument("--labels", metavar="FILE", help="a file with a label for each line")
        column = (
            "lines are columns between tabs: the label is in column N (from 1), the sentence in "
            "the first of the others; with --column, the name of the label's column"
        )
        either.add_argument("--label-column", metavar="N", help=column)
    add_word_flags(parser)
    add_flag(parser, "--exact")


def labelled_text(args: argparse.Namespace) -> LabelledText:
    """Find the text, and return what reads its sentences with their labels."""
    from ..text.readers import Records, format_of

    labels_file, label_column = vars(args).get("labels"), vars(args).get("label_column")
    if args.split_sentences and (labels_file or label_column):
        raise ElmoError(
            "Labels belong to lines, but --split-sentences gives up the lines. Leave one out."
        )
    format = args.input_format
    if label_column is not None and args.column is None and format in (None, "text"):
        if tokenizer_name(args) == "tabs":
            raise ElmoError(
                "The words of a line cannot be between tabs if its label is: of the other columns, "
                "only one is the sentence. Leave out --tokenizer tabs, or give the labels in a "
                "file of their own, --labels."
            )
        records = Records.of(args.input, "text", tokenizer=chosen_tokenizer(args))
        return functools.partial(_split_columns, records, _column_number(label_column))
    if labels_file is not None:
        # Each line of a .tsv is then a sentence: no column needs a name.
        if args.column is None and all(format_of(name) == "tsv" for name in args.input):
            format = format or "text"
        records = open_records(args, format=format)
        labels = Records.of(labels_file, "text", tokenizer=lambda label: [label])
        return functools.partial(_join_labels, args, records, labels)
    records = open_records(args, label_column)
    return functools.partial(_label_by_key, records, has_labels=label_column is not None)


def _label_by_key(records: Records, *, has_labels: bool) -> Iterator[Labelled]:
    from ..explore import Labelled

    for record in records:
        label = record.key if has_labels else None
        yield Labelled(record.words, label, record.file, record.number)


def _split_columns(records: Records, column: int) -> Iterator[Labelled]:
    from ..explore import Labelled

    split, watch = records.split, records.watch
    warned = split is not str.split
    if watch is not None:
        watch.start()
    for file, number, line in records.lines():
        where = f"{file}, line {number}"
        sentence, label = _columns(line, column, where) if line.strip() else ("", None)
        warned = warned or warn_of_other_spaces(sentence, where)
        words = split_text(split, sentence, where) if sentence else []
        if watch is not None:
            watch.add(words, file)
        yield Labelled(words, label, file, number)
    if watch is not None:
        watch.finish()


def _join_labels(args: argparse.Namespace, records: Records, labels: Records) -> Iterator[Labelled]:
    from ..explore import Labelled

    text = " ".join(args.input)
    pairs = itertools.zip_longest(records, labels)
    for number, (record, label) in enumerate(pairs, start=1):
        if record is None or label is None:
            shorter = args.labels if label is None else text
            raise ElmoError(
                f"{text} and {args.labels} differ in length: {Path(shorter).name} ends "
                f"before line {number}. Expected a label for each line."
            )
        yield Labelled(record.words, label.text or None, record.file, record.number)


def _column_number(label_column: str) -> int:
    if not re.fullmatch("[+-]?[0-9]{1,18}", label_column):
        raise ElmoError(
            f"--label-column {label_column} is a name, so which column holds the sentences? Name "
            "it with --column; or give the number of a column between tabs."
        )
    number = int(label_column) if len(label_column) < 10 else 0
    if number < 1:
        raise ElmoError(
            f"Expected --label-column as a number from 1, got {shortened(label_column)}."
        )
    return number


def _columns(line: str, column: int, where: str) -> tuple[str, str | None]:
    cells = line.split("\t")
    if not 1 <= column <= len(cells) or len(cells) < 2:
        raise ElmoError(
            f"{where}: expected a label in column {column} and the sentence in another, between "
            f"tabs; the line has {counted(len(cells), 'column')}."
        )
    label = cells.pop(column - 1)
    return cells[0], label or None
