"""What ``accelerator`` found, in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .tables import markdown, number, spread


def table(summary: dict[str, Any]) -> str:
    """What there is of each part."""
    what = summary["setting"]
    copies = what["text_copies"]
    repeated = f", a text of {what['tokens'] // copies:,} read {copies} times" if copies > 1 else ""
    shown = [f"Model {what['model']}, {what['tokens']:,} tokens{repeated}; {summary['precision']}."]
    limit = summary.get("limit", {})
    if limit:
        rates = [f"{kind} {number(rate['median'] / 1e3)}" for kind, rate in limit["gflops"].items()]
        memory = number(limit["gigabytes_per_second"]["median"])
        shown.append(f"Matmul, TFLOP/s: {', '.join(rates)}. Memory, read: {memory} GB/s.")
    makers: dict[str, Callable[[Any], str]] = {
        "error": _errors,
        "busy": _busy,
        "peers": _peers,
        "steps": _steps,
        "forms": _forms,
        "pieces": _pieces,
    }
    rows = [_own(name, summary[name]) for name in ("sentences", "layers") if name in summary]
    if rows:
        heads = ["from words to host memory", "no word known", "run again", "% of the limit"]
        shown.append(markdown(heads, rows))
    shown += [make(summary[name]) for name, make in makers.items() if name in summary]
    if summary["left_out"]:
        shown.append(f"Left out, for the time was over: {', '.join(summary['left_out'])}.")
    return "\n\n".join(shown)


def _own(name: str, found: dict[str, Any]) -> list[str]:
    title = {"sentences": "sentence vectors", "layers": "all layers, float16"}[name]
    rates = [spread(found[key]) for key in ("tokens_per_second", "again_tokens_per_second")]
    return [f"{title}, tokens/s", *rates, number(found["per_cent"])]


def _errors(found: dict[str, Any]) -> str:
    rows = [
        [name, *(f"{row['relative_error']:.1e}" for row in layers)]
        for name, layers in found.items()
    ]
    n_layers = len(next(iter(found.values())))
    heads = ["relative error against float32", *(f"layer {k}" for k in range(n_layers))]
    return markdown(heads, rows)


def _busy(found: dict[str, Any]) -> str:
    return (
        f"Sentence vectors once more, call by call: the device's calls take {found['device']} s, a "
        f"run in which host and device work at once {found['run']} s: the device is busy "
        f"{number(found['per_cent'])}% of it."
    )


def _peers(rows: list[dict[str, Any]]) -> str:
    heads = ["peer", "tokens measured on", "tokens/s (p10 – p90)", "elmo-jax is … times faster"]
    made = [
        [
            f"{row['peer']}, {row['output']}",
            f"{row['tokens']:,}",
            spread(row["tokens_per_second"]),
            spread(row["elmo_jax_times_faster"]),
        ]
        for row in rows
        if "tokens_per_second" in row
    ]
    failed = [f"{row['peer']}: {row['error']}" for row in rows if "error" in row]
    return "\n\n".join([markdown(heads, made), *failed])


def _steps(rows: list[dict[str, Any]]) -> str:
    heads = ["lanes × tokens", "tokens/s", "TFLOP/s", "% of the limit", "µs a step"]
    made = [
        [
            f"{row['lanes']} × {row['length']}",
            number(row["tokens_per_second"]),
            number(row["gflops"] / 1e3),
            number(row["per_cent"]),
            number(1e6 * row["seconds"]["median"] / row["length"]),
        ]
        for row in rows
    ]
    return "The compiled step alone, all layers:\n\n" + markdown(heads, made)


def _forms(rows: list[dict[str, Any]]) -> str:
    heads = ["form of the step", "lanes × tokens", "tokens/s", "% of the limit", "error"]
    made = [
        [
            row["form"],
            f"{row['lanes']} × {row['length']}",
            number(row["tokens_per_second"]),
            number(row["per_cent"]),
            f"{row['relative_error']:.1e}",
        ]
        for row in rows
    ]
    return "The forms of the step (`elmo_jax/engine/plan.py`, `Layout`):\n\n" + markdown(
        heads, made
    )


def _pieces(rows: list[dict[str, Any]]) -> str:
    heads = ["one direction's step, a kind of work alone", "lanes", "µs", "TFLOP/s"]
    made = [
        [
            row["what"],
            str(row["lanes"]),
            spread(row["step"], 1e6),
            number(row["gflops"] / 1e3 if row["gflops"] else None),
        ]
        for row in rows
    ]
    return markdown(heads, made)
