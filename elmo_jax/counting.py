"""Counts as a person writes them: "1 sentence", "2,000 sentences"."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """A number with its noun, which takes an s in the plural."""
    return f"{n:,} {noun}" + "s" * (n != 1)
