"""The tables of ``benchmarks/README.md``, from the saved results.

Run from a checkout::

    python -m benchmarks tables             # print them
    python -m benchmarks tables --write     # put them into benchmarks/README.md

A table stands there between ``<!-- table: QUESTION -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path
from typing import Any

from elmo_jax import ElmoError
from elmo_jax.files import atomic_file

from .question import QUESTIONS, RESULTS, card_line, saved_results

HELP = "Show the tables of saved results, or write them into benchmarks/README.md."

README = Path(__file__).resolve().parent / "README.md"
NOT_MEASURED = "Not measured yet.\n"
_PLACE = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("results", nargs="?", default=str(RESULTS), metavar="FOLDER", help="with the JSON files")
    add("--write", action="store_true", help="put them into the README")
    add("--readme", default=str(README), metavar="FILE", help="default: that of the benchmarks")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make the tables; results of ``--quick`` are left out."""
    tables = dict.fromkeys(QUESTIONS, "")
    for file, result in saved_results(Path(args.results)).items():
        if result["question"] in tables and not result["quick"]:
            module = importlib.import_module(f".{result['question']}", __package__)
            parts = f"`{file.name}`: {card_line(result)}", module.table(result)
            tables[result["question"]] += "".join(f"{part}\n\n" for part in parts)
    tables = {question: table or NOT_MEASURED for question, table in tables.items()}
    if args.write:
        write(Path(args.readme), tables)
    return {"tables": tables, "written": args.readme if args.write else None}


def text(summary: dict[str, Any]) -> str:
    if summary["written"]:
        return f"written to {summary['written']}"
    return "\n".join(f"## {name}\n\n{table}" for name, table in summary["tables"].items())


def write(readme: Path, tables: dict[str, str]) -> None:
    """Put the tables into their places.

    Raises:
        ElmoError: if the file cannot be read, or has no place for a table.
    """
    try:
        content = readme.read_text("utf-8")
    except OSError as error:
        raise ElmoError(f"Cannot read {readme}: {error.strerror}.") from None
    missing = tables.keys() - {place[1] for place in _PLACE.findall(content)}
    if missing:
        raise ElmoError(
            f"{readme} has no place for the tables of {', '.join(sorted(missing))}: expected "
            "<!-- table: NAME --> and <!-- end --> around each."
        )
    with atomic_file(readme, overwrite=True) as path:
        path.write_text(_PLACE.sub(lambda m: m[1] + tables[m[2]] + m[4], content), "utf-8")
