"""Measure what a model's layers know: POS, NER, sentiment, similarity, word senses."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from elmo_jax import Elmo
from elmo_jax.checkpoint import model_folder, read_metadata
from elmo_jax.files import refuse_existing
from elmo_jax.model.bilm import init_params
from elmo_jax.model.parameters import count_parameters

from ..card import card, card_line
from ..peers import open_peer
from ..question import add_output, write_json
from ..tables import markdown
from . import classification, cosines, scores
from .data import data_folder
from .minilm import MiniLM, Model
from .scores import BASELINE, MINILM, MODEL, RANDOM_LSTM, SENTENCE, Row

TASKS = {
    "pos": classification.pos,
    "ner": classification.ner,
    "sentiment": classification.sentiment,
    "sts": cosines.sts,
    "wsd": cosines.wsd,
}
_QUICK = (2000, 500, 500)  # sentences of train, dev and test
_SEED = 0

TOKEN = "best biLM layer − token layer"
RANDOM = "best biLM layer − best random layer"
_PEER = "minilm"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", help="folder, zip, or name of a published model")
    add("--data", metavar="FOLDER", help="the tasks, see tasks/data.py (default: the shared ones)")
    which = f"which of {', '.join(TASKS)} (default: all)"
    add("--tasks", nargs="+", choices=TASKS, default=TASKS, metavar="TASK", help=which)
    peers = "also measure this one, all-MiniLM-L6-v2 in its own environment (default: none)"
    add("--peers", nargs="*", choices=[_PEER], default=[], metavar=_PEER, help=peers)
    add("--quick", action="store_true", help="on a small part of the data")
    add_output(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    output = Path(args.output) if args.output else None
    if output:  # before minutes of work, not after them
        refuse_existing(output, args.overwrite)
    folder, elmo = data_folder(args.data), Elmo(args.model)
    elmos: dict[str, Model] = {MODEL: elmo, RANDOM_LSTM: random_lstm(elmo)}
    head: dict[str, Any] = {"card": _model_card(args.model, elmo), "quick": args.quick}
    with contextlib.ExitStack() as stack:
        if args.peers:
            anchor = MiniLM(stack.enter_context(open_peer(_PEER)))
            elmos[MINILM], head["versions"] = anchor, {_PEER: anchor.versions}
        started, tasks = time.perf_counter(), {}
        for name in dict.fromkeys(args.tasks):
            start = time.perf_counter()
            result = TASKS[name](folder, elmos, _QUICK if args.quick else None)
            tasks[name] = {**summarize(result), "seconds": round(time.perf_counter() - start, 1)}
            print(f"{name}: {tasks[name]['seconds']:.0f} s", file=sys.stderr)
        head["seconds"] = round(time.perf_counter() - started, 1)
    summary = {**head, "tasks": tasks}
    if output:
        write_json(output, summary, overwrite=args.overwrite)
    return summary


def random_lstm(elmo: Elmo) -> Elmo:
    """The model's token layer under LSTMs with random weights, drawn as at the start of training.

    Such LSTMs already see the context; what the model has above them, it has learned.
    """
    random = init_params(elmo.config, _SEED)
    return Elmo.from_params(elmo.config, {**random, "char_encoder": elmo.params["char_encoder"]})


def _model_card(model: str, elmo: Elmo) -> dict[str, Any]:
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


def summarize(result: scores.TaskResult) -> dict[str, Any]:
    """A task's scores with their intervals and differences, ready for JSON."""
    own = {row.name: row for row in result.rows if row.variant == MODEL}
    variants = dict.fromkeys(row.variant for row in result.rows if row.variant != BASELINE)
    best = {variant: result.best_layer(variant) for variant in variants}
    token = own[scores.TOKEN_LAYER]
    pairs = [(TOKEN, best[MODEL], token)]
    pairs += [
        (f"{name} − token layer", own[name], token)
        for name in (scores.MIX, scores.AVERAGE)
        if name in own
    ]
    pairs += [
        (f"{name} − token layer", row, token)
        for name, row in own.items()
        if name.endswith(scores.SIF)
    ]
    pairs.append((RANDOM, best[MODEL], best[RANDOM_LSTM]))
    for row in result.rows:
        if row.variant == BASELINE:
            pairs.append((f"best biLM layer − {row.name}", best[MODEL], row))
    if MINILM in best:
        anchor = best[MINILM]
        what = f"{MINILM} {SENTENCE}" if anchor.name == SENTENCE else f"best {MINILM} layer"
        pairs.append((f"best biLM layer − {what}", best[MODEL], anchor))
    differences = [_difference(*pair) for pair in pairs]
    return {
        "metric": result.metric,
        "sentences": result.sizes,
        "chosen_on_dev": {variant: row.name for variant, row in best.items()},
        "rows": [_row(row) for row in result.rows],
        "differences": differences,
        "beats_token_layer": differences[0]["low"] > 0,
    }


