"""Where does the time go in one run of the engine?

Run from a checkout::

    python -m benchmarks profile

First the engine as it is: its compiled functions timed one by one over a text, the first call of
each (which traces and compiles) apart from the others; what is left is the host. Then what a step of
the biLM consists of, each piece alone in the shapes of the engine's widest step.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import elmo_jax
from elmo_jax import Elmo
from elmo_jax.engine.plan import LANE_SHAPES

from .arguments import setting
from .limits import matmul_rate
from .measure import Spread, timed
from .pieces import pieces
from .tables import markdown, number, spread
from .watch import watched
from .work import needed_work

HELP = "Where the time goes in one run."

_TOKENS = 10_000
_N_SAMPLES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    parser.add_argument("--lanes", type=int, metavar="N", help="of the pieces (default: the most)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Watch one run that compiles and one that does not, then time the pieces."""
    setup = setting(args, _TOKENS)
    config, params = elmo_jax.load(setup.model.native)
    rate = matmul_rate(quick=args.quick)
    runs = []
    elmo = Elmo.from_params(config, params)
    for _ in ("compiling", "steady"):
        elmo = Elmo.from_params(config, elmo.params)  # with an empty word table
        with watched() as seconds:
            started = time.perf_counter()
            for _ in elmo.stream(setup.sentences):
                pass
            runs.append((time.perf_counter() - started, dict(seconds)))
    elmo = Elmo.from_params(config, elmo.params)
    overlapped = timed(lambda: [None for _ in elmo.stream(setup.sentences)])
    n_lanes = args.lanes or max(LANE_SHAPES)
    work = needed_work(config, setup.sentences)
    return {
        "setting": setup.json(),
        "matmul_gflops": rate.json(),
        "work": work.json(),
        "seconds": {
            "first_run": round(runs[0][0], 3),
            "watched": round(runs[1][0], 3),
            "not_watched": round(overlapped, 3),
        },
        "functions": _functions(*runs),
        "pieces": _pieces(config, n_lanes, LANE_SHAPES.get(n_lanes, max(LANE_SHAPES.values()))),
    }


def _functions(
    compiling: tuple[float, dict[str, list[float]]], steady: tuple[float, dict[str, list[float]]]
) -> list[dict[str, Any]]:
    """Each compiled function's share of the steady run, and the host's."""
    (_, first), (total, seconds) = compiling, steady
    rows = [
        {
            "what": name,
            "calls": len(seconds.get(name, ())),
            "seconds": round(sum(seconds.get(name, ())), 4),
            # What the calls of the first run took longer: tracing and compiling, mostly.
            "compile_seconds": round(sum(first[name]) - sum(seconds.get(name, ())), 3),
        }
        for name in first
    ]
    rows.sort(key=lambda row: -row["seconds"])
    host = total - sum(map(sum, seconds.values()))
    return [*rows, {"what": "host", "calls": None, "seconds": round(host, 4)}]


def _pieces(config: elmo_jax.ElmoConfig, n_lanes: int, n_tokens: int) -> list[dict[str, Any]]:
    rows = []
    for name, (run, flop) in pieces(config, n_lanes, n_tokens).items():
        timed(run)  # compiles
        seconds = Spread.of([timed(run) / n_tokens for _ in range(_N_SAMPLES)])
        gflops = round(flop / n_tokens / seconds.median / 1e9, 1) if flop else None
        rows.append({"what": name, "lanes": n_lanes, "step": seconds.json(), "gflops": gflops})
    return rows


def table(summary: dict[str, Any]) -> str:
    """The engine's functions, and the pieces of a step."""
    seconds, what = summary["seconds"], summary["setting"]
    functions = [
        [
            row["what"],
            number(row["calls"]),
            number(row["seconds"]),
            f"{100 * row['seconds'] / seconds['watched']:.1f}",
            number(row.get("compile_seconds")),
        ]
        for row in summary["functions"]
    ]
    steps = [
        [row["what"], str(row["lanes"]), spread(row["step"], 1e3), number(row["gflops"])]
        for row in summary["pieces"]
    ]
    heads = ["compiled function", "calls", "seconds", "% of the run", "more in the first run"]
    return "\n\n".join(
        [
            f"Model {what['model']}, all layers of {what['tokens']:,} tokens: "
            f"{number(seconds['watched'])} s while watched, {number(seconds['not_watched'])} s "
            f"not watched, {number(seconds['first_run'])} s in the first run.",
            markdown(heads, functions),
            "One step of one direction, all layers, each kind of work alone (float32 matmul limit "
            f"{number(summary['matmul_gflops']['median'])} GFLOP/s):",
            markdown(["piece", "lanes", "ms a step (p10 – p90)", "GFLOP/s"], steps),
        ]
    )
