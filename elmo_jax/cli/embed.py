"""``elmo-jax embed``: a text file to an HDF5 file of vectors."""

from __future__ import annotations

import argparse
import collections
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .model import add_model_arguments, layers_argument, note, open_elmo

if TYPE_CHECKING:
    import numpy as np

    from ..config import ElmoConfig
    from ..corpus import Counts, TextFile
    from ..embedder import Elmo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("input", metavar="INPUT", help="UTF-8 text, one sentence a line; - for standard input")
    add("-o", "--output", metavar="OUT.h5", required=True, help="the HDF5 file to write")
    add_model_arguments(parser)
    add(
        "--layers",
        type=layers_argument,
        default="all",
        help="all (default), average, top, or a number",
    )
    add("--pooling", choices=("mean", "max"), help="one vector a sentence, not one a token")
    add("--dtype", choices=("float32", "float16"), default="float32", help="of the file")
    add("--strict", action="store_true", help="refuse blank lines; else they are empty sentences")
    add("--forget-sentences", action="store_true", help="leave sentence_to_index out of the file")
    add("--overwrite", action="store_true", help="replace an existing OUT.h5")
    add("--quiet", action="store_true", help="no notes and no progress bar")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Embed, and give a JSON-ready summary.

    Raises:
        ElmoError: for a text, a model or an output that cannot be used; no output is left then.
    """
    from ..corpus import TextFile
    from ..files import refuse_existing
    from ..output import check_space, estimated_bytes, write_hdf5

    target = Path(args.output)
    refuse_existing(target, args.overwrite)
    with TextFile.open(args.input) as text:
        counts = text.count(strict=args.strict)
        elmo = open_elmo(args)
        needed = estimated_bytes(
            _n_values(args, counts, elmo.config),
            args.dtype,
            counts.sentences,
            0 if args.forget_sentences else counts.text_bytes,
        )
        check_space(target, needed)
        note(args, f"{counts.tokens:,} tokens; {target} will take about {_size(needed)}")
        began = time.perf_counter()
        write_hdf5(
            target,
            _with_progress(elmo, text, counts, args),
            None if args.forget_sentences else text.lines(),
            overwrite=args.overwrite,
        )
        seconds = time.perf_counter() - began
    return {
        "output": str(target),
        "sentences": counts.sentences,
        "tokens": counts.tokens,
        "blank_lines": len(counts.blank_lines),
        "layers": args.layers,
        "pooling": args.pooling,
        "dtype": args.dtype,
        "dim": elmo.config.output_dim,
        "bytes": target.stat().st_size,
        "seconds": round(seconds, 3),
        "tokens_per_second": round(counts.tokens / seconds, 1),
    }


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    blank = summary["blank_lines"]
    kept = f" ({blank:,} blank lines kept as empty sentences)" if blank else ""
    return (
        f"{summary['output']}: {summary['sentences']:,} sentences{kept}, "
        f"{summary['tokens']:,} tokens, {_size(summary['bytes'])}, "
        f"{summary['tokens_per_second']:,.0f} tokens/s"
    )


def _n_values(args: argparse.Namespace, counts: Counts, config: ElmoConfig) -> int:
    vectors = counts.sentences if args.pooling else counts.tokens
    return vectors * config.output_dim * (config.n_output_layers if args.layers == "all" else 1)


def _with_progress(
    elmo: Elmo, text: TextFile, counts: Counts, args: argparse.Namespace
) -> Iterator[np.ndarray]:
    """The results, and on stderr how far they are."""
    from tqdm import tqdm

    # Sentences are read a window ahead of their results, which do not all tell their length.
    lengths: collections.deque[int] = collections.deque()

    def sentences() -> Iterator[list[str]]:
        for line in text.lines():
            words = line.split()
            lengths.append(len(words))
            yield words

    results = elmo.stream(sentences(), args.layers, pooling=args.pooling, dtype=args.dtype)
    with tqdm(
        total=counts.tokens, unit="token", unit_scale=True, disable=args.quiet or None
    ) as bar:
        for result in results:
            yield result
            bar.update(lengths.popleft())


def _size(n_bytes: int) -> str:
    for factor, unit in ((1e9, "GB"), (1e6, "MB")):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.2f} {unit}"
    return f"{n_bytes / 1e3:.1f} kB"
