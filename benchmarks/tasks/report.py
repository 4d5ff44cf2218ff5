"""The task table: results with their intervals and differences, as JSON and as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..question import card_line
from ..tables import markdown
from .scores import (
    AVERAGE,
    BASELINE,
    MIX,
    MODEL,
    RANDOM_LSTM,
    TOKEN_LAYER,
    Row,
    TaskResult,
    interval,
)

TOKEN = "best biLM layer − token layer"
RANDOM = "best biLM layer − best random layer"


def summarise(result: TaskResult) -> dict[str, Any]:
    """A task's result, ready for JSON. All scores are in points."""
    own = {row.name: row for row in result.rows if row.variant == MODEL}
    best = {variant: result.best_layer(variant) for variant in (MODEL, RANDOM_LSTM)}
    token = own[TOKEN_LAYER]
    pairs = [(TOKEN, best[MODEL], token)]
    pairs += [(f"{name} − token layer", own[name], token) for name in (MIX, AVERAGE) if name in own]
    pairs.append((RANDOM, best[MODEL], best[RANDOM_LSTM]))
    baselines = [row for row in result.rows if row.variant == BASELINE]
    pairs += [(f"best biLM layer − {row.name}", best[MODEL], row) for row in baselines]
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
    numbers = _rounded({"dev": row.dev, "test": row.test} | interval(row.draws))
    return {"variant": row.variant, "name": row.name, **numbers, "details": details}


def _difference(what: str, one: Row, other: Row) -> dict[str, Any]:
    value = {"value": one.test - other.test}
    return {"what": what, **_rounded(value | interval(one.draws - other.draws))}


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, 2) for name, number in numbers.items()}


def as_text(summary: dict[str, Any]) -> str:
    """The whole report for a person, in Markdown."""
    card, tasks = summary["card"], summary["tasks"]
    size = f"{card['parameters']:,} parameters, {card['layers']} layers of {card['dim']}"
    lines = [
        f"# Tasks: {card['model']}",
        "",
        f"{size}; {summary['seconds']:.0f} s. {card_line(summary)}",
        "",
        "Points; in brackets the 95 % interval of the bootstrap over test sentences. Layers and "
        "penalties are chosen on dev (cross-validated: within the other folds); * marks the best "
        "layer. layer 0 is the token layer.",
    ]
    if summary["quick"]:
        lines += ["", "**--quick: on a part of the data, not to be compared with anything.**"]
    for name, task in tasks.items():
        lines += ["", *_task_lines(name, task)]
    for than, whose in ((TOKEN, "their own token layer"), (RANDOM, "random LSTMs")):
        verdicts = "; ".join(f"{name}: {_verdict(task, than)}" for name, task in tasks.items())
        lines += ["", f"biLM layers against {whose}: {verdicts}"]
    return "\n".join(lines)


def _verdict(task: dict[str, Any], than: str) -> str:
    gain = next(d for d in task["differences"] if d["what"] == than)
    word = "better" if gain["low"] > 0 else "worse" if gain["high"] < 0 else "no clear difference"
    return f"{word} ({_signed(gain)})"


def _task_lines(name: str, task: dict[str, Any]) -> Iterable[str]:
    sizes = ", ".join(f"{split} {n:,}" for split, n in task["sentences"].items())
    yield f"## {name}: {task['metric']} ({sizes}; {task['seconds']:.0f} s)\n"
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
    yield ""
    yield from (f"* {d['what']}: {_signed(d)}" for d in task["differences"])


def _signed(difference: dict[str, Any]) -> str:
    return f"{difference['value']:+.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}]"
