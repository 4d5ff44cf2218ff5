"""`python -m benchmarks NAME`, with peers that only pretend, and a tiny model."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import benchmarks.__main__ as program
from benchmarks import (
    accelerator,
    accelerator_parts,
    accelerator_peers,
    corpus,
    corpus_run,
    limits,
    memory,
    precision,
    question,
    readme,
    registry,
    startup,
    synthetic,
    systems,
    training_speed,
)
from benchmarks.figures import roofline, scaling, throughput
from elmo_jax import ElmoError


class FakePeer:
    """Gives equal vectors for equal words in no time at all, and says how long it took."""

    asked: ClassVar[list] = []  # (peer, command, arguments) of all
    error: ClassVar[dict] = {}  # peer -> what its vectors are off by

    def __init__(self, name):
        self.name = name
        self.environment = os.environ.get("JAX_COMPILATION_CACHE_DIR")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def ask(self, command, **arguments):
        self.asked.append((self.name, command, {**arguments, "cache": self.environment}))
        return getattr(self, command)(**arguments)

    def open(self, **source):
        source.pop("settings", None)
        assert all(Path(path).exists() for path in source.values())
        return {"seconds": 0.5, "import_seconds": 0.25, "versions": {"python": "3"}}

    def embed(self, sentences, output, batch_size=None, order="given", repeats=1):
        n_tokens = len(Path(sentences).read_text("utf-8").split())
        seconds = n_tokens / (1000 if self.name == "elmo-jax" else 100)
        return {"seconds": [seconds] * repeats, "n_tokens": n_tokens, "n_sentences": 1}

    def vectors(self, sentences, output):
        lines = Path(sentences).read_text("utf-8").splitlines()
        off = self.error.get(self.name, 0)
        found = [np.full((3, len(line.split()), 4), off, np.float32) for line in lines]
        np.savez(output, **{str(i): array for i, array in enumerate(found)})
        return {}

    def train(self, n_steps):
        return {"seconds": n_steps / 10, "losses": [3.0 - i for i in range(n_steps)]}

    def memory(self):
        return {"peak_bytes": 10**8 if self.name == "elmo-jax" else 3 * 10**8}


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Run a question on a text of its own with fake peers; gives its exit code and summary."""
    for module in (systems, startup, memory):
        monkeypatch.setattr(module, "open_peer", FakePeer)
    monkeypatch.setattr(FakePeer, "asked", [])
    monkeypatch.setattr(FakePeer, "error", {})
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path / "cache"))
    text, output = tmp_path / "text.txt", tmp_path / "out.json"
    lines = [" ".join(f"word{i % 7}" for i in range(1 + n % 9)) for n in range(300)]
    text.write_text("\n".join(lines), "utf-8")

    def run(name, *arguments):
        common = ["--quick", "--model", "tiny", "--corpus", text, "--output", output, "--overwrite"]
        code = program.main([name, *map(str, [*common, *arguments])])
        return code, json.loads(output.read_text("utf-8")) if output.exists() else None

    return run


def test_throughput_compares_all_systems_round_by_round(ask, capsys):
    code, found = ask("throughput", "--rounds", "2", "--peer-tokens", "120")
    assert code == 0
    rows = {row["system"]: row for row in found["layers"]}
    assert list(rows) == [system.label for system in systems.SYSTEMS]
    assert rows["elmo-jax"]["tokens_per_second"]["median"] == 1000
    assert found["versions"]["allennlp"] == {"python": "3"}
    for label, row in rows.items():
        if label != "elmo-jax":
            assert row["elmo_jax_times_faster"]["median"] == pytest.approx(10)
            assert row["tokens"] <= rows["elmo-jax"]["tokens"], "a part of the same sentences"
    assert [row["system"] for row in found["sentences"]] == ["elmo-jax", "MiniLM-L6"]
    per_second = found["work"]["gflop"] / (found["work"]["tokens"] / 1000)
    assert found["limit"]["gflops"] == pytest.approx(per_second, abs=0.01)
    *_, last = capsys.readouterr().out.strip().splitlines()
    assert json.loads(last) == found, "the last line is the summary"


