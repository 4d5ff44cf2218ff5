"""The drawings behind ``python -m benchmarks charts``; each takes a result and gives a figure."""

from __future__ import annotations

from typing import Any

from .tables import number

_OWN, _OTHER, _LIMIT, _TEXT = "#1f6feb", "#b6bec9", "#d1495b", "#30363d"


def throughput(summary: dict[str, Any]) -> Any:
    """Tokens a second of each system as bars, the fastest on top."""
    rows = sorted(summary["layers"], key=lambda row: row["tokens_per_second"]["median"])
    rates = [row["tokens_per_second"] for row in rows]
    middles = [rate["median"] for rate in rates]
    figure, axes = _figure(9, 1.6 + 0.5 * len(rows))
    colours = [_OWN if row["system"] == "elmo-jax" else _OTHER for row in rows]
    errors = [
        [rate["median"] - rate["p10"] for rate in rates],
        [rate["p90"] - rate["median"] for rate in rates],
    ]
    names = [row["system"] for row in rows]
    axes.barh(names, middles, color=colours, height=0.68)
    axes.errorbar(middles, names, xerr=errors, fmt="none", ecolor=_TEXT, elinewidth=1, capsize=2.5)
    for place, (rate, row) in enumerate(zip(rates, rows, strict=True)):
        times = row["elmo_jax_times_faster"]["median"]
        note = "" if row["system"] == "elmo-jax" else f"   (elmo-jax: {times:.1f}×)"
        axes.annotate(
            f"{rate['median']:,.0f}{note}",
            (rate["p90"], place),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=_TEXT,
        )
    axes.set_xlim(0, 1.15 * max(rate["p90"] for rate in rates))
    axes.set_xlabel("tokens a second (median, p10 to p90), all layers, float32")
    axes.grid(axis="x", color="#e4e7eb")
    _title(axes, "Throughput by system", summary)
    return figure


def scaling(summary: dict[str, Any]) -> Any | None:
    """Tokens a second over lanes, sentence length and corpus size, below the device's limit."""
    titles = {"lanes": "lanes", "length": "words a sentence", "corpus": "tokens of text"}
    parts = [part for part in titles if summary.get(part)]
    if not parts:
        return None
    figure, panels = _figure(4.4 * len(parts), 4.2, len(parts))
    for part, axes in zip(parts, panels if len(parts) > 1 else [panels], strict=True):
        rows = summary[part]
        x = [row[part] for row in rows]
        rates = [row["tokens_per_second"] for row in rows]
        # What the matmul rate would allow for the work of these very vectors.
        limit = summary["matmul_gflops"]["median"]
        limits = [row["tokens_per_second"] * limit / row["gflops"] for row in rows]
        axes.plot(x, limits, color=_LIMIT, linestyle="--", linewidth=1.4, label="matmul limit")
        axes.plot(x, rates, color=_OWN, marker="o", linewidth=2, label="elmo-jax")
        axes.set_xscale("log", base=2 if part == "lanes" else 10)
        if part == "lanes":
            axes.set_xticks(x, [str(value) for value in x])
            axes.minorticks_off()
        else:
            _plain_numbers(axes.xaxis)
        axes.set_ylim(0, 1.12 * max(limits + rates))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel(titles[part])
        axes.grid(color="#e4e7eb")
    first = figure.axes[0]
    first.set_ylabel("tokens a second")
    first.legend(frameon=False, loc="lower right")
    _title(first, "Scaling", summary)
    return figure


def roofline(summary: dict[str, Any]) -> Any | None:
    """The biLM's step at each number of lanes, below what memory and arithmetic allow."""
    if not summary.get("lanes"):
        return None
    figure, axes = _figure(8, 5)
    peak = summary["matmul_gflops"]["median"]
    bandwidth = summary["gigabytes_per_second"]["median"]
    x = [row["flop_per_byte"] for row in summary["lanes"]]
    left, right = min(x) / 2, max(max(x), peak / bandwidth) * 2
    ridge = peak / bandwidth
    axes.plot([left, ridge, right], [left * bandwidth, peak, peak], color=_LIMIT, linewidth=1.8)
    axes.annotate(
        f"float32 matmul: {number(peak)} GFLOP/s",
        (right, peak),
        xytext=(-4, 6),
        textcoords="offset points",
        ha="right",
        color=_LIMIT,
    )
    y = [row["gflops"] for row in summary["lanes"]]
    low, high = min(y) / 2, 2 * peak
    height = (low * peak**2) ** (1 / 3)  # two thirds of the way up, on a logarithmic axis
    axes.annotate(
        f"memory: {number(bandwidth)} GB/s",
        (height / bandwidth, height),
        xytext=(-8, 4),
        textcoords="offset points",
        ha="right",
        color=_LIMIT,
    )
    axes.plot(x, y, color=_OWN, marker="o", linewidth=2)
    for row in summary["lanes"]:
        axes.annotate(
            str(row["lanes"]),
            (row["flop_per_byte"], row["gflops"]),
            xytext=(0, -15),
            textcoords="offset points",
            ha="center",
            color=_TEXT,
            fontsize=9,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    _plain_numbers(axes.xaxis, axes.yaxis)
    axes.set_xlabel("operations for each byte of weights, read once a step (points: lanes)")
    axes.set_ylabel("GFLOP/s")
    axes.grid(color="#e4e7eb")
    _title(axes, "Roofline of the biLM's step", summary)
    return figure


def _figure(width: float, height: float, n_panels: int = 1) -> tuple[Any, Any]:
    from matplotlib import pyplot as plt

    plt.close("all")
    style: Any = {"font.size": 10, "axes.axisbelow": True, "text.color": _TEXT}
    plt.rcParams.update({**style, "axes.spines.top": False, "axes.spines.right": False})
    return plt.subplots(1, n_panels, figsize=(width, height), layout="constrained")


def _plain_numbers(*scales: Any) -> None:
    """1,000 instead of 10³."""
    for scale in scales:
        scale.set_major_formatter(lambda value, _: f"{value:,.10g}")


def _title(axes: Any, title: str, summary: dict[str, Any]) -> None:
    """What it shows, and of which model on what."""
    machine = summary["card"]["machine"]
    where = machine["processor"] if machine["platform"] == "cpu" else machine["device"]
    cores = f", {machine['cores']} cores" if machine["platform"] == "cpu" else ""
    quick = ", --quick" if summary["quick"] else ""
    what = f"model {summary['setting']['model']}; {where}{cores}{quick}"
    axes.set_title(f"{title}\n", loc="left", fontweight="bold", fontsize=12)
    axes.text(0, 1.02, what, transform=axes.transAxes, fontsize=9, color="#57606a")
