"""Tables in Markdown, as every question shows its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """A table with the keys of the rows as heads; the first column is text.

    Numbers, None and the JSON of a ``Spread`` are formatted, strings stay as they are.
    """
    listed = list(rows)
    heads = list({key: None for row in listed for key in row})
    lines = ["| " + " | ".join(head.replace("_", " ") for head in heads) + " |"]
    lines.append("|---|" + "---:|" * (len(heads) - 1))
    lines += ["| " + " | ".join(_cell(row.get(head)) for head in heads) + " |" for row in listed]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return spread(value)
    return f"{value:,}" if isinstance(value, int) else number(value)


def number(value: float | None) -> str:
    """Three significant digits or whole numbers; a dash for None."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value else "0"


def spread(samples: dict[str, Any], scale: float = 1.0) -> str:
    """A median with its percentiles, from the JSON of a ``Spread``: "1.23 (1.2 – 1.3)"."""
    middle, low, high = (number(scale * samples[key]) for key in ("median", "p10", "p90"))
    return f"{middle} ({low} – {high})" if samples["n"] > 1 else middle
