"""Figures of words in any script: an installed font that has them, or one warning."""

import warnings

import numpy as np
import pytest

from elmo_jax import MissingFontWarning, explore

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.font_manager import fontManager  # noqa: E402
from matplotlib.text import Text  # noqa: E402

from elmo_jax.explore import drawing  # noqa: E402

# Sundanese: few fonts have its letters, and hardly any machine has such a font.
RARE, RARER = "\u1b83\u1b84", "\u1b85"


@pytest.fixture
def font(tmp_path, monkeypatch):
    """An installed font that has the characters of RARE, and no others."""
    builder = pytest.importorskip("fontTools.fontBuilder").FontBuilder(1000, isTTF=True)
    pen = pytest.importorskip("fontTools.pens.ttGlyphPen").TTGlyphPen(None)
    for move, point in (("moveTo", (0, 0)), ("lineTo", (500, 0)), ("lineTo", (250, 700))):
        getattr(pen, move)(point)
    pen.closePath()
    names = [".notdef", "one", "two"]
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(dict(zip(map(ord, RARE), names[1:], strict=True)))
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Rare Sans", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    builder.save(tmp_path / "rare.ttf")
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))
    fontManager.addfont(tmp_path / "rare.ttf")
    return "Rare Sans"


def heatmap(*words):
    return explore.Heatmap(list(words), ["plain"], np.linspace(0, 1, len(words))[:, None])


def draw(path, *words):
    """The texts of a heatmap, by what they say."""
    texts = {}
    choose = drawing.choose_fonts

    def spy(figure):
        choose(figure)
        texts.update({text.get_text(): text for text in figure.findobj(Text)})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "choose_fonts", spy)
        explore.write_heatmap(path, heatmap(*words))
    return texts


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_words_are_drawn_with_an_installed_font_that_has_them(font, tmp_path, suffix):
    before = dict(matplotlib.rcParams)
    texts = draw(tmp_path / f"h.{suffix}", RARE, "plain")  # any warning is an error here
    assert texts[RARE].get_fontfamily()[-1] == font
    assert font not in texts["plain"].get_fontfamily(), "others stay as they are"
    assert dict(matplotlib.rcParams) == before


def test_characters_that_no_font_has_give_one_warning(font, tmp_path):
    with pytest.warns(MissingFontWarning) as warned:
        draw(tmp_path / "h.png", RARE, RARER, RARER * 2)
    assert len(warned) == 1 and warned[0].filename.endswith("test_explore_drawing.py")
    message = str(warned[0].message)
    assert f"1 of the figure's characters ({RARER})" in message
    assert "Install Noto Sans Sundanese" in message and ".html" in message
    assert (tmp_path / "h.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("word", "fonts"),
    [("\u4e2d", "CJK"), ("\ud55c", "CJK"), ("\u0939", "Devanagari"), ("\U0001fae0", "Emoji")],
)
def test_the_font_to_install_is_named(monkeypatch, tmp_path, word, fonts):
    own = [each for each in fontManager.ttflist if each.name.startswith("DejaVu")]
    monkeypatch.setattr(fontManager, "ttflist", own)
    matplotlib_figure = drawing.new_figure(1, 1)[0]
    matplotlib_figure.text(0, 0, word)
    with pytest.warns(MissingFontWarning, match=f"Noto (Sans )?{fonts}"):
        drawing.choose_fonts(matplotlib_figure)


def test_a_word_s_occurrences_are_drawn_too(font, tmp_path):
    occurrences = [explore.Occurrence((RARE, "a"), 0, i, label=RARE) for i in range(4)]
    vectors = np.random.default_rng(0).normal(size=(4, 2, 3))
    explore.write_figure(tmp_path / "f.png", RARE, occurrences, vectors)


def test_characters_that_cannot_be_drawn_need_no_warning(tmp_path):
    names = ["a\u200bb\u200d", "x\ty\u2028", "\ud800", "\x07", "\u2764\ufe0f"]
    texts = draw(tmp_path / "h.png", *names)
    assert {"ab", "x\ufffdy ", "\ufffd", "\u2764"} <= set(texts)


def test_a_lone_surrogate_can_be_written_into_a_page(tmp_path):
    explore.write_heatmap(tmp_path / "h.html", heatmap("a\ud800", "b"))
    assert "a\N{REPLACEMENT CHARACTER}" in (tmp_path / "h.html").read_text("utf-8")


@pytest.mark.parametrize("quiet", [True, False])
def test_the_command_says_it_unless_it_is_to_be_quiet(tmp_path, capsys, quiet):
    from types import SimpleNamespace

    from elmo_jax.cli import run_command

    module = SimpleNamespace(
        add_arguments=lambda parser: parser.add_argument("--quiet", action="store_true"),
        run=lambda args: explore.write_heatmap(tmp_path / "h.png", heatmap(RARER)) or {},
        text=lambda summary: "",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run_command("prog", "", module, ["--quiet"] if quiet else []) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line[:36] for line in lines] == ["prog: warning: No installed font has"] * (not quiet)
