"""The flags that several commands have, each declared once so that it means the same everywhere.

What a command works on has no flag: INPUT is text, MODEL is a model to inspect, export or convert.
"""

from __future__ import annotations

import argparse
import functools
import re
from typing import Any

from ..errors import did_you_mean
from ..model.config import DTYPES, PRECISIONS, SENTENCE_POOLINGS, preset_names

_SWITCH = {"action": "store_true"}
_TWICE = "A file named twice is read twice; a pattern adds only the files that you did not name"

FLAGS: dict[str, dict[str, Any]] = {
    "--batch-size": {"type": int, "metavar": "N", "help": "rows of text in a batch"},
    "--column": {
        "metavar": "NAME",
        "help": "the column with the sentences (JSON lines, Parquet, CSV, TSV) or with the words "
        "(CoNLL, by name or by number from 1)",
    },
    "--coordinator": {
        "metavar": "HOST:PORT",
        "help": "where the first process listens for the others; the same in every process",
    },
    "--distributed": {
        **_SWITCH,
        "help": "take the three above from the cluster: SLURM, Open MPI, Cloud TPU, Kubernetes",
    },
    "--dtype": {"choices": DTYPES, "default": "float32", "help": "type of the numbers in OUT"},
    "--exact": {**_SWITCH, "help": "match upper and lower case exactly"},
    "--format": {"help": "format of the model in OUT"},
    "--input-format": {"help": "format of every INPUT (default: by its suffix)"},
    "--layers": {"metavar": "LAYERS", "help": "a number from 0 (the token layer), or"},
    "--min-count": {
        "type": int,
        "metavar": "N",
        "default": 1,
        "help": "leave out words that occur fewer than N times",
    },
    "--mix-gamma": {"type": float, "metavar": "X", "help": "with --layers mix: its scale"},
    "--mix-weights": {
        "metavar": "WEIGHTS",
        "help": "with --layers mix: a number for each layer, such as 0.5,-1,2, or a file of them "
        "(text, JSON or .npy); their softmax is each layer's share. Or the number of a mix that "
        "the model has. If the first number is negative, write --mix-weights=-1,0,2",
    },
    "--model": {
        "metavar": "MODEL",
        "help": "a model: its folder, archive, checkpoint or name (default: mini)",
    },
    "--num-processes": {"type": int, "metavar": "N", "help": "number of processes"},
    "--only-words": {
        "metavar": "FILE",
        "help": "a file with one word per line: leave out all others",
    },
    "--option": {
        "metavar": "KEY=VALUE",
        "action": "append",
        "default": argparse.SUPPRESS,
        "help": "a value that the model's files do not give, such as lstm.cell_clip=3; may be "
        "repeated",
    },
    "--options-file": {"metavar": "JSON", "help": "an options.json in the published format"},
    "--output": {"metavar": "OUT", "help": "what to write"},
    "--overwrite": {**_SWITCH, "help": "replace an existing OUT"},
    "--pooling": {
        "choices": (*SENTENCE_POOLINGS, "none"),
        "help": "how to make one vector per sentence; sif: a mean in which "
        "frequent words count less",
    },
    "--precision": {
        "choices": PRECISIONS,
        "default": "float32",
        "help": "precision of matrix products",
    },
    "--preset": {"choices": preset_names(), "help": "the architecture of a new model"},
    "--process-id": {"type": int, "metavar": "I", "help": "number of this process, from 0"},
    "--quiet": {**_SWITCH, "help": "print no notes and no progress bar"},
    "--reset-state": {
        "action": argparse.BooleanOptionalAction,
        "help": "start each sentence from a zero state; with --no-reset-state, from the state "
        "after the previous sentence",
    },
    "--seed": {"type": int, "metavar": "N", "help": "seed of the random numbers"},
    "--split-sentences": {
        "metavar": "LANGUAGE",
        "nargs": "?",
        "const": "en",
        "help": "split running text into sentences, by the rules of this language (en if you name "
        "none)",
    },
    "--strict": {**_SWITCH, "help": "stop at problems in the text that are otherwise accepted"},
    "--token-table": {
        "metavar": "FILE",
        "help": "the model's token vectors, HDF5 or text: compared with the model, or used "
        "in place of its characters if the weight file has none",
    },
    "--tokenized-with": {
        "metavar": "NAME",
        "help": "the --tokenizer that made the words of the training text, for the model to record",
    },
    "--tokenizer": {
        "metavar": "NAME",
        "help": "splits lines into words: auto (as the model's training text was split), "
        "whitespace, spaces, tabs, treebank, words, characters, spacy[:LANGUAGE or PIPELINE], "
        "nltk[:treebank|wordpunct|casual]",
    },
    "--vocabulary": {
        "metavar": "FILE",
        "help": "a file with one word per line: the words of the softmax, of a model of words, or "
        "of --token-table",
    },
    "--weight-file": {"metavar": "HDF5", "help": "the weights that belong to --options-file"},
    "-n": {"type": int, "metavar": "N", "help": "at most this many"},
}


