"""``elmo-jax explore``: a word's occurrences on a plane."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import ElmoError, check_count, counted
from .absent_word import refuse_word_absent_from_text
from .flags import add_flag, add_flags, add_model_flags
from .inputs import add_text_arguments, check_output, labelled_text
from .models import open_elmo

_PAGES = (".html", ".htm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("word", metavar="WORD", help="the word")
    add_text_arguments(parser, labels=True)
    drawings = ": page.html; or figure.png, .pdf or .svg (extra: plots)"
    add_flag(parser, "--output", drawings, required=True)
    add_flag(parser, "-n", " occurrences", default=2000)
    add_model_flags(parser)
    add_flags(parser, "--overwrite", "--quiet")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from ..explore import embed_occurrences, find_occurrences, write_figure, write_page
    from ..explore.drawing import FIGURE_SUFFIXES
    from ..progress import progress_bar

    output = Path(args.output)
    suffix = output.suffix.lower()
    if suffix not in (*_PAGES, *FIGURE_SUFFIXES):
        suffixes = ", ".join((".html", *FIGURE_SUFFIXES))
        raise ElmoError(f"Cannot draw {output}: expected a name that ends in {suffixes}.")
    check_output(args)
    check_count(args.n, "-n")
    sentences = labelled_text(args)
    refuse_word_absent_from_text(args, sentences)
    occurrences = find_occurrences(args.word, sentences(), most=args.n, exact=args.exact)
    elmo, n_words = open_elmo(args), sum(len(each.words) for each in occurrences)
    with progress_bar(n_words, 0, not args.quiet) as bar:
        vectors = embed_occurrences(elmo, occurrences, done=bar.update)
    drawing = output, args.word, occurrences, vectors
    if suffix in _PAGES:
        source, total = _source(args), occurrences.total
        write_page(*drawing, source=source, total=total, overwrite=args.overwrite)
    else:
        write_figure(*drawing, overwrite=args.overwrite)
    return {
        "output": str(output),
        "word": args.word,
        "occurrences": occurrences.total,
        "drawn": len(occurrences),
        "layers": vectors.shape[1],
    }


def text(summary: dict[str, Any]) -> str:
    n_drawn, n_all = summary["drawn"], summary["occurrences"]
    occurrences = counted(n_all, "occurrence")
    if n_drawn < n_all:
        occurrences = f"{n_drawn:,} of {occurrences}, taken at even distances"
    return f"{summary['output']}: {occurrences}, {counted(summary['layers'], 'layer')}"


def _source(args: argparse.Namespace) -> str:
    names = ("standard input" if name == "-" else Path(name).name for name in args.input)
    model = Path(args.model or args.weight_file or "mini").name
    return f"{', '.join(names)} · model {model}"
