"""Tables in Markdown, as every question shows its results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def markdown(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; the first column is text, the others are numbers."""
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Three significant digits or whole numbers; a dash for None."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def spread(found: dict[str, Any] | None, scale: float = 1.0) -> str:
    """A median with its percentiles: "1.23 (1.2 – 1.3)"."""
    if found is None:
        return "–"
    middle, low, high = (number(scale * found[key]) for key in ("median", "p10", "p90"))
    return f"{middle} ({low} – {high})" if found["n"] > 1 else middle
