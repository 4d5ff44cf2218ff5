"""``elmo-jax merge``: the shards of ``elmo-jax embed --shard`` to one file."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from ..errors import counted
from .model import note


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add(
        "shards",
        metavar="SHARD",
        nargs="+",
        help="folders of parts, or the outputs that they belong to",
    )
    add("-o", "--output", metavar="OUT", help="the file to write (default: the only SHARD)")
    add("--overwrite", action="store_true", help="replace an existing OUT")
    add("--quiet", action="store_true", help="no notes and no progress bar")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Join; the summary of ``elmo_jax.corpus.merge_parts``.

    Raises:
        ElmoError: if parts are missing, damaged, or of different jobs; they stay as they are.
    """
    from ..corpus import merge_parts

    return merge_parts(
        args.shards,
        args.output,
        overwrite=args.overwrite,
        progress=not args.quiet,
        note=functools.partial(note, args),
    )


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    from ..files import shown_size

    cut = summary["words_cut"]
    not_whole = f" ({cut:,} longer than the model reads)" if cut else ""
    return (
        f"{summary['output']}: {counted(summary['parts'], 'part')}, "
        f"{counted(summary['sentences'], 'sentence')}, "
        f"{counted(summary['tokens'], 'token')}{not_whole}, {shown_size(summary['bytes'])}"
    )
