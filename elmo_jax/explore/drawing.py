"""What all pictures share: colors of labels, names of layers, figures and their fonts.

matplotlib's own font lacks many scripts, so each text gets the installed fonts that it needs.
"""

from __future__ import annotations

import collections
import functools
import os
import re
import unicodedata
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import MissingFontWarning, optional_module, warn
from ..files import atomic_file

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")

# The palette of Okabe & Ito, which people with any color vision can tell apart. Its yellow and its
# black are left out: they vanish on white and on black.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GRAY = "#8a8f98"
NO_LABEL = "no label"


def colors_of(labels: Iterable[str | None]) -> dict[str | None, str]:
    """A color for each label, most frequent labels first. Labels beyond the palette are gray."""
    counts = collections.Counter(labels)
    if set(counts) == {None}:
        return {None: PALETTE[0]}
    labels_by_count = sorted(counts.keys() - {None}, key=lambda label: (-counts[label], label))
    colors: dict[str | None, str] = dict(zip(labels_by_count, PALETTE, strict=False))
    others = [*labels_by_count[len(PALETTE) :], *(counts.keys() & {None})]
    return colors | dict.fromkeys(others, GRAY)


def layer_name(layer: int, n_layers: int) -> str:
    """The name of a layer in titles."""
    if layer == 0:
        return "token layer"
    return f"biLM layer {layer}" + (" (top)" if layer == n_layers - 1 else "")


def new_figure(width: float, height: float, **subplots: Any) -> tuple[Any, Any]:
    """An empty figure, which opens no window, and its axes; raises ElmoError without matplotlib."""
    module = optional_module("matplotlib.figure", "a figure (but not a page)", "plots")
    figure = module.Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(**subplots)


def save_figure(path: str | os.PathLike[str], figure: Any, *, overwrite: bool) -> None:
    """Write a figure, in the format of the suffix."""
    target = Path(path)
    choose_fonts(figure)
    with atomic_file(target, overwrite=overwrite) as temporary, warnings.catch_warnings():
        # choose_fonts has given this warning already.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        figure.savefig(temporary, format=target.suffix[1:].lower(), dpi=200)


_not_xml = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").sub


def printable(text: str) -> str:
    """A text with � for what XML 1.0 and HTML do not allow: control characters, half characters.

    A carriage return becomes a space: parsers would read it as a line feed.
    """
    return _not_xml("\ufffd", text).replace("\r", " ")


def plain(text: str) -> str:
    """A text for matplotlib, without characters that cannot be drawn.

    Dollar signs are escaped: matplotlib reads what stands between two of them as mathematics.
    """
    return "".join(map(_drawable, text)).replace("$", r"\$")


def _drawable(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Cf" or "\ufe00" <= character <= "\ufe0f":  # joiners, and variants of emoji
        return ""
    if kind.startswith("Z"):
        return " "
    return "\ufffd" if kind in ("Cc", "Cs", "Cn", "Co") else character


# Fonts that draw a box for every character, or symbols in the place of letters.
_SYMBOL_FONTS = ("Last Resort", "STIXNonUnicode", "cmex", "cmmi", "cmsy")

_SHARED_FONTS = {
    "Noto Sans CJK": ("CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL", "IDEOGRAPHIC"),
    "Noto Sans": ("LATIN", "GREEK", "CYRILLIC"),
}


def choose_fonts(figure: Any) -> None:
    """Give each text of a figure the installed fonts that it needs beside its own.

    Warns of characters that no installed font has, and names a font to install.
    """
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.text import Text

    missing: set[str] = set()
    for text in figure.findobj(Text):
        own_fonts = text.get_fontfamily()
        files = [findfont(FontProperties(family=[name])) for name in own_fonts]
        lacking = set(text.get_text()).difference("\n", *map(_characters_of_file, files))
        if lacking:
            other_fonts, still_lacking = _fonts_for(lacking)
            text.set_fontfamily([*own_fonts, *other_fonts])
            missing |= still_lacking
    if missing:
        shown = "".join(sorted(missing)[:10])
        fonts = ", ".join(sorted({_font_with(character) for character in missing})[:3])
        warn(
            f"No installed font has {len(missing)} of the figure's characters ({shown}), which "
            f"are drawn as boxes. Install {fonts}, or draw a page (.html).",
            MissingFontWarning,
        )


def _fonts_for(lacking: set[str]) -> tuple[list[str], set[str]]:
    """Names of fonts that together have the characters, and the characters that no font has."""
    from matplotlib.font_manager import fontManager

    names, missing = [], set(lacking)
    for font in sorted(fontManager.ttflist, key=_rank):
        is_upright = font.style == font.variant == "normal"
        if not missing or not is_upright or font.name.startswith(_SYMBOL_FONTS):
            continue
        if drawn := missing & _characters_of_file(font.fname):
            names.append(font.name)
            missing -= drawn
    return list(dict.fromkeys(names)), missing


def _rank(font: Any) -> tuple[bool, int, str]:
    # Noto Sans first, since it has the most scripts; then fonts near the regular weight, 400.
    weight = font.weight if isinstance(font.weight, int) else 400
    return "Noto Sans" not in font.name, abs(weight - 400), font.name


@functools.lru_cache(maxsize=256)
def _characters_of_file(file: str) -> frozenset[str]:
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError):  # the file is gone, or FreeType cannot read it
        return frozenset()


def _font_with(character: str) -> str:
    """The name of a font that has the character, as it is listed for download."""
    script = unicodedata.name(character, "").partition(" ")[0]
    for font, scripts in _SHARED_FONTS.items():
        if script in scripts:
            return font
    if unicodedata.category(character).startswith("S"):
        return "Noto Emoji"
    return f"Noto Sans {script.title()}".rstrip()