def test_elmo_jax_is_opened_anew_before_each_of_its_runs(ask):
    ask("throughput", "--rounds", "2", "--peers", "allennlp")
    commands = [command for name, command, _ in FakePeer.asked if name == "elmo-jax"]
    assert commands == ["open", "vectors"] + 3 * ["open", "embed"]
    settings = {(a["batch_size"], a["order"]) for n, c, a in FakePeer.asked if c == "embed"}
    assert settings == {(None, "given"), (32, "given"), (64, "sorted"), (128, "sorted")}


@pytest.mark.parametrize("name", ["throughput", "latency", "startup", "memory"])
def test_a_peer_with_other_vectors_stops_a_question_before_anything_is_timed(ask, name, capsys):
    FakePeer.error["allennlp"] = 1e-3
    assert ask(name, "--peers", "allennlp") == (1, None)
    assert "allennlp does not compute the same" in capsys.readouterr().err
    assert "embed" not in [command for _, command, _ in FakePeer.asked]


def test_unknown_peers_are_named(ask, capsys):
    assert ask("latency", "--peers", "gensim")[0] == 1
    assert "Unknown peers gensim: expected some of allennlp" in capsys.readouterr().err


def test_latency_takes_another_sentence_each_call_and_the_compiled_function_too(ask, make_model):
    folder, _ = make_model(n_layers=1, filters=((1, 4),), projection_dim=4, dim=4)
    choices = ["--lengths", "2", "--calls", "2", "--model", folder]
    code, found = ask("latency", "--peers", "allennlp", *choices)
    assert code == 0
    systems_ = [row["system"] for row in found["rows"]]
    assert systems_[:2] == ["elmo-jax", "AllenNLP"] and len(systems_) == 4
    assert found["rows"][1]["times_elmo_jax"]["median"] == pytest.approx(10)
    read = [a["sentences"].name for n, c, a in FakePeer.asked if c == "embed" and n == "allennlp"]
    assert len(set(read)) == 5, "three warm-ups and two calls"


def test_startup_starts_processes_with_an_empty_and_with_a_filled_cache(ask, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    code, found = ask("startup", "--rounds", "2")
    assert code == 0
    assert [row["system"] for row in found["rows"]] == [startup.COLD, startup.WARM, "AllenNLP"]
    assert found["rows"][0]["parts"]["import"]["median"] == 0.25
    starts = [(n, a) for n, c, a in FakePeer.asked if c == "embed"]
    caches = [a["cache"] for n, a in starts if n == "elmo-jax"]
    filled = caches[0]
    assert caches[2::2] == [filled] * 2, "after the run that filled it"
    assert len({*caches[1::2], filled}) == 3, "an empty one is nobody else's"
    assert {a["cache"] for n, a in starts if n == "allennlp"} == {None}
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    opened = [a for n, c, a in FakePeer.asked if c == "open" and n == "elmo-jax"]
    assert "folder" in opened[-1], "its own format"


def test_memory_is_that_of_a_fresh_process_each(ask):
    code, found = ask("memory", "--peers", "simple_elmo")
    assert code == 0
    assert [row["peak_bytes"] for row in found["rows"]] == [10**8, 3 * 10**8]
    assert found["vector_bytes"] == found["setting"]["tokens"] * 3 * 64 * 4


def test_lanes_and_profile_run_the_engine_itself(ask, make_model):
    folder, _ = make_model(n_layers=1, filters=((1, 4),), projection_dim=4, dim=4)
    code, found = ask("scaling", "--part", "lanes", "--model", folder)
    assert code == 0
    assert [row["lanes"] for row in found["lanes"]] == [1, 4]
    code, found = ask("profile", "--model", folder, "--tokens", "20")
    assert code == 0
    assert all(row["calls"] for row in found["functions"])
    assert {row["what"] for row in found["pieces"]} == {"products", "elementwise", "gather"}


def test_the_error_of_a_lower_precision_is_measured_in_layers_and_results(ask, make_model, capsys):
    folder, _ = make_model(n_layers=1, filters=((1, 4),), projection_dim=4, dim=4)
    code, found = ask("precision", "--model", folder, "--tokens", "60", "--no-sts")
    assert code == 0
    assert list(found["precisions"]) == ["bfloat16"], "a CPU has no TF32"
    layers = found["precisions"]["bfloat16"]["layers"]
    assert len(layers) == 2 and all(1e-5 < row["relative_error"] < 0.05 for row in layers)
    assert found["precisions"]["bfloat16"]["sentences"]["rank_correlation"] > 0.9
    assert '"tf32" computes the same as "float32"' in capsys.readouterr().out


def test_errors_of_layers_and_of_neighbours_are_what_a_hand_computes():
    exact = [np.array([[[3.0, 4.0]], [[1.0, 0.0]]]), np.array([[[0.0, 5.0]], [[0.0, 1.0]]])]
    found = [exact[0] + np.array([[[0.0, 0.5]], [[0.0, 0.0]]]), exact[1]]
    rows = precision.compare_layers(found, exact)
    assert rows[0]["relative_error"] == pytest.approx(0.5 / 50**0.5, rel=1e-3)
    assert rows[0]["largest_difference"] == 0.5
    assert rows[1] == {key: 0 for key in rows[1]}
    places = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    same = precision.compare_sentences(places, places)
    assert same == {"same_neighbour": 1, "rank_correlation": 1}
    moved = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.19], [0.1, 1.0]])
    # The second is now nearest to the third, the third to the second; the others are as before.
    assert precision.compare_sentences(moved, places)["same_neighbour"] == 0.5


