"""What `python -m benchmarks` writes: files of results, charts and tables."""

import argparse
import json

import pytest
from fake_peers import questioner

import benchmarks.__main__ as program
from benchmarks import limit, question, readme
from benchmarks.charts import roofline, scaling, throughput
from elmo_jax import ElmoError


@pytest.fixture
def ask(tmp_path, monkeypatch):
    return questioner(tmp_path, monkeypatch)


def test_a_result_is_named_for_its_question_model_and_device():
    assert question.result_name("memory", "original", "cpu") == "memory-cpu.json"
    assert question.result_name("memory", "a/small", "h100") == "memory-small-h100.json"
    assert question.result_name("precision", "mini", "cpu", "mini") == "precision-cpu.json"
    kinds = "NVIDIA H100 80GB HBM3", "NVIDIA H200", "NVIDIA L40S", "TPU v4"
    machines = [{"platform": "gpu", "device": kind} for kind in kinds]
    assert [*map(question.device_name, machines)] == ["h100", "h200", "l40s", "tpu-v4"]
    assert question.device_name({"platform": "cpu", "device": "cpu"}) == "cpu"


def test_a_run_that_is_cut_off_leaves_the_parts_that_it_had(ask, tmp_path, monkeypatch, capsys):
    def measure(args):
        yield {"first": 1}
        yield {"first": 1, "second": 2}
        raise ElmoError("the device went away")

    monkeypatch.setattr(limit, "measure", measure)
    monkeypatch.setattr(question, "RESULTS", tmp_path)
    code, found = ask("limit", "--save")
    assert code == 1 and (found["first"], found["second"]) == (1, 2)
    assert json.loads((tmp_path / "limit-tiny-cpu.json").read_text("utf-8")) == found


def test_a_saved_result_is_not_replaced_unasked(ask, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(question, "RESULTS", tmp_path)
    assert ask("memory", "--peers", "--save")[0] == 0
    written = (tmp_path / "memory-tiny-cpu.json").read_text("utf-8")
    assert json.loads(written)["card"]["machine"]["platform"] == "cpu"
    text = str(tmp_path / "text.txt")
    again = ["memory", "--save", "--peers", "--corpus", text, "--model", "tiny"]
    assert program.main(again) == 1
    assert "exists already" in capsys.readouterr().err


# Charts and tables


def spread(value):
    return {"median": value, "p10": 0.9 * value, "p90": 1.1 * value, "n": 3}


CARD = {
    "versions": {"python": "3"},
    "machine": {"device": "cpu", "platform": "cpu", "cores": 2, "processor": "A processor"},
    "date": "2000-01-01",
    "commit": None,
}
HEAD = {"card": CARD, "quick": False, "setting": {"model": "original", "tokens": 99}}
MADE_UP = {
    "throughput": {
        "question": "throughput",
        **HEAD,
        "limit": {"gflops": 5, "per_cent": 50},
        "matmul_gflops": {"before": spread(10), "after": spread(9)},
        "layers": [
            {
                "system": name,
                "tokens": 9,
                "tokens_per_second": spread(rate),
                "elmo_jax_times_faster": spread(100 / rate),
            }
            for name, rate in (("elmo-jax", 100), ("another", 20))
        ],
    },
    "scaling": {
        "question": "scaling",
        **HEAD,
        "matmul_gflops": spread(10),
        "gigabytes_per_second": spread(3),
        "lanes": [
            {"lanes": n, "tokens_per_second": 9.0 * n, "gflops": 1.0 * n, "flop_per_byte": n / 2}
            for n in (1, 2, 4)
        ],
    },
}


@pytest.fixture
def results(tmp_path):
    for name, summary in MADE_UP.items():
        (tmp_path / f"{name}-cpu.json").write_text(json.dumps(summary), "utf-8")
    (tmp_path / "other.json").write_text('{"tasks": 1}', "utf-8")
    return tmp_path


def test_charts_are_drawn_of_what_was_saved(results, capsys):
    pytest.importorskip("matplotlib")
    assert program.main(["charts", str(results)]) == 0
    for name in ("throughput", "scaling", "roofline"):
        png = (results / f"{name}-cpu.png").read_bytes()
        assert png.startswith(b"\x89PNG") and len(png) > 5000


def test_charts_show_the_numbers():
    figure = pytest.importorskip("matplotlib.figure").Figure
    bars, curves, roof, empty = figure(), figure(), figure(), figure()
    throughput(bars, MADE_UP["throughput"])
    widths = [bar.get_width() for bar in bars.axes[0].patches]
    assert widths == [20, 100], "the fastest on top"
    scaling(curves, MADE_UP["scaling"])
    bound, own = (line.get_ydata().tolist() for line in curves.axes[0].lines)
    assert own == [9, 18, 36]
    assert bound == [90, 90, 90], "tokens a second at the matmul rate"
    roofline(roof, MADE_UP["scaling"])
    limits, points = (line.get_ydata() for line in roof.axes[0].lines)
    assert max(limits) == 10 and list(points) == [1, 2, 4]
    roofline(empty, {**MADE_UP["scaling"], "lanes": []})
    assert not empty.axes


def test_no_results_are_an_error_that_says_what_to_do(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert program.main(["charts", str(tmp_path)]) == 1
    assert "throughput --save" in capsys.readouterr().err


def test_the_page_of_results_has_a_section_for_each_question(results, capsys):
    assert program.main(["tables", str(results), "--write"]) == 0
    page = (results / "README.md").read_text("utf-8")
    assert "| another | 9 | 20 (18 – 22) | 5 (4.5 – 5.5) |" in page
    assert page.count("Not measured yet.") == len(question.QUESTIONS) - len(MADE_UP)


def test_the_page_is_that_of_the_saved_results():
    page = (question.RESULTS / "README.md").read_text("utf-8")
    assert readme.run(argparse.Namespace(results=question.RESULTS, write=False))["page"] == page
