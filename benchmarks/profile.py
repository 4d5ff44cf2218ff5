"""Where does the time go in one run of the engine?

Run from a checkout::

    python -m benchmarks profile

First the engine as it is: its compiled functions timed one by one over a text, the first call of
each apart from the others, tracing and compiling apart from both; what is left is the host. Then
what a step of the biLM consists of, each piece alone in the shapes of the engine's widest step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import jax

import elmo_jax
from elmo_jax import Elmo
from elmo_jax.engine.plan import plan_for

from .arguments import setting
from .corpus import Sentence
from .limits import matmul_rate
from .measure import Spread, timed
from .pieces import pieces
from .tables import markdown, number, spread
from .watch import Watched, watched
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
    elmo = Elmo.from_params(config, params)
    first_run, first = _watched_run(elmo, setup.sentences)
    steady_run, steady = _watched_run(Elmo.from_params(config, elmo.params), setup.sentences)
    elmo = Elmo.from_params(config, elmo.params)  # each with an empty word table
    free_run = timed(lambda: [None for _ in elmo.stream(setup.sentences)])
    asked = sum(found.trace + found.compile for found in steady.values())
    steady_run -= asked  # what watching itself took, to find everything compiled
    waited = sum(sum(found.calls) for found in steady.values())
    return {
        "setting": setup.json(),
        "matmul_gflops": rate.json(),
        "work": needed_work(config, setup.sentences).json(),
        "seconds": {
            "first_run": round(first_run, 3),
            "watched": round(steady_run, 3),
            "host": round(steady_run - waited, 4),
            "not_watched": round(free_run, 3),
        },
        "functions": [_function(name, first[name], steady.get(name)) for name in first],
        "pieces": _pieces(config, args.lanes or plan_for(jax.default_backend()).max_lanes),
    }


def _watched_run(elmo: Elmo, sentences: Sequence[Sentence]) -> tuple[float, dict[str, Watched]]:
    with watched() as found:
        started = time.perf_counter()
        for _ in elmo.stream(sentences):
            pass
        return time.perf_counter() - started, found


def _function(name: str, first: Watched, steady: Watched | None) -> dict[str, Any]:
    calls = steady.calls if steady else []
    return {
        "what": name,
        "trace_seconds": round(first.trace, 3),
        "compile_seconds": round(first.compile, 3),
        "first_call_seconds": round(first.calls[0], 4),
        "calls": len(calls),
        "seconds": round(sum(calls), 4),
    }


def _pieces(config: elmo_jax.ElmoConfig, n_lanes: int) -> list[dict[str, Any]]:
    rows = []
    n_steps = plan_for(jax.default_backend()).chunk_steps
    for name, (run, flop) in pieces(config, n_lanes, n_steps).items():
        timed(run)  # compiles
        seconds = Spread.of([timed(run) / n_steps for _ in range(_N_SAMPLES)])
        gflops = round(flop / n_steps / seconds.median / 1e9, 1) if flop else None
        rows.append({"what": name, "lanes": n_lanes, "step": seconds.json(), "gflops": gflops})
    return rows


def table(summary: dict[str, Any]) -> str:
    """The engine's functions, and the pieces of a step."""
    seconds, what = summary["seconds"], summary["setting"]

    def share(part: float) -> str:
        return f"{100 * part / seconds['watched']:.1f}"

    functions = [
        [
            row["what"],
            *(number(row[f"{stage}_seconds"]) for stage in ("trace", "compile", "first_call")),
            str(row["calls"]),
            number(row["seconds"]),
            share(row["seconds"]),
        ]
        for row in sorted(summary["functions"], key=lambda row: -row["seconds"])
    ]
    functions.append(["host", *"––––", number(seconds["host"]), share(seconds["host"])])
    steps = [
        [row["what"], str(row["lanes"]), spread(row["step"], 1e3), number(row["gflops"])]
        for row in summary["pieces"]
    ]
    heads = ["compiled function", "trace", "compile", "first call", "calls", "seconds", "%"]
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
