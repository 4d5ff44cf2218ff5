"""Neighbors for a terminal: one line each, with the words below each other."""

from __future__ import annotations

from typing import Any

from .terminal import (
    cut_end,
    cut_start,
    left_aligned,
    right_aligned,
    shown_width,
    terminal_width,
)

_WIDEST_PLACE = 24
_LEAST_CONTEXT = 20  # columns for the words around the marked one, however narrow the terminal
_INDENT = " " * 4


def neighbors_text(summary: dict[str, Any]) -> str:
    """What ``elmo-jax neighbors`` prints of its summary."""
    return "\n\n".join("\n".join(_listing(summary, query)) for query in summary["queries"])


def _listing(summary: dict[str, Any], query: dict[str, Any]) -> list[str]:
    from ..explore.drawing import layer_name

    place = _place(summary, query)
    after = f"  ({place})" if place else ""
    (line,) = _in_context([query], terminal_width() - shown_width(after))
    lines = [line.strip() + after]
    for layer, ranking in query["layers"].items():
        lines.append(f"  {layer_name(int(layer), summary['n_layers'])}:")
        lines += _ranking(summary, ranking) if ranking else [f"{_INDENT}no other occurrence"]
    return lines


def _ranking(summary: dict[str, Any], ranking: list[dict[str, Any]]) -> list[str]:
    places = [cut_start(_place(summary, each), _WIDEST_PLACE) for each in ranking]
    width = max(map(shown_width, places))
    align = left_aligned if summary["files"] > 1 else right_aligned
    starts = [
        f"{_INDENT}{each['score']:z6.3f}  {align(place, width)}  "
        for each, place in zip(ranking, places, strict=True)
    ]
    sentences = _in_context(ranking, terminal_width() - shown_width(starts[0]))
    return [start + sentence for start, sentence in zip(starts, sentences, strict=True)]


def _place(summary: dict[str, Any], occurrence: dict[str, Any]) -> str:
    """Where a sentence stands: its line, after the name of its file if there are several."""
    if occurrence["line"] is None:
        return "" if occurrence["sentence"] is None else f"sentence {occurrence['sentence']}"
    if summary["files"] > 1:
        return f"{occurrence['file']}:{occurrence['line']}"
    return f"line {occurrence['line']}"


def _in_context(occurrences: list[dict[str, Any]], width: int) -> list[str]:
    """The sentences, each cut to ``width`` around its marked word, with the marks aligned."""
    # Words may hold spaces, and a sentence may have brackets of its own.
    marks = [f"[{each['word']}]" for each in occurrences]
    befores, afters = [], []
    for each in occurrences:
        words = each["words"]
        befores.append("".join(f"{word} " for word in words[: each["position"]]))
        afters.append("".join(f" {word}" for word in words[each["position"] + 1 :]))
    context = max(_LEAST_CONTEXT, width - max(map(shown_width, marks)))
    left = min(max(map(shown_width, befores)), context // 2)
    # What the longest sentences do not need on the left or right, the other side gets.
    left = max(left, min(max(map(shown_width, befores)), context - max(map(shown_width, afters))))
    return [
        right_aligned(_last_words(before, left), left)
        + mark
        + _first_words(after, max(_LEAST_CONTEXT // 2, width - left - shown_width(mark)))
        for before, mark, after in zip(befores, marks, afters, strict=True)
    ]


def _last_words(text: str, width: int) -> str:
    cut = cut_start(text, width)
    _, space, words = cut.partition(" ")
    return cut if cut == text or not words else f"…{space}{words}"


def _first_words(text: str, width: int) -> str:
    cut = cut_end(text, width)
    words, space, _ = cut.rpartition(" ")
    return cut if cut == text or not words else f"{words}{space}…"
