"""Tables in Markdown, as every question shows its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def markdown(rows: Iterable[Mapping[str, object]]) -> str:
    """A table of rows with the same keys, which are its heads; the first column is text."""
    cells = [dict(row) for row in rows]
    if not cells:
        return "(no rows)"
    lines = ["| " + " | ".join(cells[0]) + " |", "|---|" + "---:|" * (len(cells[0]) - 1)]
    lines += ["| " + " | ".join(map(str, row.values())) + " |" for row in cells]
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Three significant digits or whole numbers; a dash for None."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def spread(samples: dict[str, Any] | None, scale: float = 1.0) -> str:
    """A median with its percentiles, from the JSON of a ``Spread``: "1.23 (1.2 – 1.3)"."""
    if samples is None:
        return "–"
    middle, low, high = (number(scale * samples[key]) for key in ("median", "p10", "p90"))
    return f"{middle} ({low} – {high})" if samples["n"] > 1 else middle
