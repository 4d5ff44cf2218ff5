"""The task table: results with their intervals and differences, as JSON and as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .bootstrap import interval
from .published import PAPER, PUBLISHED
from .results import AVERAGE, MIX, Row, TaskResult
from .variants import BASELINE, MODEL, RANDOM_LSTM

TOKEN = "best biLM layer − token layer"
RANDOM = "best biLM layer − best random layer"


def summarise(result: TaskResult) -> dict[str, Any]:
    """A task's result, ready for JSON. All scores are in points."""
    best, token = result.best_layer(MODEL), result.token_layer
    pairs = [(TOKEN, best, token)]
    pairs += [
        (f"{reading} − token layer", row, token)
        for reading in (MIX, AVERAGE)
        if (row := result.row(MODEL, reading)) is not None
    ]
    pairs.append((RANDOM, best, result.best_layer(RANDOM_LSTM)))
    pairs += [
        (f"best biLM layer − {row.reading}", best, row)
        for row in result.rows
        if row.variant == BASELINE
    ]
    gain = _difference(*pairs[0])
    return {
        "metric": result.metric,
        "sentences": result.sizes,
        "chosen_on_dev": {
            variant: result.best_layer(variant).reading for variant in (MODEL, RANDOM_LSTM)
        },
        "rows": [_row(row) for row in result.rows],
        "differences": [_difference(*pair) for pair in pairs],
        "beats_token_layer": gain["low"] > 0,
        "published": [
            {
                "what": f"{number.what} ({PAPER})",
                "value": number.value,
                "gap": round(best.test.value - number.value, 2),
                "data": number.data,
            }
            for number in PUBLISHED.get(result.task, ())
        ],
    }


def _row(row: Row) -> dict[str, Any]:
    low, high = interval(row.draws)
    return {
        "variant": row.variant,
        "reading": row.reading,
        "dev": round(row.dev, 2),
        "test": round(row.test.value, 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "details": {name: float(f"{value:.4g}") for name, value in row.details.items()},
    }


def _difference(what: str, one: Row, other: Row) -> dict[str, Any]:
    low, high = interval(one.draws - other.draws)
    value = one.test.value - other.test.value
    return {"what": what, "value": round(value, 2), "low": round(low, 2), "high": round(high, 2)}


def as_text(summary: dict[str, Any]) -> str:
    """The whole report for a person, in Markdown."""
    card, tasks = summary["card"], summary["tasks"]
    machine, versions = card["machine"], card["versions"]
    lines = [
        f"# Tasks: {card['model']}",
        "",
        f"{card['parameters']:,} parameters, {card['layers']} layers of {card['dim']}; "
        f"{machine['cores']} cores, {machine['device']}; jax {versions['jax']}, "
        f"flax {versions['flax']}, numpy {versions['numpy']}; {card['date']}, "
        f"commit {card['commit'] or 'unknown'}; {summary['seconds']:.0f} s.",
        "",
        "Points; in brackets the 95 % interval of the bootstrap over test sentences. Layers and "
        "penalties are chosen on dev (cross-validated: on the other folds). layer 0 is the token "
        "layer.",
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
    yield f"## {name}: {task['metric']} ({sizes}; {task['seconds']:.0f} s)"
    yield ""
    yield "| vectors | reading | dev | test | details |"
    yield "|---|---|---:|---:|---|"
    for row in task["rows"]:
        chosen = " *" if task["chosen_on_dev"].get(row["variant"]) == row["reading"] else ""
        details = ", ".join(f"{key} {value:g}" for key, value in row["details"].items())
        yield (
            f"| {row['variant']} | {row['reading']}{chosen} | {row['dev']:.2f} | "
            f"{row['test']:.2f} [{row['low']:.2f}, {row['high']:.2f}] | {details} |"
        )
    yield ""
    for difference in task["differences"]:
        yield f"* {difference['what']}: {_signed(difference)}"
    for number in task["published"]:
        yield (
            f"* {number['what']}: {number['value']:.1f}; best biLM layer here "
            f"{number['gap']:+.1f} ({number['data']})"
        )


def _signed(difference: dict[str, Any]) -> str:
    return f"{difference['value']:+.2f} [{difference['low']:+.2f}, {difference['high']:+.2f}]"
