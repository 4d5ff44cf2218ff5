"""Charts of the results: throughput by system, scaling curves, roofline.

Run from a checkout, with the extra ``bench`` (matplotlib)::

    python -m benchmarks charts                     # of benchmarks/results/*.json
    python -m benchmarks charts FOLDER --output FOLDER

Each PNG is named after the JSON file that it shows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from elmo_jax import ElmoError

from .question import RESULTS, saved_results
from .scaling import TITLES

HELP = "Draw charts of the results."

_OWN, _OTHER, _LIMIT = "#1f6feb", "#b6bec9", "#d1495b"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("results", nargs="?", default=str(RESULTS), metavar="FOLDER", help="with the JSON files")
    add("-o", "--output", metavar="FOLDER", help="for the PNG files (default: the same folder)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Draw every chart that there are results for; a PNG of the same name is replaced."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ElmoError(
            'Charts need matplotlib, which is not installed: pip install -e ".[bench]".'
        ) from None
    written = []
    for file, result in saved_results(Path(args.results)).items():
        for chart, draw in CHARTS.get(result["question"], {}).items():
            figure = Figure(figsize=(9, 5), layout="constrained")
            draw(figure, result)
            if figure.axes:
                machine = result["card"]["machine"]
                device = machine["processor" if machine["platform"] == "cpu" else "device"]
                quick = ", --quick" if result["quick"] else ""
                figure.suptitle(f"{chart}: {result['setting']['model']}; {device}{quick}")
                name = file.stem.replace(result["question"], chart)
                path = Path(args.output or args.results) / f"{name}.png"
                figure.savefig(path, dpi=160)
                written.append(str(path))
    if not written:
        raise ElmoError(
            f"There is nothing to draw in {args.results}: expected results of "
            "`python -m benchmarks throughput --save` or `scaling --save`."
        )
    return {"charts": written}


def text(summary: dict[str, Any]) -> str:
    return "\n".join(summary["charts"])


def throughput(figure: Any, result: dict[str, Any]) -> None:
    """Tokens a second of each system as bars, the fastest on top."""
    rows = sorted(result["layers"], key=lambda row: row["tokens_per_second"]["median"])
    rates = [row["tokens_per_second"] for row in rows]
    errors = [[abs(rate[end] - rate["median"]) for rate in rates] for end in ("p10", "p90")]
    is_own = [row["system"] == "elmo-jax" for row in rows]
    axes = figure.subplots()
    bars = axes.barh(
        [row["system"] for row in rows],
        [rate["median"] for rate in rates],
        color=[_OWN if own else _OTHER for own in is_own],
        xerr=errors,
    )
    ratios = [row["elmo_jax_times_faster"]["median"] for row in rows]
    notes = ["" if own else f"elmo-jax: {r:.1f} ×" for own, r in zip(is_own, ratios, strict=True)]
    axes.bar_label(bars, notes, padding=4)
    axes.margins(x=0.15)
    axes.set_xlabel("tokens a second (median, p10 to p90), all layers, float32")


def scaling(figure: Any, result: dict[str, Any]) -> None:
    """Tokens a second over lanes, sentence length and corpus size, below the device's limit."""
    parts = [part for part in TITLES if result.get(part)]
    panels = figure.subplots(1, len(parts), squeeze=False)[0] if parts else []
    for part, axes in zip(parts, panels, strict=True):
        x = [row[part] for row in result[part]]
        rates = [row["tokens_per_second"] for row in result[part]]
        # Tokens a second if the work of these vectors were done at the matmul rate.
        limit = result["matmul_gflops"]["median"]
        limits = [row["tokens_per_second"] * limit / row["gflops"] for row in result[part]]
        axes.semilogx(x, limits, color=_LIMIT, linestyle="--", label="matmul limit")
        axes.semilogx(x, rates, color=_OWN, marker="o", label="elmo-jax")
        axes.set_ylim(bottom=0)
        axes.set(xlabel=TITLES[part], ylabel="tokens a second")
        axes.legend(frameon=False)


def roofline(figure: Any, result: dict[str, Any]) -> None:
    """The biLM's step at each number of lanes, below what memory and arithmetic allow."""
    rows = result.get("lanes")
    if not rows:
        return
    peak = result["matmul_gflops"]["median"]
    bandwidth = result["gigabytes_per_second"]["median"]
    x = [row["flop_per_byte"] for row in rows]
    roof = [min(x) / 2, peak / bandwidth, 2 * max(*x, peak / bandwidth)]
    label = f"float32 matmul {peak:,.0f} GFLOP/s; memory {bandwidth:.3g} GB/s"
    axes = figure.subplots()
    axes.loglog(roof, [roof[0] * bandwidth, peak, peak], color=_LIMIT, label=label)
    axes.loglog(x, [row["gflops"] for row in rows], color=_OWN, marker="o", label="by lanes")
    for row in rows:
        axes.annotate(row["lanes"], (row["flop_per_byte"], 0.8 * row["gflops"]), ha="center")
    axes.set(xlabel="operations for each byte of weights, read once a step", ylabel="GFLOP/s")
    axes.legend(frameon=False)


CHARTS: dict[str, dict[str, Callable[[Any, dict[str, Any]], None]]] = {
    "throughput": {"throughput": throughput},
    "scaling": {"scaling": scaling, "roofline": roofline},
}
"""Questions -> the charts of their results."""
