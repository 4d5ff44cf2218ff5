"""Pictures of any text are well formed: as XML (.svg), or as HTML whose cells hold allowed text."""

import html.parser
import unicodedata
import warnings
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from elmo_jax import MissingFontWarning, explore
from elmo_jax.explore.drawing import printable

ODD = "".join(map(chr, [*range(32), *range(127, 160), 0xAD, 0x2028, 0xFDD0, 0xFFFE, 0xFFFF]))
ODD += "\ud800\udfff\U0001fffe\U0010ffff" + "<&>'\"$_^\\--]]>-"

words = st.text(st.one_of(st.sampled_from(ODD), st.characters()), min_size=1, max_size=12)


def heatmap_of(names):
    values = np.linspace(0, 1, len(names) ** 2, dtype=np.float32).reshape(len(names), -1)
    return explore.Heatmap(names, names, values)


@given(words)
@example(ODD)
def test_printable_text_is_text_of_xml(word):
    shown = printable(word)
    root = ElementTree.fromstring(
        f"<a>{shown.translate({38: '&amp;', 60: '&lt;', 62: '&gt;'})}</a>"
    )
    assert root.text == shown
    changed = {one for one, other in zip(word, shown, strict=True) if one != other}
    assert all(
        unicodedata.category(one) in ("Cc", "Cs") or one in "\ufffe\uffff" for one in changed
    )


class Cells(html.parser.HTMLParser):
    """The text of each cell that names a row or column, and its title."""

    def __init__(self, page):
        super().__init__()
        self.titles, self.names, self.in_name = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == "th":
            self.titles.append(dict(attributes)["title"])
            self.names.append("")
        self.in_name = self.in_name or tag == "th"

    def handle_endtag(self, tag):
        self.in_name = self.in_name and tag != "th"

    def handle_data(self, data):
        if self.in_name:
            self.names[-1] += data


@given(st.lists(words, min_size=1, max_size=3))
@example(list(ODD))
@settings(max_examples=40)
def test_a_page_of_a_heatmap_has_the_words_as_text(tmp_path_factory, names):
    path = tmp_path_factory.getbasetemp() / "heatmap.html"
    explore.write_heatmap(path, heatmap_of(names), title=names[0], overwrite=True)
    page = path.read_bytes().decode()
    assert printable(page) == page
    shown = [printable(name) for name in names] * 2
    assert Cells(page).titles == shown
    if max(map(len, names)) <= 24:  # longer ones have numbers
        assert Cells(page).names == shown


def svg_of(names, path):
    occurrences = [explore.Occurrence((name,), 0, 0, name) for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingFontWarning)
        explore.write_heatmap(path, heatmap_of(names), title=names[0], overwrite=True)
        yield path.read_bytes()
        vectors = np.ones((len(names), 1, 2), np.float32)
        explore.write_figure(path, names[0], occurrences, vectors, overwrite=True)
        yield path.read_bytes()


def test_a_figure_of_odd_characters_is_xml(tmp_path):
    pytest.importorskip("matplotlib")
    names = [ODD[i : i + 16] for i in range(0, len(ODD), 16)]  # few, for a heatmap has their square
    for content in svg_of(names, tmp_path / "odd.svg"):
        assert ElementTree.fromstring(content).tag.endswith("svg")


@pytest.mark.slow
@given(st.lists(words, min_size=1, max_size=3))
@settings(max_examples=30)
def test_a_figure_of_any_text_is_xml(tmp_path_factory, names):
    pytest.importorskip("matplotlib")
    for content in svg_of(names, tmp_path_factory.getbasetemp() / "any.svg"):
        assert ElementTree.fromstring(content).tag.endswith("svg")
