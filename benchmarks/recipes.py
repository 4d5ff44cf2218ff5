"""Which recipe reaches the lower perplexity in the same time: "modern", or bilm-tf's own?

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
from elmo_jax.files import refuse_existing
from elmo_jax.training import TrainingSettings, train
from elmo_jax.training.settings import RECIPES

from .card import card
from .question import add_output, write_json
from .tables import markdown

_CONFIG = ElmoConfig(
    filters=((1, 32), (2, 32), (3, 64), (4, 128)), cell_dim=256, projection_dim=64, n_highway=1
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("files", nargs="+", help="text to train on, as for elmo-jax train")
    add("--valid", nargs="+", required=True, help="text to measure the perplexity on")
    add("--max-valid-tokens", type=int, default=20_000, help="how much of it (default: 20000)")
    add("--n-steps", type=int, default=1000, help="of each recipe (default: 1000)")
    add("--vocabulary-size", type=int, default=20_000, help="of the softmax (default: 20000)")
    add_output(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    output = Path(args.output) if args.output else None
    if output:  # before minutes of work, not after them
        refuse_existing(output, args.overwrite)
    with tempfile.TemporaryDirectory() as folder:
        results = {recipe: _train(Path(folder) / recipe, recipe, args) for recipe in RECIPES}
    summary = {"card": card(), "n_steps": args.n_steps, "recipes": results}
    if output:
        write_json(output, summary, overwrite=args.overwrite)
    return summary


def _train(folder: Path, recipe: str, args: argparse.Namespace) -> dict[str, Any]:
    settings = TrainingSettings(
        recipe=recipe,
        batch_size=64,
        n_steps=args.n_steps,
        n_negative_samples=2048,
        dropout=0,  # in less than an epoch nothing is memorized
        eval_every=max(1, args.n_steps // 4),
        checkpoint_every=args.n_steps,
    )
    options = {"vocabulary_size": args.vocabulary_size, "max_valid_tokens": args.max_valid_tokens}
    options |= {"config": _CONFIG, "valid_files": args.valid, "settings": settings}
    summary = train(folder, args.files, **options)
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
    return markdown(
        {"recipe": recipe, "seconds": round(result["seconds"])}
        | {f"perplexity at step {step}": f"{x:.1f}" for step, x in result["perplexity"].items()}
        for recipe, result in summary["recipes"].items()
    )
