"""elmo-jax evaluate: the perplexity of a model on text files, with the full softmax."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..checkpoint import is_native, read_metadata
from ..checkpoint.loading import model_folder
from ..errors import counted
from ..model.precision import PRECISIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder, zip or name (mini) of a model with its softmax")
    add(
        "files",
        nargs="+",
        help="text, one tokenised sentence a line; .gz, .xz, .bz2, .zst; a file is read as often "
        "as it is named, a pattern adds those that are not named",
    )
    add("--vocabulary", help="words of the softmax; default: vocab.txt in the model's folder")
    add("--batch-size", type=int, default=32, help="rows of text (default: %(default)s)")
    add("--max-tokens", type=int, help="measure so many, to the end of a sentence (default: all)")
    add(
        "--reset-state",
        action=argparse.BooleanOptionalAction,
        help="start every sentence from a zero state, or carry it on; default: as in training, "
        "where the model says so, otherwise carried on",
    )
    add("--precision", choices=PRECISIONS, default="float32", help="of the matrix products")
    add(
        "--tokenizer",
        metavar="NAME",
        help="lines to words: whitespace, spaces, …; default: as in training, where the model says "
        "so, otherwise whitespace",
    )
    add("--input-format", choices=("text",), help="read as plain text, whatever it looks like")
    add("--strict", action="store_true", help="stop at faults of the text")
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate; the fields of ``elmo_jax.training.Perplexity``.

    Raises:
        ElmoError: for anything that cannot be used.
    """
    from ..training import Corpus, evaluate, load_language_model

    model = model_folder(args.model)
    result = evaluate(
        *load_language_model(model, args.vocabulary),
        Corpus.of(
            args.files,
            args.strict,
            tokenizer=args.tokenizer or _training(model).get("tokenizer", "whitespace"),
            format=args.input_format,
        ),
        batch_size=args.batch_size,
        max_tokens=args.max_tokens,
        reset_state=_resets(args, model),
        precision=args.precision,
        progress=not args.quiet,
    )
    return dict(result._asdict())


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    cut = summary["words_cut"]
    return (
        f"perplexity {summary['perplexity']:.2f} (forward {summary['forward_perplexity']:.2f}, "
        f"backward {summary['backward_perplexity']:.2f}), {counted(summary['tokens'], 'token')}, "
        f"{100 * summary['oov_rate']:.2f}% of the words out of the vocabulary"
        + (f", {cut:,} longer than the model reads" if cut else "")
    )


def _resets(args: argparse.Namespace, model: Path) -> bool:
    if args.reset_state is not None:
        return bool(args.reset_state)
    return bool(_training(model).get("reset_state", False))


def _training(model: Path) -> dict[str, Any]:
    """What the model says of its training."""
    return read_metadata(model).get("training", {}) if is_native(model) else {}
