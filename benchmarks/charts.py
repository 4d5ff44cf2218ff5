"""Charts of the results: throughput by system, scaling curves, roofline.

Run from a checkout, with the extra ``bench`` (matplotlib)::

    python -m benchmarks charts                     # of benchmarks/results/*.json
    python -m benchmarks charts FOLDER --output FOLDER

Each PNG is named after the JSON that it is drawn from.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elmo_jax import ElmoError

from .figures import roofline, scaling, throughput
from .question import RESULTS
from .saved import read_results

HELP = "Draw charts of the results."

_CHARTS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "throughput": ("throughput", throughput),
    "scaling": ("scaling", scaling),
    "roofline": ("scaling", roofline),
}
"""The chart's name -> the question whose results it shows, and what draws it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("results", nargs="?", default=str(RESULTS), metavar="FOLDER", help="with the JSON files")
    add("--output", metavar="FOLDER", help="for the PNG files (default: the same folder)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Draw every chart that there are results for; an older PNG of the name is replaced.

    Raises:
        ElmoError: if there are no results, or matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise ElmoError(
            'Charts need matplotlib, which is not installed: pip install -e ".[bench]".'
        ) from None
    matplotlib.use("Agg")  # no window
    output = Path(args.output or args.results)
    written = []
    for file, summary in read_results(Path(args.results)).items():
        for chart, (question, draw) in _CHARTS.items():
            if summary["question"] == question and (figure := draw(summary)) is not None:
                path = output / _name(file, question, chart)
                figure.savefig(path, dpi=160)
                written.append(str(path))
    if not written:
        raise ElmoError(
            f"There is nothing to draw in {args.results}: expected results of "
            "`python -m benchmarks throughput --save` or `scaling --save`."
        )
    return {"charts": written}


def _name(file: Path, question: str, chart: str) -> str:
    """roofline-cpu.png for scaling-cpu.json; NAME-roofline.png for a file of another name."""
    if file.stem.startswith(question):
        return f"{chart}{file.stem.removeprefix(question)}.png"
    return f"{file.stem}-{chart}.png"


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    return "\n".join(summary["charts"])
