"""The tables of ``benchmarks/README.md``, from the results that are saved.

Run from a checkout::

    python -m benchmarks tables             # print them
    python -m benchmarks tables --write     # put them into benchmarks/README.md

A table stands there between ``<!-- table: QUESTION -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from elmo_jax import ElmoError
from elmo_jax.files import atomic_file

from .question import RESULTS, card_line
from .registry import QUESTIONS
from .saved import read_results

HELP = "Show the tables of saved results, or write them into benchmarks/README.md."

README = Path(__file__).resolve().parent / "README.md"
_NOTHING = "Not measured yet."
_PLACE = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("results", nargs="?", default=str(RESULTS), metavar="FOLDER", help="with the JSON files")
    add("--write", action="store_true", help="put them into the README")
    add("--readme", default=str(README), metavar="FILE", help="which (default: that beside this)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make the tables, and write them if that is wanted.

    Raises:
        ElmoError: if the results cannot be read, or the README has no place for a table.
    """
    tables = dict.fromkeys(QUESTIONS, "")
    for file, summary in read_results(Path(args.results)).items():
        if summary["question"] in tables and not summary["quick"]:
            tables[summary["question"]] += "\n".join(_lines(file, summary)) + "\n"
    tables = {question: table or f"{_NOTHING}\n" for question, table in tables.items()}
    if args.write:
        _write(Path(args.readme), tables)
    return {"tables": tables, "written": args.readme if args.write else None}


def text(summary: dict[str, Any]) -> str:
    """The tables, or where they went."""
    if summary["written"]:
        return f"written to {summary['written']}"
    return "\n".join(f"## {name}\n\n{table}" for name, table in summary["tables"].items())


def _lines(file: Path, summary: dict[str, Any]) -> Iterator[str]:
    module = importlib.import_module(f".{QUESTIONS[summary['question']]}", __package__)
    yield f"`{file.name}`: {card_line(summary)}"
    yield ""
    yield module.table(summary)
    yield ""


def _write(readme: Path, tables: dict[str, str]) -> None:
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
