"""elmo-jax evaluate: the perplexity of a model on text files, with the full softmax."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..checkpoint import read_metadata
from ..checkpoint.native import is_native
from ..errors import ElmoError
from ..model import PRECISIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    add = parser.add_argument
    add("model", help="folder or zip of a model with its softmax")
    add("files", nargs="+", help="text, one tokenised sentence a line; .gz, .xz, .bz2; patterns")
    add("--vocabulary", help="words of the softmax; default: vocab.txt in the model's folder")
    add("--batch-size", type=int, default=32, help="rows of text (default: %(default)s)")
    add("--max-tokens", type=int, help="stop after about as many (default: all)")
    add(
        "--reset-state",
        action=argparse.BooleanOptionalAction,
        help="start every sentence from a zero state, or carry it on; default: as in training, "
        "where the model says so, otherwise carried on",
    )
    add("--precision", choices=PRECISIONS, default="float32", help="of the matrix products")
    add("--strict", action="store_true", help="stop at faults of the text")
    add("--no-progress", action="store_true", help="no progress bar on stderr")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate; the fields of ``elmo_jax.training.Perplexity``.

    Raises:
        ElmoError: for anything that cannot be used.
    """
    from ..loading import load
    from ..training import Corpus, Vocabulary, evaluate

    config, params = load(args.model)
    path = Path(args.vocabulary or Path(args.model) / "vocab.txt")
    if not path.is_file():
        raise ElmoError(
            f"There is no vocabulary at {path}. Expected the vocab.txt with which the model's "
            "softmax was trained; --vocabulary names it."
        )
    result = evaluate(
        config,
        params,
        Vocabulary.read(path),
        Corpus.of(args.files, args.strict),
        batch_size=args.batch_size,
        max_tokens=args.max_tokens,
        reset_state=_resets(args),
        precision=args.precision,
        progress=not args.no_progress,
    )
    return dict(result._asdict())


def _resets(args: argparse.Namespace) -> bool:
    if args.reset_state is not None:
        return bool(args.reset_state)
    model = Path(args.model)
    training = read_metadata(model).get("training", {}) if is_native(model) else {}
    return bool(training.get("reset_state", False))
