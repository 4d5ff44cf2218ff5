"""How wide the terminal is, how wide a text is on it, and texts cut to a width."""

from __future__ import annotations

import shutil
import unicodedata


def terminal_width() -> int:
    """The columns of the terminal, or what COLUMNS says; 80 if there is no terminal."""
    return shutil.get_terminal_size().columns


def shown_width(text: str) -> int:
    """The columns that a text takes: two for a Chinese character, none for a combining accent."""
    if text.isascii():
        return len(text)
    return sum(map(_columns, text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut_end(text: str, width: int) -> str:
    """The text, or its beginning and "…", so that it takes at most ``width`` columns."""
    if shown_width(text) <= width:
        return text
    kept, used = "", 1  # of the ellipsis
    for character in text:
        used += _columns(character)
        if used > width:
            break
        kept += character
    return kept.rstrip() + "…"


def cut_start(text: str, width: int) -> str:
    """The text, or "…" and its end, so that it takes at most ``width`` columns."""
    if shown_width(text) <= width:
        return text
    first, used = len(text), 1
    while used + _columns(text[first - 1]) <= width:
        first -= 1
        used += _columns(text[first])
    return "…" + text[first:].lstrip()


def left_aligned(text: str, width: int) -> str:
    """The text and spaces, ``width`` columns in all."""
    return text + " " * (width - shown_width(text))


def right_aligned(text: str, width: int) -> str:
    """Spaces and the text, ``width`` columns in all."""
    return " " * (width - shown_width(text)) + text