class FakeTraining:
    """Takes 100 tokens a step, ten times as fast as the peer; its losses fall as they are told."""

    losses: ClassVar[list] = []
    tokens_per_step, window = 100, 20

    def __init__(self, config, settings, text, vocabulary):
        assert {"word0", "word6"} <= set(vocabulary.words) & set(text.read_text("utf-8").split())

    def run(self, n_steps):
        return n_steps / 100, [self.losses.pop(0) for _ in range(n_steps)]

    def host_seconds(self, n_steps):
        return n_steps / 500

    device_seconds = host_seconds


@pytest.fixture
def trainings(monkeypatch):
    monkeypatch.setattr(training_speed, "OwnTraining", FakeTraining)
    monkeypatch.setattr(training_speed, "open_peer", lambda name, **_: FakePeer(name))
    monkeypatch.setattr(FakeTraining, "losses", [5 - i / 100 for i in range(100)])


def test_training_is_compared_round_by_round_with_a_trainer(ask, trainings, capsys):
    code, found = ask("training", "--rounds", "2", "--precision", "bfloat16")
    assert code == 0
    (batch,) = found["batches"]
    own, peer = batch["systems"]
    assert own["tokens_per_second"]["median"] == 10_000
    assert peer["elmo_jax_times_faster"]["median"] == pytest.approx(10)
    assert batch["host_tokens_per_second"] == 50_000
    assert own["losses"]["first"] > own["losses"]["last"]
    (opened,) = [a for _, c, a in FakePeer.asked if c == "open"]
    assert opened["settings"]["precision"] == "bfloat16"
    assert "| elmo-jax, 5 rows | 10,000" in capsys.readouterr().out


def test_a_trainer_whose_loss_does_not_fall_is_no_trainer(ask, trainings, monkeypatch, capsys):
    monkeypatch.setattr(FakeTraining, "losses", [5.0] * 100)
    assert ask("training", "--peers")[0] == 1
    assert "elmo-jax does not learn" in capsys.readouterr().err


def test_a_made_up_text_is_always_the_same_and_its_words_all_differ(tmp_path):
    texts = [synthetic.write_text(tmp_path / name, 500, 900).read_text("utf-8") for name in "ab"]
    assert texts[0] == texts[1]
    sentences = [line.split() for line in texts[0].splitlines()]
    assert 500 <= corpus.count_tokens(sentences) < 600 and all(sentences)
    spelled = [synthetic.spell(rank) for rank in range(20_000)]
    assert len(set(spelled)) == 20_000
    assert len(spelled[0]) < len(spelled[-1]) < 10


class FakeElmo:
    """Vectors of ones, off by what its precision is told to be off by."""

    off: ClassVar[dict] = {}

    def __init__(self, job, precision=None):
        self.value = 1 + self.off.get(precision or job.args.precision, 0)

    def stream(self, sentences, dtype="float32"):
        return (np.full((3, len(words), 4), self.value, dtype) for words in sentences)

    def embed(self, sentences):
        return list(self.stream(sentences))

    def embed_sentences(self, sentences):
        return np.full((len(sentences), 4), self.value)


