"""The command ``python -m benchmarks.tasks``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from elmo_jax.files import atomic_file, refuse_existing, to_json

HELP = "Measure what a model's layers know: POS, NER, sentiment, similarity, word senses."

TASKS = ("pos", "ner", "sentiment", "sts", "wsd")
_QUICK = (2000, 500, 500)  # sentences of train, dev and test


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    parser.add_argument("model", metavar="MODEL", help="folder, zip, or name of a published model")
    parser.add_argument("--data", metavar="FOLDER", help="the tasks (default: the shared ones)")
    parser.add_argument(
        "--tasks",
        nargs="+",
        choices=TASKS,
        default=TASKS,
        metavar="TASK",
        help=f"which of {', '.join(TASKS)} (default: all)",
    )
    parser.add_argument("--quick", action="store_true", help="on a small part of the data")
    parser.add_argument("--output", metavar="JSON", help="also write the results to this file")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing JSON")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, and give a JSON-ready summary.

    Raises:
        ElmoError: if there is no such model or data, or the output exists.
    """
    from elmo_jax import Elmo

    from . import classification, similarity, wsd
    from .card import card
    from .data import data_folder
    from .report import summarise
    from .variants import variants

    measures = {
        "pos": classification.pos,
        "ner": classification.ner,
        "sentiment": classification.sentiment,
        "sts": similarity.sts,
        "wsd": wsd.wsd,
    }
    output = Path(args.output) if args.output else None
    if output is not None:  # before minutes of work, not after them
        refuse_existing(output, args.overwrite)
    folder = data_folder(args.data)
    elmo = Elmo(args.model)
    elmos = variants(elmo)
    started, tasks = time.perf_counter(), {}
    for name in dict.fromkeys(args.tasks):
        start = time.perf_counter()
        result = measures[name](folder, elmos, _QUICK if args.quick else None)
        tasks[name] = {**summarise(result), "seconds": round(time.perf_counter() - start, 1)}
        print(f"{name}: {tasks[name]['seconds']:.0f} s", file=sys.stderr)
    seconds = round(time.perf_counter() - started, 1)
    head = {"card": card(args.model, elmo), "quick": args.quick, "seconds": seconds}
    summary: dict[str, Any] = {**head, "tasks": tasks}
    if output is not None:
        with atomic_file(output, overwrite=args.overwrite) as path:
            content = to_json(summary, indent=1, ensure_ascii=False)
            path.write_text(content + "\n", encoding="utf-8")
    return summary


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    from .report import as_text

    return as_text(summary)
