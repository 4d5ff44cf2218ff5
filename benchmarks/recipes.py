"""Which recipe reaches the lower perplexity in the same time: "modern", or bilm-tf's own?

Run from a checkout::

    python -m benchmarks recipes train.txt --valid valid.txt -o benchmarks/results/NAME.json

Both recipes train the same architecture for the same number of steps on the same windows. The clock
is that of ``train``, which excludes saving and validating. Each model is validated with the full
softmax in the way it was trained: "modern" starts each sentence from a zero state, "original"
carries the state on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from elmo_jax import ElmoConfig
from elmo_jax.files import atomic_file, refuse_existing, to_json
from elmo_jax.training import TrainingSettings, train
from elmo_jax.training.settings import RECIPES

from .card import card
from .tables import markdown

HELP = "Train one architecture by each recipe, and compare perplexity and time."

_CONFIG = ElmoConfig(
    filters=((1, 32), (2, 32), (3, 64), (4, 128)), cell_dim=256, projection_dim=64, n_highway=1
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("files", nargs="+", help="text to train on, as for elmo-jax train")
    add("--valid", nargs="+", required=True, help="text to measure the perplexity on")
    add("--max-valid-tokens", type=int, default=20_000, help="how much of it (default: 20000)")
    add("--n-steps", type=int, default=1000, help="of each recipe (default: 1000)")
    add("--vocabulary-size", type=int, default=20_000, help="of the softmax (default: 20000)")
    add("-o", "--output", metavar="JSON", help="also write the results to this file")
    add("--overwrite", action="store_true", help="replace an existing JSON")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train by each recipe, and give a JSON-ready summary.

    Raises:
        ElmoError: for texts or an output that cannot be used.
    """
    output = Path(args.output) if args.output else None
    if output is not None:  # before minutes of work, not after them
        refuse_existing(output, args.overwrite)
    with tempfile.TemporaryDirectory() as folder:
        results = {recipe: _train(Path(folder) / recipe, recipe, args) for recipe in RECIPES}
    summary = {"card": card(), "n_steps": args.n_steps, "recipes": results}
    if output is not None:
        with atomic_file(output, overwrite=args.overwrite) as path:
            path.write_text(to_json(summary, indent=1) + "\n", encoding="utf-8")
    return summary


def _train(folder: Path, recipe: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train once; how long it took, and the perplexities on the way."""
    settings = TrainingSettings(
        recipe=recipe,
        batch_size=64,
        n_steps=args.n_steps,
        n_negative_samples=2048,
        dropout=0,  # in less than an epoch nothing is memorised
        eval_every=max(1, args.n_steps // 4),
        checkpoint_every=args.n_steps,
    )
    summary = train(
        folder,
        args.files,
        config=_CONFIG,
        vocabulary_size=args.vocabulary_size,
        valid_files=args.valid,
        max_valid_tokens=args.max_valid_tokens,
        settings=settings,
    )
    lines = map(json.loads, (folder / "metrics.jsonl").read_text("utf-8").splitlines())
    perplexity = {x["step"]: x["valid_perplexity"] for x in lines if "valid_perplexity" in x}
    return {
        "learning_rate": settings.rate,
        "reset_state": settings.resets,
        "tokens": summary["tokens"],
        "seconds": summary["seconds"],
        "perplexity": {step: round(value, 2) for step, value in perplexity.items()},
    }


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    return markdown(
        {"recipe": recipe, "seconds": round(result["seconds"])}
        | {f"perplexity at step {step}": f"{x:.1f}" for step, x in result["perplexity"].items()}
        for recipe, result in summary["recipes"].items()
    )
