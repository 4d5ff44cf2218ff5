"""What `python -m benchmarks` writes: files of results, charts, and the page of tables."""

import argparse
import json

import pytest
from fake_peers import questioner

import benchmarks.__main__ as program
from benchmarks import charts, limit, question, tables
from elmo_jax import ElmoError


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.setattr(question, "RESULTS", tmp_path)
    return questioner(tmp_path, monkeypatch)


def test_a_result_is_named_for_its_question_model_and_device():
    assert question.result_name("memory", "original", "cpu") == "memory-cpu.json"
    assert question.result_name("memory", "a/small", "h100") == "memory-small-h100.json"
    assert question.result_name("precision", "mini", "cpu", "mini") == "precision-cpu.json"
    kinds = "NVIDIA H100 80GB HBM3", "NVIDIA H200", "NVIDIA L40S", "TPU v4"
    machines = [{"platform": "gpu", "device": kind} for kind in kinds]
    assert [*map(question.device_name, machines)] == ["h100", "h200", "l40s", "tpu-v4"]
    assert question.device_name({"platform": "cpu", "device": "cpu"}) == "cpu"


def test_a_run_that_is_cut_off_leaves_the_parts_that_it_had(ask, tmp_path, monkeypatch):
    def measure(args):
        yield {"first": 1}
        yield {"first": 1, "second": 2}
        raise ElmoError("the device went away")

    monkeypatch.setattr(limit, "measure", measure)
    code, result = ask("limit", "--save")
    assert code == 1 and (result["first"], result["second"]) == (1, 2)
    assert json.loads((tmp_path / "limit-tiny-cpu.json").read_text("utf-8")) == result


def test_a_saved_result_is_not_replaced_unasked(ask, tmp_path, capsys):
    assert ask("memory", "--peers", "--save")[0] == 0
    saved = json.loads((tmp_path / "memory-tiny-cpu.json").read_text("utf-8"))
    assert saved["card"]["machine"]["platform"] == "cpu"
    corpus = str(tmp_path / "text.txt")
    assert program.main(["memory", "--save", "--model", "tiny", "--corpus", corpus]) == 1
    assert "exists already" in capsys.readouterr().err


def test_charts_are_drawn_of_what_was_saved(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert program.main(["charts", "-o", str(tmp_path)]) == 0
    for name in ("throughput", "scaling", "roofline"):
        png = (tmp_path / f"{name}-cpu.png").read_bytes()
        assert png.startswith(b"\x89PNG") and len(png) > 5000
    assert program.main(["charts", str(tmp_path)]) == 1
    assert "throughput --save" in capsys.readouterr().err


def test_charts_show_the_numbers():
    figure = pytest.importorskip("matplotlib.figure").Figure
    bars, curves, roof, empty = figure(), figure(), figure(), figure()
    systems = json.loads((question.RESULTS / "throughput-cpu.json").read_text("utf-8"))["layers"]
    charts.throughput(bars, {"layers": systems})
    widths = [bar.get_width() for bar in bars.axes[0].patches]
    assert widths == sorted(row["tokens_per_second"]["median"] for row in systems)
    lanes = [
        {"lanes": n, "tokens_per_second": 9.0 * n, "gflops": 1.0 * n, "flop_per_byte": n / 2}
        for n in (1, 2, 4)
    ]
    rates = {"matmul_gflops": {"median": 10}, "gigabytes_per_second": {"median": 3}}
    charts.scaling(curves, {"lanes": lanes, **rates})
    bound, own = (line.get_ydata().tolist() for line in curves.axes[0].lines)
    assert own == [9, 18, 36]
    assert bound == [90, 90, 90], "tokens a second at the matmul rate"
    charts.roofline(roof, {"lanes": lanes, **rates})
    limits, points = (line.get_ydata() for line in roof.axes[0].lines)
    assert max(limits) == 10 and list(points) == [1, 2, 4]
    charts.roofline(empty, rates)
    assert not empty.axes


def test_the_page_of_results_is_that_of_the_saved_results(tmp_path, capsys):
    page = (question.RESULTS / "README.md").read_text("utf-8")
    assert tables.run(argparse.Namespace(results=question.RESULTS, write=False))["page"] == page
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == [
        *question.QUESTIONS
    ]
    assert program.main(["tables", str(tmp_path), "--write"]) == 0
    empty = (tmp_path / "README.md").read_text("utf-8")
    assert empty.count("Not measured yet.") == len(question.QUESTIONS)
