"""The measures of the other tests are measured too."""

import json
from pathlib import Path

import pytest
from damage import damaged, flipped
from tally import Tally

from benchmarks import attacks


def test_damage_changes_the_content_and_is_the_same_every_time():
    content = bytes(range(256)) * 8
    copies = list(damaged(content, 200, seed=1))
    assert len(copies) > 190 and all(copy != content for _, copy in copies)
    assert copies == list(damaged(content, 200, seed=1))
    kinds = {what.split()[0] for what, _ in copies}
    assert kinds == {"bit", "cut", "zeros", "noise", "lost", "doubled", "longer"}


def test_a_flipped_bit_is_one_bit():
    assert flipped(b"\x00\x00", 1, bit=3) == b"\x00\x08"


def test_a_tally_counts_and_fails_for_what_is_wrong(tmp_path, monkeypatch, request):
    monkeypatch.setenv("ELMO_JAX_TALLIES", str(tmp_path / "tallies.jsonl"))
    with pytest.raises(AssertionError, match="one of them"), Tally("attacks") as tally:
        tally.right()
        tally.refused()
        tally.wrong("one of them")
    test = f"tests/{Path(__file__).name}::{request.node.name}"
    counts = {"kind": "attacks", "test": test, "tried": 3, "right": 1, "refused": 1, "wrong": 1}
    assert json.loads((tmp_path / "tallies.jsonl").read_text("utf-8")) == counts


def test_tallies_of_one_kind_are_summed_over_the_tests_of_a_file():
    names = ("tried", "right", "refused", "wrong")
    tallies = [
        {"kind": "kills", "test": "tests/test_b.py::test_x", **dict.fromkeys(names, 5)},
        {"kind": "flips", "test": "tests/test_a.py::test_y[h5-1]", **dict.fromkeys(names, 2)},
        {"kind": "flips", "test": "tests/test_a.py::test_z", **dict.fromkeys(names, 1)},
    ]
    flips, kills = attacks.summed(tallies)
    assert flips == {"kind": "flips", "file": "test_a.py", **dict.fromkeys(names, 3)}
    assert kills == {"kind": "kills", "file": "test_b.py", **dict.fromkeys(names, 5)}


PAGE = Path(__file__).resolve().parents[1] / "docs" / "guide" / "tested.md"


def saved(name):
    result = json.loads((Path(attacks.__file__).with_name("results") / name).read_text("utf-8"))
    assert not result["quick"] and not any(attack["wrong"] for attack in result["attacks"])
    return result


def test_the_page_shows_the_saved_counts_and_none_is_wrong():
    result, page = saved("attacks.json"), PAGE.read_text("utf-8")
    assert attacks.text(result) in page and attacks.text(saved("attacks-processes.json")) in page
    totals = [
        sum(attack[name] for attack in result["attacks"]) for name in ("tried", "right", "refused")
    ]
    tried, right, refused = (f"{total:,}" for total in totals)
    assert f"In all {tried} attacks: {right} right, {refused} refused, none wrong." in page


def test_a_tally_of_nothing_fails():
    with pytest.raises(AssertionError, match="nothing was tried"), Tally("attacks"):
        pass
