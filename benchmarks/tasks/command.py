"""The command ``python -m benchmarks tasks``.

Run from a checkout::

    python -m benchmarks tasks MODEL                            # all of it: minutes
    python -m benchmarks tasks MODEL --quick --tasks pos wsd    # a small part of the data
    python -m benchmarks tasks MODEL -o benchmarks/results/NAME.json

``data.py`` describes the data: ``--data FOLDER``, or ``data/tasks`` in the folder that
ELMO_JAX_SHARED names (default: ``../shared``).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from elmo_jax import Elmo
from elmo_jax.checkpoint import model_folder, read_metadata
from elmo_jax.files import atomic_file, refuse_existing, to_json
from elmo_jax.model.bilm import init_params
from elmo_jax.model.parameters import count_parameters

from ..card import card
from . import classification, similarity, wsd
from .data import data_folder
from .report import as_text as text
from .report import summarise
from .scores import MODEL, RANDOM_LSTM

HELP = "Measure what a model's layers know: POS, NER, sentiment, similarity, word senses."

TASKS = {
    "pos": classification.pos,
    "ner": classification.ner,
    "sentiment": classification.sentiment,
    "sts": similarity.sts,
    "wsd": wsd.wsd,
}
_QUICK = (2000, 500, 500)  # sentences of train, dev and test
_SEED = 0

__all__ = ["HELP", "add_arguments", "run", "text"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder, zip, or name of a published model")
    add("--data", metavar="FOLDER", help="the tasks (default: the shared ones)")
    which = f"which of {', '.join(TASKS)} (default: all)"
    add("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK", help=which)
    add("--quick", action="store_true", help="on a small part of the data")
    add("-o", "--output", metavar="JSON", help="also write the results to this file")
    add("--overwrite", action="store_true", help="replace an existing JSON")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, and give a JSON-ready summary.

    Raises:
        ElmoError: if there is no such model or data, or the output exists.
    """
    output = Path(args.output) if args.output else None
    if output is not None:  # before minutes of work, not after them
        refuse_existing(output, args.overwrite)
    folder, elmo = data_folder(args.data), Elmo(args.model)
    elmos = {MODEL: elmo, RANDOM_LSTM: random_lstm(elmo)}
    started, tasks = time.perf_counter(), {}
    for name in dict.fromkeys(args.tasks):
        start = time.perf_counter()
        result = TASKS[name](folder, elmos, _QUICK if args.quick else None)
        tasks[name] = {**summarise(result), "seconds": round(time.perf_counter() - start, 1)}
        print(f"{name}: {tasks[name]['seconds']:.0f} s", file=sys.stderr)
    seconds = round(time.perf_counter() - started, 1)
    head = {"card": _card(args.model, elmo), "quick": args.quick, "seconds": seconds}
    summary: dict[str, Any] = {**head, "tasks": tasks}
    if output is not None:
        with atomic_file(output, overwrite=args.overwrite) as path:
            content = to_json(summary, indent=1, ensure_ascii=False)
            path.write_text(content + "\n", encoding="utf-8")
    return summary


def random_lstm(elmo: Elmo) -> Elmo:
    """The model's token layer under LSTMs with random weights, drawn as at the start of training.

    Such LSTMs already see the context; what the model has above them, it has learnt.
    """
    random = init_params(elmo.config, _SEED)
    return Elmo.from_params(elmo.config, {**random, "char_encoder": elmo.params["char_encoder"]})


def _card(model: str, elmo: Elmo) -> dict[str, Any]:
    """The model, the versions and the machine."""
    config = elmo.config
    return {
        "model": model,
        "metadata": read_metadata(model_folder(model)),
        "parameters": count_parameters(elmo.params),
        "layers": config.n_output_layers,
        "dim": config.output_dim,
        "cell_dim": config.cell_dim,
        **card(),
    }
