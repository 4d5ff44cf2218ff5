"""``elmo-jax evaluate``: the perplexity of a model on text, with the full softmax."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

from ..checkpoint import model_folder, read_metadata
from ..errors import ElmoError, counted, shortened
from ..text.tokenizers import is_plain_name
from .flags import add_count, add_flag, add_flags, add_plain_input
from .frame import note
from .joining import add_process_flags, joined
from .models import options_of, tokenizer_name

_AS_IN_TRAINING = " (default: as in training if the model says how, otherwise {})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_plain_input(parser)
    add_flag(parser, "--model")
    add_flag(parser, "--vocabulary", " (default: vocab.txt in the model's folder)")
    add_flag(parser, "--option")
    add_flag(parser, "--batch-size", default=32)
    most = "measure whole sentences until they have N tokens (default: all)"
    add_count(parser, "--max-tokens", most)
    add_flag(parser, "--reset-state", _AS_IN_TRAINING.format("not reset"))
    add_flag(parser, "--precision")
    add_flag(parser, "--tokenizer", _AS_IN_TRAINING.format("whitespace"))
    add_flags(parser, "--strict", "--quiet")
    add_process_flags(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of ``elmo_jax.training.Perplexity``; JSON has null for what is not finite."""
    with joined(args):
        return _evaluate(args)


def _evaluate(args: argparse.Namespace) -> dict[str, Any]:
    from ..training import Corpus, evaluate, load_language_model

    folder = model_folder(args.model)
    _read_as_in_training(args, folder)
    corpus = Corpus.of(
        args.input, args.strict, tokenizer=tokenizer_name(args), format=args.input_format
    )
    result = evaluate(
        *load_language_model(folder, args.vocabulary, options=options_of(args)),
        corpus,
        batch_size=args.batch_size,
        max_tokens=args.max_tokens,
        reset_state=args.reset_state,
        precision=args.precision,
        progress=not args.quiet,
    )
    if not math.isfinite(result.perplexity):
        note(
            args,
            f"note: the perplexity is {result.perplexity}: the model's numbers leave the range of "
            "its floats, or do not fit the text at all. JSON has null in its place",
        )
    return dict(result._asdict())


def _read_as_in_training(args: argparse.Namespace, folder: Path) -> None:
    """Let what the model says of its training decide what no flag decides."""
    recorded = read_metadata(folder).get("training")
    trained_with = recorded if isinstance(recorded, dict) else {}
    if args.reset_state is None:
        args.reset_state = trained_with.get("reset_state") is True
    if args.tokenizer is None:
        name = trained_with.get("tokenizer", "whitespace")
        # A path would load what the maker of the model has chosen: a pipeline of spaCy runs code.
        if not (isinstance(name, str) and is_plain_name(name)):
            raise ElmoError(
                f"{folder}: it was trained with the tokenizer {shortened(name)}, which is not "
                "loaded because a model says so. If you trust it, name it with --tokenizer."
            )
        args.tokenizer = name


def text(summary: dict[str, Any]) -> str:
    cut = summary["words_cut"]
    return (
        f"perplexity {summary['perplexity']:.2f} (forward {summary['forward_perplexity']:.2f}, "
        f"backward {summary['backward_perplexity']:.2f}), {counted(summary['tokens'], 'token')}, "
        f"{100 * summary['oov_rate']:.2f}% of the words out of the vocabulary"
        + (f", {cut:,} longer than the model reads" if cut else "")
    )
