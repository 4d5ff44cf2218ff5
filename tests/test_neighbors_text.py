"""What `elmo-jax neighbors` prints: where each sentence stands, and as much of it as fits."""

import pytest
from test_explore import SpellingElmo

from elmo_jax.cli import main, neighbors
from elmo_jax.cli.terminal import shown_width

WIDTH = 72
LONG = "so " * 30 + "long"


@pytest.fixture
def listed(tmp_path, monkeypatch, capsys):
    """The lines that the command prints for the word "play" in texts."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setattr(neighbors, "open_elmo", lambda args: SpellingElmo())
    monkeypatch.chdir(tmp_path)

    def lines(texts, *arguments):
        for name, text in texts.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        assert main(["neighbors", "play", *texts, *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    return lines


def test_each_neighbor_has_its_line_and_the_words_stand_below_each_other(listed):
    text = (
        f"the play began\n\nthey play\n{LONG} the play {LONG}\n" + "no\n" * 200 + "all play now\n"
    )
    query, layer, *ranking = listed({"a.txt": text})
    assert query == "the [play] began  (line 1)" and layer == "  biLM layer 1 (top):"
    assert sorted(line.split()[1:3] for line in ranking) == [["line", n] for n in ("205", "3", "4")]
    assert len({line.index("[play]") for line in ranking}) == 1
    assert max(map(len, ranking)) <= WIDTH
    assert ranking[0].endswith(" so …") and ranking[0].split()[:3] == ["1.000", "line", "4"]
    assert " the [play] so so" in ranking[0] and "  … so " in ranking[0], "whole words"


def test_of_several_files_each_is_named(listed):
    texts = {"a.txt": "a play\nno\nthe play\n", "b.txt": "no\nthe play\n"}
    query, _, *ranking = listed(texts, "--occurrence", "2")
    assert query == "the [play]  (a.txt:3)"
    # Equal sentences count once: the one of b.txt is a copy of the query's.
    assert [line.split()[1] for line in ranking] == ["a.txt:1"]
    query, _, *ranking = listed(texts, "--sentence", "they play")
    assert query == "they [play]"
    assert sorted(line.split()[1] for line in ranking) == ["a.txt:1", "a.txt:3"]


def test_all_layers_have_headings_and_no_occurrence_is_said(listed):
    lines = listed({"a.txt": "a play\n"}, "--layers", "all")
    assert lines == [
        "a [play]  (line 1)",
        "  token layer:",
        "    no other occurrence",
        "  biLM layer 1 (top):",
        "    no other occurrence",
    ]


def test_a_word_in_brackets_before_the_word_itself_is_not_mistaken_for_it(listed):
    query, *_ = listed({"a.txt": "a [play] is a play\n"})
    assert query == "a [play] is a [play]  (line 1)"


@pytest.mark.parametrize("width", [1, 30, 200])
def test_any_width_and_any_script_is_served(listed, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    query, _, *ranking = listed({"a.txt": f"the play\n{'中文 ' * 60}play {'中文 ' * 60}\n"})
    assert "[play]" in query and "[play]" in ranking[0]
    assert shown_width(ranking[0]) <= max(width, 60)
