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
        import matplotlib
    except ImportError:
        raise ElmoError(
            'Charts need matplotlib, which is not installed: pip install -e ".[bench]".'
        ) from None
    matplotlib.use("Agg")  # no window
    written = []
    for file, result in saved_results(Path(args.results)).items():
        for chart, draw in CHARTS.get(result["question"], {}).items():
            if (figure := draw(result)) is not None:
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


def throughput(result: dict[str, Any]) -> Any:
    """Tokens a second of each system as bars, the fastest on top."""
    rows = sorted(result["layers"], key=lambda row: row["tokens_per_second"]["median"])
    rates = [row["tokens_per_second"] for row in rows]
    medians = [rate["median"] for rate in rates]
    figure, (axes,) = _figure("Throughput by system", result, 9, 1.6 + 0.5 * len(rows))
    axes.barh(
        [row["system"] for row in rows],
        medians,
        color=[_OWN if row["system"] == "elmo-jax" else _OTHER for row in rows],
        xerr=[
            [rate["median"] - rate["p10"] for rate in rates],
            [rate["p90"] - rate["median"] for rate in rates],
        ],
    )
    for height, (row, rate) in enumerate(zip(rows, rates, strict=True)):
        ratio = row["elmo_jax_times_faster"]["median"]
        note = "" if row["system"] == "elmo-jax" else f"   (elmo-jax: {ratio:.1f}×)"
        axes.text(rate["p90"], height, f"  {rate['median']:,.0f}{note}", va="center")
    axes.set_xlim(0, 1.3 * max(rate["p90"] for rate in rates))
    axes.set_xlabel("tokens a second (median, p10 to p90), all layers, float32")
    return figure


def scaling(result: dict[str, Any]) -> Any | None:
    """Tokens a second over lanes, sentence length and corpus size, below the device's limit."""
    parts = [part for part in TITLES if result.get(part)]
    if not parts:
        return None
    figure, panels = _figure("Scaling", result, 4.4 * len(parts), 4.2, len(parts))
    limit = result["matmul_gflops"]["median"]
    for part, axes in zip(parts, panels, strict=True):
        x = [row[part] for row in result[part]]
        rates = [row["tokens_per_second"] for row in result[part]]
        # Tokens a second if the work of these vectors were done at the matmul rate.
        limits = [row["tokens_per_second"] * limit / row["gflops"] for row in result[part]]
        axes.plot(x, limits, color=_LIMIT, linestyle="--", label="matmul limit")
        axes.plot(x, rates, color=_OWN, marker="o", label="elmo-jax")
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_ylim(0, 1.12 * max(limits + rates))
        axes.set_xlabel(TITLES[part])
    panels[0].set_ylabel("tokens a second")
    panels[0].legend(frameon=False, loc="lower right")
    return figure


def roofline(result: dict[str, Any]) -> Any | None:
    """The biLM's step at each number of lanes, below what memory and arithmetic allow."""
    if not result.get("lanes"):
        return None
    figure, (axes,) = _figure("Roofline of the biLM's step", result, 8, 5)
    peak = result["matmul_gflops"]["median"]
    bandwidth = result["gigabytes_per_second"]["median"]
    x = [row["flop_per_byte"] for row in result["lanes"]]
    y = [row["gflops"] for row in result["lanes"]]
    ridge = peak / bandwidth
    roof = [min(x) / 2, ridge, 2 * max(*x, ridge)]
    axes.plot(
        roof,
        [roof[0] * bandwidth, peak, peak],
        color=_LIMIT,
        label=f"float32 matmul: {peak:,.0f} GFLOP/s; memory: {bandwidth:.3g} GB/s",
    )
    axes.plot(x, y, color=_OWN, marker="o", label="elmo-jax, by lanes")
    for row in result["lanes"]:
        axes.annotate(
            row["lanes"],
            (row["flop_per_byte"], row["gflops"]),
            xytext=(0, -15),
            textcoords="offset points",
            ha="center",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations for each byte of weights, read once a step")
    axes.set_ylabel("GFLOP/s")
    axes.legend(frameon=False, loc="lower right")
    return figure


CHARTS: dict[str, dict[str, Callable[[dict[str, Any]], Any]]] = {
    "throughput": {"throughput": throughput},
    "scaling": {"scaling": scaling, "roofline": roofline},
}
"""Questions -> the charts of their results."""


def _figure(
    title: str, result: dict[str, Any], width: float, height: float, n_panels: int = 1
) -> tuple[Any, list[Any]]:
    """A figure with a title that names the model and the device."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, n_panels, squeeze=False)[0].tolist()
    machine = result["card"]["machine"]
    device = machine["processor"] if machine["platform"] == "cpu" else machine["device"]
    quick = ", --quick" if result["quick"] else ""
    figure.suptitle(f"{title}: model {result['setting']['model']}; {device}{quick}")
    for axes in panels:
        axes.grid(color="#e4e7eb")
        axes.set_axisbelow(True)
    return figure, panels