@pytest.fixture
def accelerated(monkeypatch):
    fake = lambda job, precision=None: FakeElmo(job, precision)  # noqa: E731 - becomes a method
    monkeypatch.setattr(accelerator_parts.Job, "elmo", fake)
    monkeypatch.setattr(accelerator_peers, "open_peer", lambda name, **_: FakePeer(name))
    monkeypatch.setattr(FakeElmo, "off", {})
    FakePeer.error |= {"torch_lstm": 1, "allennlp": 2}


def test_an_accelerator_is_measured_in_one_run(ask, accelerated, capsys):
    parts = ["limit", "error", "sentences", "layers", "busy", "peers"]
    code, found = ask("accelerator", "--rounds", "2", "--tokens", "3000", "--part", *parts)
    assert code == 0
    assert set(parts) <= set(found) and found["left_out"] == []
    assert found["setting"]["text_copies"] == 3, "a text that is too short is read again"
    assert found["error"]["bfloat16"][0]["relative_error"] == 0
    assert found["sentences"]["tokens"] == found["setting"]["tokens"] >= 3000
    *measured, failed, failed_again = found["peers"]
    assert [row["output"] for row in measured] == ["sentences", "layers"] * 4
    assert {row["tokens_per_second"]["median"] for row in measured} == {100}
    assert failed["peer"] == "AllenNLP, float32" and "does not compute the same" in failed["error"]
    assert failed_again["peer"] == "AllenNLP, TF32"
    assert "AllenNLP, TF32: " in capsys.readouterr().out


def test_a_precision_that_is_broken_is_not_timed(ask, accelerated, monkeypatch, capsys):
    monkeypatch.setattr(FakeElmo, "off", {"bfloat16": 0.1})
    code, found = ask("accelerator", "--part", "error", "sentences")
    assert (code, found) == (1, None)
    assert "bfloat16 does not compute the same as float32" in capsys.readouterr().err


def test_nothing_begins_after_the_time_is_over(ask, accelerated, capsys):
    code, found = ask("accelerator", "--budget", "-1", "--peers")
    assert code == 0
    assert found["left_out"] == list(accelerator.PARTS)
    assert "Left out, for the time was over: limit, error" in capsys.readouterr().out


def test_steps_are_run_in_the_precision_that_was_asked_for(ask, monkeypatch):
    asked = []
    monkeypatch.setattr(
        accelerator_parts, "engine_step", lambda *choices: asked.append(choices[2:]) or (lambda: 1)
    )
    code, found = ask("accelerator", "--part", "steps")
    assert code == 0 and asked == [(1, 4, "bfloat16"), (4, 4, "bfloat16")]
    assert [(row["lanes"], row["length"]) for row in found["steps"]] == [(1, 4), (4, 4)]


@pytest.mark.slow
def test_sentence_lengths_and_corpus_sizes_are_measured(ask):
    code, found = ask("scaling", "--part", "length", "corpus")
    assert code == 0
    assert [row["length"] for row in found["length"]] == [1, 10]
    assert [row["corpus"] for row in found["corpus"]] == [100, 1000]


@pytest.mark.slow
def test_a_batch_sharded_over_fake_devices_is_the_same(ask):
    code, found = ask("scaling", "--part", "devices")
    assert code == 0 and found["devices"]["devices"] == 4


FAKE_COMMAND = """
import json, pathlib, sys
text, output = sys.argv[2], pathlib.Path(sys.argv[4])
lines = open(text, encoding="utf-8").read().splitlines()
output.write_bytes(b"x" * 1000)
print(json.dumps({"sentences": len(lines), "tokens": sum(len(line.split()) for line in lines),
    "parts": 1, "bytes": 1000, "seconds": 0.5, "tokens_per_second": 100.0}))
"""


def test_a_corpus_is_embedded_by_the_command_in_growing_parts(ask, monkeypatch, capsys):
    monkeypatch.setattr(corpus_run, "COMMAND", [sys.executable, "-c", FAKE_COMMAND])
    code, found = ask("corpus", "--tokens", "800")
    assert code == 0
    tokens = [row["tokens"] for row in found["rows"]]
    for n, least in zip(tokens, (100, 200, 400, 800), strict=True):
        assert least <= n < least + 10, "no more lines than are needed"
    assert "| tokens | parts |" in capsys.readouterr().out
    assert ask("corpus", "--tokens", "100000")[0] == 1
    assert "too few" in capsys.readouterr().err


