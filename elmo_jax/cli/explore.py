"""``elmo-jax explore``: a word's occurrences on a plane."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import ElmoError, check_count, counted
from .model import add_model_arguments, model_files, open_elmo
from .reading import add_text_arguments, input_files, reading

_PAGES = (".html", ".htm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("word", metavar="WORD", help="the word")
    add_text_arguments(parser, labels=True)
    add(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        help="page.html; or figure.png, .pdf or .svg (extra: plots)",
    )
    add("--max", type=int, default=2000, help="how many to draw (default: %(default)s)")
    add_model_arguments(parser)
    add("--overwrite", action="store_true", help="replace an existing OUT")
    add("--quiet", action="store_true", help="no notes, no progress bar")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Draw, and give a JSON-ready summary.

    Raises:
        ElmoError: for a text, a word, a model or an output that cannot be used.
    """
    from ..corpus.progress import progress_bar
    from ..explore import embed_occurrences, find_occurrences, write_figure, write_page
    from ..explore.figure import SUFFIXES
    from ..files import refuse_existing, refuse_input

    target = Path(args.output)
    suffix = target.suffix.lower()
    if suffix not in (*_PAGES, *SUFFIXES):
        raise ElmoError(
            f"Cannot draw {target}: expected a name that ends in .html, {', '.join(SUFFIXES)}."
        )
    refuse_input(target, [*input_files(args), *model_files(args)])
    refuse_existing(target, args.overwrite)
    check_count(args.max, "--max")
    read = reading(args)
    found = find_occurrences(args.word, read(), most=args.max, exact=args.exact)
    elmo, n_words = open_elmo(args), sum(len(each.words) for each in found)
    with progress_bar(n_words, 0, not args.quiet) as bar:
        vectors = embed_occurrences(elmo, found, done=bar.update)
    if suffix in _PAGES:
        write_page(
            target,
            args.word,
            found,
            vectors,
            source=_source(args),
            total=found.total,
            overwrite=args.overwrite,
        )
    else:
        write_figure(target, args.word, found, vectors, overwrite=args.overwrite)
    return {
        "output": str(target),
        "word": args.word,
        "occurrences": found.total,
        "drawn": len(found),
        "layers": vectors.shape[1],
    }


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    n_drawn, n_all = summary["drawn"], summary["occurrences"]
    occurrences = counted(n_all, "occurrence")
    if n_drawn < n_all:
        occurrences = f"{n_drawn:,} of {occurrences}, taken at even distances"
    return f"{summary['output']}: {occurrences}, {counted(summary['layers'], 'layer')}"


def _source(args: argparse.Namespace) -> str:
    text = "standard input" if args.input == "-" else Path(args.input).name
    model = Path(args.model or args.weight_file or "mini").name
    return f"{text} · model {model}"
