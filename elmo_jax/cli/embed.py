"""``elmo-jax embed``: a corpus to a file of vectors."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import Any

from ..errors import counted
from ..text.readers import FORMATS
from .model import add_model_arguments, layers_argument, model_files, note, open_elmo
from .words import add_tokenizer_arguments, tokenizer_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    _add_input(parser.add_argument_group("input"))
    _add_output(parser.add_argument_group("output"))
    add_model_arguments(parser.add_argument_group("model"))
    _add_parts(parser.add_argument_group("large corpora"))
    parser.add_argument("--quiet", action="store_true", help="no notes and no progress bar")


def _add_input(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "input",
        metavar="INPUT",
        nargs="+",
        help="files or patterns, or - for standard input: UTF-8 text, one sentence a line; a file "
        "is read as often as it is named, a pattern adds those that are not named; "
        ".conllu, .jsonl, .parquet, .csv, .tsv, .fasta; each also as .gz, .xz, .bz2 or .zst",
    )
    add("--input-format", choices=FORMATS, help="of all files (default: by their suffixes)")
    tables = "of JSON lines, Parquet, CSV and TSV"
    add("--column", metavar="NAME", help=f"{tables}: that with the sentences")
    add("--key-column", metavar="NAME", help=f"{tables}: that with their keys")
    add_tokenizer_arguments(group)
    add("--strict", action="store_true", help="refuse blank lines; else they are empty sentences")


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        help="the file to write: .h5 or .hdf5 (as allennlp elmo wrote), .parquet, .npz, .csv, or, "
        "with --pooling, .npy",
    )
    add(
        "--layers",
        type=layers_argument("all", "average", "top"),
        default="all",
        help="all (default), average, top, or a number",
    )
    add("--pooling", choices=("mean", "max"), help="one vector a sentence, not one a token")
    add("--dtype", choices=("float32", "float16"), default="float32", help="of the file")
    add("--forget-sentences", action="store_true", help="leave the sentences' texts out of OUT")
    add("--overwrite", action="store_true", help="replace an existing OUT")


def _add_parts(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--shard",
        type=_shard,
        metavar="I/N",
        help="make every N-th part only, from the I-th on; `elmo-jax merge OUT` joins them",
    )
    add(
        "--part-tokens",
        type=int,
        metavar="N",
        help="tokens of a part: what a killed run loses at most (default: 262144)",
    )
    add("--restart", action="store_true", help="drop the parts in OUT.parts, and begin anew")


def _shard(text: str) -> tuple[int, int]:
    i, slash, n = text.partition("/")
    if not (slash and i.isdigit() and n.isdigit() and 1 <= int(i) <= int(n)):
        raise argparse.ArgumentTypeError(f"{text!r} is no shard; expected I/N, such as 1/4")
    return int(i), int(n)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Embed; the summary of ``elmo_jax.corpus.embed_corpus``.

    Raises:
        ElmoError: for an input, a model or an output that cannot be used; finished parts stay.
    """
    from ..corpus import PART_TOKENS, embed_corpus
    from ..corpus.finishing import check_target
    from ..files import refuse_input
    from ..text.readers import Records

    refuse_input(Path(args.output), model_files(args))
    check_target(Path(args.output), args.overwrite)  # before the model is opened
    records = Records.of(
        args.input,
        args.input_format,
        column=args.column,
        key_column=args.key_column,
        tokenizer=tokenizer_of(args),
        running_text=args.split_sentences,
    )
    return embed_corpus(
        open_elmo(args),
        records,
        args.output,
        args.layers,
        pooling=args.pooling,
        dtype=args.dtype,
        strict=args.strict,
        with_text=not args.forget_sentences,
        shard=args.shard,
        part_tokens=PART_TOKENS if args.part_tokens is None else args.part_tokens,
        overwrite=args.overwrite,
        restart=args.restart,
        progress=not args.quiet,
        note=functools.partial(note, args),
    )


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    from ..files import shown_size

    n_blank, n_resumed, n_cut = (
        summary[name] for name in ("blank_lines", "parts_found", "words_cut")
    )
    blank_lines = ""
    if n_blank:
        as_what = "an empty sentence" if n_blank == 1 else "empty sentences"
        blank_lines = f" ({counted(n_blank, 'blank line')} kept as {as_what})"
    not_whole = f" ({n_cut:,} longer than the model reads)" if n_cut else ""
    message = (
        f"{summary['output']}: {counted(summary['sentences'], 'sentence')}{blank_lines}, "
        f"{counted(summary['tokens'], 'token')}{not_whole}, {shown_size(summary['bytes'])}, "
        f"{counted(round(summary['tokens_per_second']), 'token')}/s"
    )
    if n_resumed:
        message += (
            f"; {counted(n_resumed, 'part')} {'was' if n_resumed == 1 else 'were'} there before"
        )
    if not summary["finished"]:
        message += (
            f"\nshard {summary['shard']} is finished. When all are: "
            f"elmo-jax merge {summary['output']}"
        )
    return message
