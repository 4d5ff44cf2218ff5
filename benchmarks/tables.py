"""Print the tables of saved results, which are the page ``benchmarks/results/README.md``."""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .card import card_line
from .question import QUESTIONS, RESULTS

_TITLE = """# Results

What the questions in [benchmarks](../README.md) found; results of `--quick` are left out. This page
is the output of `python -m benchmarks tables`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    help = "with the JSON files (default: benchmarks/results)"
    parser.add_argument("results", nargs="?", default=str(RESULTS), metavar="FOLDER", help=help)


def run(args: argparse.Namespace) -> dict[str, Any]:
    folder = Path(args.results)
    parts: dict[str, list[str]] = {question: [] for question in QUESTIONS}
    for file in sorted(folder.glob("*.json")):
        result = json.loads(file.read_text("utf-8"))
        if result.get("question") in parts and not result["quick"]:
            module = importlib.import_module(f".{result['question']}", __package__)
            table = f"`{file.name}`: {card_line(result['card'])}\n\n{module.table(result)}"
            parts[result["question"]].append(table)
    sections = [
        f"## {question}\n\n" + "\n\n".join(tables or ["Not measured yet."])
        for question, tables in parts.items()
    ]
    return {"page": "\n\n".join([_TITLE, *sections])}


def text(summary: dict[str, Any]) -> str:
    page: str = summary["page"]
    return page


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """A table with the keys of the rows as heads; the first column is text.

    Numbers, None and the JSON of a ``Spread`` are formatted, strings stay as they are.
    """
    listed = list(rows)
    heads = list({key: None for row in listed for key in row})
    lines = ["| " + " | ".join(head.replace("_", " ") for head in heads) + " |"]
    lines.append("|---|" + "---:|" * (len(heads) - 1))
    lines += ["| " + " | ".join(_cell(row.get(head)) for head in heads) + " |" for row in listed]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return spread(value)
    return f"{value:,}" if isinstance(value, int) else number(value)


def number(value: float | None) -> str:
    """Three significant digits or whole numbers; a dash for None."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def spread(samples: dict[str, Any], scale: float = 1.0) -> str:
    """A median with its percentiles, from the JSON of a ``Spread``: "1.23 (1.2 – 1.3)"."""
    middle, low, high = (number(scale * samples[key]) for key in ("median", "p10", "p90"))
    return f"{middle} ({low} – {high})" if samples["n"] > 1 else middle
