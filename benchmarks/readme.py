"""The tables of ``benchmarks/results/README.md``, from the saved results.

Run from a checkout::

    python -m benchmarks tables             # print them
    python -m benchmarks tables --write     # write the page
"""

from __future__ import annotations

import argparse
import importlib
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