def _row(row: Row) -> dict[str, Any]:
    details = {name: float(f"{value:.4g}") for name, value in row.details.items()}
    numbers = _rounded({"dev": row.dev, "test": row.test} | scores.interval(row.draws))
    return {"variant": row.variant, "name": row.name, **numbers, "details": details}


def _difference(what: str, one: Row, other: Row) -> dict[str, Any]:
    value = {"value": one.test - other.test}
    return {"what": what, **_rounded(value | scores.interval(one.draws - other.draws))}


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, 2) for name, number in numbers.items()}


def text(summary: dict[str, Any]) -> str:
    """The whole report for a person, in Markdown."""
    card, tasks = summary["card"], summary["tasks"]
    size = f"{card['parameters']:,} parameters, {card['layers']} layers of {card['dim']}"
    blocks = [
        f"# Tasks: {card['model']}",
        f"{size}; {summary['seconds']:.0f} s. {card_line(card)}",
        "Points; in brackets the 95 % interval of the bootstrap over test sentences. Layers and "
        "penalties are chosen on dev (cross-validated: within the other folds); * marks the best "
        "layer. layer 0 is the token layer.",
    ]
    if "versions" in summary:
        versions = ", ".join(" ".join(item) for item in summary["versions"][_PEER].items())
        blocks.append(
            f"{MINILM} is all-MiniLM-L6-v2 ({versions}); its layer 0 is the embeddings. A word's "
            "vector in a layer is the mean over its pieces; a sentence has the one vector that "
            "`encode` returns. The model reads lower case only."
        )
    if summary["quick"]:
        blocks.append("**--quick: on a part of the data, not to be compared with anything.**")
    for name, task in tasks.items():
        blocks += _task_blocks(name, task)
    whose = {TOKEN: "their own token layer", RANDOM: "random LSTMs", MINILM: MINILM}
    for than in whose if "versions" in summary else (TOKEN, RANDOM):
        verdicts = "; ".join(f"{name}: {_verdict(task, than)}" for name, task in tasks.items())
        blocks.append(f"biLM layers against {whose[than]}: {verdicts}")
    return "\n\n".join(blocks)


def _task_blocks(name: str, task: dict[str, Any]) -> Iterable[str]:
    sizes = ", ".join(f"{split} {n:,}" for split, n in task["sentences"].items())
    yield f"## {name}: {task['metric']} ({sizes}; {task['seconds']:.0f} s)"
    best = task["chosen_on_dev"].items()
    yield markdown(
        {
            "vectors": f"{row['variant']}, {row['name']}",
            "best": "*" if (row["variant"], row["name"]) in best else "",
            "dev": f"{row['dev']:.2f}",
            "test": f"{row['test']:.2f} [{row['low']:.2f}, {row['high']:.2f}]",
            "details": ", ".join(f"{key} {value:g}" for key, value in row["details"].items()),
        }
        for row in task["rows"]
    )
    yield "\n".join(f"* {d['what']}: {_signed(d)}" for d in task["differences"])


def _verdict(task: dict[str, Any], than: str) -> str:
    gain = next(d for d in task["differences"] if than in d["what"])
    word = "better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "no clear difference"
    return f"{word} ({_signed(gain)})"


def _signed(difference: dict[str, Any]) -> str:
    return f"{difference['value']:+.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}]"
