"""Tables in Markdown, and the page of them: ``benchmarks/results/README.md``.

Run from a checkout::

    python -m benchmarks tables             # print the tables of the saved results
    python -m benchmarks tables --write     # write the page
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from elmo_jax.files import atomic_file

from .question import QUESTIONS, RESULTS, card_line, saved_results

HELP = "Show the tables of saved results, or write them into their README.md."

_TITLE = """# Results

What the questions in [benchmarks](../README.md) found; results of `--quick` are left out. This page
is written by `python -m benchmarks tables --write`.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("results", nargs="?", default=str(RESULTS), metavar="FOLDER", help="with the JSON files")
    add("--write", action="store_true", help="write README.md in that folder")


def run(args: argparse.Namespace) -> dict[str, Any]:
    folder = Path(args.results)
    parts: dict[str, list[str]] = {question: [] for question in QUESTIONS}
    for file, result in saved_results(folder).items():
        if result["question"] in parts and not result["quick"]:
            module = importlib.import_module(f".{result['question']}", __package__)
            table = f"`{file.name}`: {card_line(result)}\n\n{module.table(result)}"
            parts[result["question"]].append(table)
    sections = [
        f"## {question}\n\n" + "\n\n".join(tables or ["Not measured yet."])
        for question, tables in parts.items()
    ]
    page = "\n\n".join([_TITLE.rstrip(), *sections]) + "\n"
    if args.write:
        with atomic_file(folder / "README.md", overwrite=True) as path:
            path.write_text(page, "utf-8")
    return {"page": page, "written": str(folder / "README.md") if args.write else None}


def text(summary: dict[str, Any]) -> str:
    written: str | None = summary["written"]
    return f"written to {written}" if written else summary["page"]


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