# The command line around them


def test_every_question_and_command_has_help(capsys):
    for name in {**registry.QUESTIONS, **registry.COMMANDS}:
        with pytest.raises(SystemExit) as exit_:
            program.main([name, "--help"])
        assert exit_.value.code == 0
        assert f"python -m benchmarks {name}" in capsys.readouterr().out
    assert program.main(["nothing"]) == 2
    assert "throughput" in capsys.readouterr().err


def test_all_asks_every_question_in_a_process_of_its_own(monkeypatch, capsys):
    commands = []

    def run(command, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, int("memory" in command))

    monkeypatch.setattr(program.subprocess, "run", run)
    assert program.main(["all", "--quick", "--peers", "allennlp"]) == 1
    assert [c[:3] for c in commands] == [[sys.executable, "-m", "benchmarks"]] * len(
        registry.QUESTIONS
    )
    assert [c[3] for c in commands] == list(registry.QUESTIONS)
    peers = ["--quick", "--peers", "allennlp"]
    assert {tuple(c[4:]) for c in commands if c[3] in registry.WITH_PEERS} == {tuple(peers)}
    assert {tuple(c[4:]) for c in commands if c[3] not in registry.WITH_PEERS} == {("--quick",)}
    assert "no answer to memory" in capsys.readouterr().err


def test_a_result_is_named_for_its_question_model_and_device():
    assert question.result_name("memory", "original", "cpu") == "memory-cpu.json"
    assert question.result_name("memory", "a/small", "h100") == "memory-small-h100.json"
    assert question.result_name("precision", "mini", "cpu", "mini") == "precision-cpu.json"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA L40S", "l40s"),
        ("TPU v4", "tpu-v4"),
    ],
)
def test_a_device_is_named_by_its_model(kind, name):
    assert question.device_name({"platform": "gpu", "device": kind}) == name
    assert question.device_name({"platform": "cpu", "device": "cpu"}) == "cpu"


def test_a_run_that_is_cut_off_leaves_the_parts_that_it_had(ask, tmp_path, monkeypatch, capsys):
    def measure(args):
        yield {"first": 1}
        yield {"first": 1, "second": 2}
        raise ElmoError("the device went away")

    monkeypatch.setattr(limits, "measure", measure)
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
    pytest.importorskip("matplotlib").use("Agg")
    bars = throughput(MADE_UP["throughput"]).axes[0]
    assert [bar.get_width() for bar in bars.patches] == [20, 100], "the fastest on top"
    lanes = scaling(MADE_UP["scaling"]).axes[0]
    limit, own = (line.get_ydata().tolist() for line in lanes.lines)
    assert own == [9, 18, 36]
    assert limit == [90, 90, 90], "tokens a second at the matmul rate"
    roof, points = roofline(MADE_UP["scaling"]).axes[0].lines
    assert max(roof.get_ydata()) == 10
    assert points.get_ydata().tolist() == [1, 2, 4]
    assert roofline({**MADE_UP["scaling"], "lanes": []}) is None


def test_no_results_are_an_error_that_says_what_to_do(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert program.main(["charts", str(tmp_path)]) == 1
    assert "throughput --save" in capsys.readouterr().err


def test_tables_go_into_their_places_in_the_readme(results, capsys):
    file = results / "README.md"
    file.write_text(readme.README.read_text("utf-8"), "utf-8")
    assert program.main(["tables", str(results), "--write", "--readme", str(file)]) == 0
    content = file.read_text("utf-8")
    assert "| another | 9 | 20 (18 – 22) | 5 (4.5 – 5.5) |" in content
    assert content.count(readme._NOTHING) == len(registry.QUESTIONS) - len(MADE_UP)
    before, after = (text.split("## Tables")[0] for text in (readme.README.read_text(), content))
    assert before == after
    file.write_text("no place", "utf-8")
    with pytest.raises(
        ElmoError, match="no place for the tables of accelerator, corpus, latency, limit"
    ):
        readme._write(file, dict.fromkeys(registry.QUESTIONS, ""))
