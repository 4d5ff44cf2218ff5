"""Cosines for a terminal: a table if it fits, and else the most similar pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .terminal import cut_end, left_aligned, right_aligned, shown_width, terminal_width

_MOST_PAIRS = 20
_LEAST_NAME = 20  # columns for the names of the rows; with fewer, no sentence can be recognized
_NUMBER = len("-0.000")


def similarity_text(summary: dict[str, Any]) -> str:
    """What ``elmo-jax similarity`` prints of its summary."""
    lines = _table(summary) or _pairs(summary)
    return "\n".join([f"cosines, {layer_text(summary['layer'])}", *lines])


def layer_text(layer: int | str) -> str:
    """What a layer is called in headings."""
    return f"layer {layer}" if isinstance(layer, int) else f"layers: {layer}"


def _table(summary: dict[str, Any]) -> list[str]:
    """The lines of a table; none if it is wider than the terminal."""
    rows, columns = summary["rows"], summary["columns"]
    numbers = [f"[{number}]" for number in range(1, len(columns) + 1)]
    heads = columns if summary["words"] else numbers  # sentences are too long to stand above
    names = rows if summary["words"] else _numbered(rows)
    widths = [max(1 + _NUMBER, 2 + shown_width(head)) for head in heads]
    longest_name = max(map(shown_width, names))
    first = min(longest_name, terminal_width() - sum(widths))
    if first < min(longest_name, _LEAST_NAME):
        return []
    lines = [" " * first + "".join(map(right_aligned, heads, widths))]
    for name, cosines in zip(names, summary["cosines"], strict=True):
        values = "".join(
            f"{value:z{width}.3f}" for value, width in zip(cosines, widths, strict=True)
        )
        lines.append(left_aligned(cut_end(name, first), first) + values)
    return lines


def _pairs(summary: dict[str, Any]) -> list[str]:
    """The most similar pairs, a word and a word on one line or two sentences on two."""
    pairs = sorted(_all_pairs(summary), key=lambda pair: -pair[0])
    shown_pairs = pairs[:_MOST_PAIRS]
    row_names, column_names = _numbered(summary["rows"]), _numbered(summary["columns"])
    first_width = max(shown_width(row_names[row]) for _, row, _ in shown_pairs)
    lines = []
    for value, row, column in shown_pairs:
        number = f"{value:z{_NUMBER}.3f}  "
        if summary["words"]:
            first = left_aligned(row_names[row], first_width)
            lines.append(f"{number}{first}  {column_names[column]}")
        else:
            lines += [number + row_names[row], " " * len(number) + column_names[column]]
    n_shown = f"The {len(shown_pairs)} most similar of {len(pairs):,} pairs."
    lines.append(f"{n_shown} --json prints all, -o heat.html draws them.")
    return [cut_end(line, terminal_width()) for line in lines]


def _all_pairs(summary: dict[str, Any]) -> Iterator[tuple[float, int, int]]:
    """Each cosine with its row and column. A pair of sentences counts once."""
    for row, cosines in enumerate(summary["cosines"]):
        for column, value in enumerate(cosines):
            if summary["words"] or row < column:
                yield value, row, column


def _numbered(names: list[str]) -> list[str]:
    width = len(f"[{len(names)}]")
    return [f"[{number}]".rjust(width) + f" {name}" for number, name in enumerate(names, start=1)]
