"""Fonts that have the characters of a figure's words: matplotlib's own lacks many scripts."""

from __future__ import annotations

import contextlib
import functools
import unicodedata
import warnings
from collections.abc import Iterator
from typing import Any

from ..errors import MissingFontWarning, warn

_NO_TEXT_FONTS = ("Last Resort", "STIXNonUnicode", "cmex", "cmmi", "cmsy")
"""Fonts that draw a box for every character, or symbols in the places of letters."""

_SHARED_FONTS = {
    "Noto Sans CJK": ("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL", "IDEOGRAPHIC"),
    "Noto Sans": ("LATIN", "GREEK", "CYRILLIC"),
}


def choose_fonts(figure: Any) -> None:
    """Give each text of a figure the fonts that it needs beside its own, of those installed.

    Warns:
        MissingFontWarning: of characters that no installed font has, naming one to install.
    """
    from matplotlib.text import Text

    missing: set[str] = set()
    for text in figure.findobj(Text):
        own = text.get_fontfamily()
        lacking = set(text.get_text()) - _drawn_by(tuple(own)) - set("\n")
        if lacking:
            others, not_found = _fonts_for(lacking)
            text.set_fontfamily([*own, *others])
            missing |= not_found
    if missing:
        shown = "".join(sorted(missing)[:10])
        fonts = ", ".join(sorted({_font_with(character) for character in missing})[:3])
        warn(
            f"No installed font has {len(missing)} of the figure's characters ({shown}), which "
            f"are drawn as boxes. Install {fonts}, or draw a page (.html).",
            MissingFontWarning,
        )


@contextlib.contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Leave out those warnings of matplotlib that ``choose_fonts`` has given already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        yield


def _drawn_by(families: tuple[str, ...]) -> frozenset[str]:
    from matplotlib.font_manager import FontProperties, findfont

    files = [findfont(FontProperties(family=[name])) for name in families]
    return frozenset().union(*map(_characters, files))


def _fonts_for(lacking: set[str]) -> tuple[list[str], set[str]]:
    """Names of fonts that together have the characters, and the characters that none has."""
    from matplotlib.font_manager import fontManager

    chosen, missing = [], set(lacking)
    upright = [
        font
        for font in fontManager.ttflist
        if font.style == "normal"
        and font.variant == "normal"
        and not font.name.startswith(_NO_TEXT_FONTS)
    ]
    # Of one family, the regular weight stands for the others.
    for font in sorted(upright, key=lambda f: ("Noto Sans" not in f.name, _distance(f), f.name)):
        if not missing:
            break
        if found := missing & _characters(font.fname):
            chosen.append(font.name)
            missing -= found
    return list(dict.fromkeys(chosen)), missing


def _distance(font: Any) -> int:
    weight = font.weight if isinstance(font.weight, int) else 400
    return abs(weight - 400)


@functools.lru_cache(maxsize=256)
def _characters(file: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):  # it is gone, or none that FreeType can draw
        return frozenset()


def _font_with(character: str) -> str:
    """A font that has the character, as it is called where fonts are to be had."""
    script = unicodedata.name(character, "").partition(" ")[0]
    for font, scripts in _SHARED_FONTS.items():
        if script in scripts:
            return font
    if unicodedata.category(character).startswith("S"):
        return "Noto Emoji"
    return f"Noto Sans {script.title()}".rstrip()
