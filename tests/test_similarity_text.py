"""What `elmo-jax similarity` compares by default, and what it prints in terminals of any width."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import elmo_jax
from elmo_jax.cli import main, similarity
from elmo_jax.cli.similarity_text import similarity_text
from elmo_jax.cli.terminal import cut_end, cut_start, left_aligned, right_aligned, shown_width

WIDTH = 80


@pytest.fixture(autouse=True)
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDTH))


def compared(rows, columns=None):
    """A summary in which the cosine of two names is larger, the nearer they stand."""
    names = rows if columns is None else columns
    far = np.abs(np.subtract.outer(np.arange(len(rows)), np.arange(len(names))))
    values = np.round(1 - far / 1000, 4).tolist()
    words = columns is not None
    return {"words": words, "layer": 0, "rows": rows, "columns": names, "cosines": values}


def test_few_sentences_are_a_table_with_shortened_names():
    lines = similarity_text(compared([f"sentence {i} " + "long " * 30 for i in range(8)])).split(
        "\n"
    )
    assert lines[0] == "cosines, layer 0" and lines[1].split() == [f"[{i}]" for i in range(1, 9)]
    assert len(lines) == 10 and {len(line) for line in lines[1:]} == {WIDTH}
    assert lines[2].startswith("[1] sentence 0 long") and "…" in lines[2]
    assert lines[2].split("…")[1].split()[:3] == ["1.000", "0.999", "0.998"]


def test_short_sentences_stay_whole():
    text = similarity_text(compared(["a play", "the play"]))
    assert text.split("\n")[2] == "[1] a play    1.000  0.999"


@pytest.mark.parametrize("n", [9, 200])
def test_of_many_sentences_the_most_similar_pairs_are_listed(n):
    names = [f"sentence {i} " + "long " * 30 for i in range(n)]
    lines = similarity_text(compared(names)).split("\n")
    assert len(lines) == 1 + 2 * 20 + 1 and max(map(len, lines)) <= WIDTH
    assert (
        lines[1].split()[0] == "0.999" and "sentence 0 " in lines[1] and "sentence 1 " in lines[2]
    )
    assert f"of {n * (n - 1) // 2:,} pairs" in lines[-1]
    pairs = set(zip(lines[1:-1:2], lines[2:-1:2], strict=True))
    assert len(pairs) == 20, "each pair once"
    assert not any(first.split("]")[1] == second.split("]")[1] for first, second in pairs)


def test_words_stand_above_their_columns_if_they_fit_and_else_in_pairs():
    first, second = ["The", "bank", "lends"], ["She", "is", "extraordinarily", "rich"]
    lines = similarity_text(compared(first, second)).split("\n")
    assert lines[1].split() == second and max(map(len, lines)) <= WIDTH
    assert lines[1].index("rich") + len("rich") == len(lines[2])
    lines = similarity_text(compared(first, [f"word{i}" for i in range(40)])).split("\n")
    assert len(lines) == 22 and max(map(len, lines)) <= WIDTH
    assert lines[1] == " 1.000  [1] The     [1] word0" and "of 120 pairs" in lines[-1]


def test_wide_characters_take_two_columns():
    assert [shown_width(text) for text in ("play", "中文", "e\u0301", "ｆｕ")] == [4, 4, 1, 4]
    lines = similarity_text(compared(["中" * 50, "e\u0301" * 50])).split("\n")
    assert {shown_width(line) for line in lines[1:]} == {WIDTH}


@given(st.text(max_size=20), st.integers(1, 30))
def test_a_text_is_cut_to_its_width_and_not_more(text, width):
    for cut, align in ((cut_end, left_aligned), (cut_start, right_aligned)):
        short = cut(text, width)
        assert shown_width(short) <= width
        assert (short == text) is (shown_width(text) <= width) or text == "…"
        assert shown_width(align(short, width)) == width


class LayerElmo:
    """Stands in for an Elmo, and remembers which layer was asked for."""

    def __init__(self):
        self.layers = []

    def embed(self, sentences, layers):
        self.layers.append(layers)
        return [np.ones((len(words), 2), np.float32) for words in sentences]

    def embed_sentences(self, sentences, layers, pooling):
        self.layers.append(layers)
        return np.ones((len(sentences), 2), np.float32)


def test_sentences_are_compared_in_layer_0_and_words_in_layer_1_unless_layers_says_otherwise(
    monkeypatch, capsys
):
    elmo = LayerElmo()
    monkeypatch.setattr(similarity, "open_elmo", lambda args: elmo)
    for flags in ([], ["--words"], ["--layers", "top"], ["--words", "--layers", "0"]):
        assert main(["similarity", "a play", "the play", *flags]) == 0
    assert elmo.layers == [0, 1, "top", 0]
    printed = capsys.readouterr().out
    assert "cosines, layer 1\n" in printed and "cosines, layers: top\n" in printed
    elmo_jax.explore.sentence_similarity(elmo, [["a"], ["b"]])
    elmo_jax.explore.word_similarity(elmo, ["a"], ["b"])
    assert elmo.layers[-2:] == [0, 1]
