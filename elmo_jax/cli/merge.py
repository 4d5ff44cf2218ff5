"""``elmo-jax merge``: the shards of ``elmo-jax embed --shard`` to one file."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from ..errors import counted, shortened
from .embed import counted_tokens
from .flags import add_flag, add_flags
from .frame import note


def add_arguments(parser: argparse.ArgumentParser) -> None:
    shards = "folders of parts, or the outputs they belong to"
    parser.add_argument("shards", metavar="SHARD", nargs="+", help=shards)
    add_flag(parser, "--output", ", as for embed (default: the only SHARD)")
    wait = (
        "wait for unfinished shards as long as a process is seen working on one; with SECONDS, "
        "wait at most that long, even for shards that have not started or whose locks cannot be "
        "seen"
    )
    parser.add_argument(
        "--wait", type=_seconds, metavar="SECONDS", nargs="?", const=True, default=False, help=wait
    )
    add_flags(parser, "--overwrite", "--quiet")


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{shortened(text)} is not a number of seconds; if it is SHARD, put it before --wait"
        ) from None


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The summary of ``elmo_jax.corpus.merge_parts``."""
    from ..corpus import merge_parts

    return merge_parts(
        args.shards,
        args.output,
        wait=args.wait,
        overwrite=args.overwrite,
        progress=not args.quiet,
        note=functools.partial(note, args),
    )


def text(summary: dict[str, Any]) -> str:
    from ..files import shown_size

    return (
        f"{summary['output']}: {counted(summary['parts'], 'part')}, "
        f"{counted(summary['sentences'], 'sentence')}, {counted_tokens(summary)}, "
        f"{shown_size(summary['bytes'])}"
    )