def add_flag(
    parser: argparse._ActionsContainer, flag: str, detail: str = "", **options: Any
) -> None:
    """Declare a flag of ``FLAGS``, with what is different in this command.

    ``detail`` and a default are added to its help; ``options`` are those of ``add_argument``.
    """
    options = {**FLAGS[flag], **options}
    options["help"] += detail
    if options.get("default", argparse.SUPPRESS) != argparse.SUPPRESS:
        options["help"] += " (default: %(default)s)"
    parser.add_argument(*(["-o"] if flag == "--output" else []), flag, **options)


def add_flags(parser: argparse._ActionsContainer, *flags: str) -> None:
    """Declare flags that need no detail."""
    for flag in flags:
        add_flag(parser, flag)


def add_count(
    parser: argparse._ActionsContainer, flag: str, help: str, default: int | None = None
) -> None:
    """Declare a number that only one command has."""
    parser.add_argument(flag, type=int, metavar="N", default=default, help=help)


def add_layers(
    parser: argparse._ActionsContainer, *names: str, default: str, detail: str = ""
) -> None:
    """Declare ``--layers`` with the names that this command takes beside numbers."""
    parse = functools.partial(_parse_layers, names)
    add_flag(parser, "--layers", f" {', '.join(names)}{detail}", type=parse, default=default)


def _parse_layers(names: tuple[str, ...], text: str) -> str | int:
    if text in names:
        return text
    number = whole_number(text.removeprefix("-"))
    if number is not None:
        return -number if text.startswith("-") else number
    raise argparse.ArgumentTypeError(
        f"{text!r} is not a layer; expected {', '.join(names)}, or a number from 0, the token "
        f"layer.{did_you_mean(text, names)}"
    )


def whole_number(text: str) -> int | None:
    """The number that a text consists of, in digits from 0 to 9; None if it is none.

    ``int`` takes other digits, too, and fails for thousands of them.
    """
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


def add_model(parser: argparse._ActionsContainer) -> None:
    """Declare MODEL, for the commands that work on a model."""
    parser.add_argument("model", nargs="?", **FLAGS["--model"])
    add_flags(parser, "--vocabulary", "--option", "--token-table")


def add_model_flags(parser: argparse._ActionsContainer) -> None:
    """Declare what ``models.open_elmo`` reads."""
    add_flags(parser, "--model", "--options-file", "--weight-file", "--vocabulary", "--option")
    add_flags(parser, "--token-table", "--precision")


def add_word_flags(parser: argparse._ActionsContainer) -> None:
    """Declare how lines become sentences and words."""
    add_flag(parser, "--tokenizer", default="whitespace")
    add_flag(parser, "--split-sentences")


def add_input(parser: argparse._ActionsContainer, name: str = "input") -> None:
    """Declare INPUT, text in any format, and how to read it."""
    from ..text.readers import TEXT_FORMATS

    files = (
        "files, patterns, or - for standard input: UTF-8 text with one sentence per line, or "
        ".conllu, .conll, .jsonl, .parquet, .csv, .tsv, .fasta; each also as .gz, .xz, .bz2 or "
        ".zst. "
    )
    parser.add_argument(name, metavar="INPUT", nargs="+", help=files + _TWICE)
    add_flag(parser, "--input-format", choices=tuple(TEXT_FORMATS))
    add_flag(parser, "--column")


def add_plain_input(parser: argparse._ActionsContainer) -> None:
    """Declare INPUT for the commands that train and evaluate, which read plain text only."""
    files = (
        "files or patterns: UTF-8 text with one tokenized sentence per line; also as .gz, .xz, "
        ".bz2 or .zst. "
    )
    parser.add_argument("input", metavar="INPUT", nargs="+", help=files + _TWICE)
    add_flag(parser, "--input-format", "; text: read it as plain text", choices=("text",))
