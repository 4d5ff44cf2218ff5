"""`python -m benchmarks NAME`: every question, quickly, with fake peers and a tiny model."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import benchmarks.__main__ as program
import elmo_jax
from benchmarks import (
    absent,
    accelerator,
    calls,
    card,
    compiled,
    corpus,
    limit,
    manylangs,
    memory,
    question,
    startup,
    systems,
    training,
)
from elmo_jax import ElmoError

RESULTS = question.RESULTS


class FakePeer:
    """Gives the same number for every word, and a made-up time."""

    asked: ClassVar[list] = []  # (peer, command, arguments) of all
    error: ClassVar[dict] = {}  # peer -> what its vectors are off by

    def __init__(self, name, **_):
        self.name = name
        self.cache = os.environ.get("JAX_COMPILATION_CACHE_DIR")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def ask(self, command, **arguments):
        self.asked.append((self.name, command, {**arguments, "cache": self.cache}))
        return getattr(self, command)(**arguments)

    def open(self, settings=None, **source):
        assert all(Path(path).exists() for path in source.values())
        return {"seconds": 0.5, "import_seconds": 0.25, "versions": {"python": "3"}}

    def embed(self, sentences, output, batch_size=None, order="given"):
        n_tokens = len(Path(sentences).read_text("utf-8").split())
        return {"seconds": [n_tokens / (1000 if self.name == "elmo-jax" else 100)]}

    def vectors(self, sentences, output, kind):
        lines = Path(sentences).read_text("utf-8").splitlines()
        value = self.error.get(self.name, 0)
        arrays = [np.full((3, len(line.split()), 4), value, np.float32) for line in lines]
        np.savez(output, **{str(i): array for i, array in enumerate(arrays)})

    def train(self, n_steps):
        return {"seconds": n_steps / 10, "losses": [3.0 - i for i in range(n_steps)]}

    def memory(self):
        return {"peak_bytes": 10**8 if self.name == "elmo-jax" else 3 * 10**8}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The model is made once for all questions."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def ask(tmp_path, monkeypatch, cache):
    """Asks a question with fake peers, and gives the exit code and the summary."""
    for module in (accelerator, memory, startup, systems, training):
        monkeypatch.setattr(module, "open_peer", FakePeer)
    monkeypatch.setattr(FakePeer, "asked", [])
    monkeypatch.setattr(FakePeer, "error", {})
    monkeypatch.setattr(question, "RESULTS", tmp_path)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("ELMO_JAX_CACHE", str(cache))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    text, output = tmp_path / "text.txt", tmp_path / "out.json"
    lines = [" ".join(f"word{i % 7}" for i in range(1 + n % 9)) for n in range(300)]
    text.write_text("\n".join(lines), "utf-8")

    def run(name, *arguments):
        common = ["--quick", "--model", "tiny", "--corpus", text, "--output", output, "--overwrite"]
        code = program.main([name, *map(str, [*common, *arguments])])
        return code, json.loads(output.read_text("utf-8")) if output.exists() else None

    return run


SLOW = {"compiled", "equality", "processes"}
QUICKLY = {
    "throughput": ["--rounds", "2", "--peer-tokens", "120"],
    "latency": ["--peers", "allennlp", "--calls", "2"],
    "equality": ["--tokens", "400"],
    "host": ["--tokens", "1000", "--part", "train", "embed"],
    "precision": ["--no-sts"],
    "training": ["--precision", "bfloat16"],
    "accelerator": ["--rounds", "1", "--tokens", "3000", "--peers"],
}


ASKED = [
    pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
    for name in question.QUESTIONS
    if name != "corpus"  # below: it takes other arguments
]


@pytest.mark.parametrize("name", ASKED)
def test_every_question_is_answered_quickly(ask, name, capsys):
    code, result = ask(name, *QUICKLY.get(name, ()))
    assert code == 0 and result["question"] == name
    *shown, last = capsys.readouterr().out.strip().splitlines()
    assert json.loads(last) == result, "the last line is the result"
    assert any(line.startswith("|---") for line in shown)
    globals().get(f"check_{name}", lambda _: None)(result)


def check_throughput(result):
    rows = {row["system"]: row for row in result["layers"]}
    assert list(rows) == [s.label for s in systems.SYSTEMS if s.peer != manylangs.PEER]
    own = rows.pop("elmo-jax")
    assert own["tokens_per_second"]["median"] == 1000
    for row in rows.values():
        assert row["elmo_jax_times_faster"]["median"] == pytest.approx(10)
        assert row["tokens"] <= own["tokens"], "a part of the same sentences"
    assert [row["system"] for row in result["sentences"]] == ["elmo-jax", "MiniLM-L6"]
    per_second = result["work"]["gflop"] / (result["work"]["tokens"] / 1000)
    assert result["limit"]["gflops"] == pytest.approx(per_second, abs=0.01)
    opened = [c for name, c, _ in FakePeer.asked if name == "elmo-jax"]
    # A new one before each run knows no word: a warm-up and two rounds of each of two tables.
    assert opened == ["open", "vectors"] + 6 * ["open", "embed"]


def check_latency(result):
    assert [row["system"] for row in result["rows"]][:2] == ["elmo-jax", "AllenNLP"]
    assert result["rows"][1]["times_elmo_jax"]["median"] == pytest.approx(10)
    texts = [a["sentences"] for n, c, a in FakePeer.asked if c == "embed" and n == "allennlp"]
    assert len(set(texts)) == 10, "another sentence each call: three warm-ups, two calls, 2 lengths"


def check_startup(result):
    assert [row["system"] for row in result["rows"]] == [startup.COLD, startup.WARM, "AllenNLP"]
    assert result["rows"][0]["parts"]["import"]["median"] == 0.25
    starts = [(name, a["cache"]) for name, c, a in FakePeer.asked if c == "embed"]
    (_, filled), (_, empty), (_, again), (peer, none) = starts
    assert again == filled != empty and (peer, none) == ("allennlp", None)


def check_memory(result):
    assert {row["peak_bytes"] for row in result["rows"]} == {10**8, 3 * 10**8}
    assert result["vector_bytes"] == result["setting"]["tokens"] * 3 * 64 * 4


def check_scaling(result):
    for part, values in {"lanes": [1, 4], "length": [1, 10], "corpus": [100, 1000]}.items():
        assert [row[part] for row in result[part]] == values


def check_host(result):
    (windows,) = result["train"]
    rows = windows["processes"] + result["embed"]
    assert [row["processes"] for row in rows] == [1, 2] * 3
    assert all(row["together"]["median"] > 0 for row in rows)
    assert windows["repeated_share"]["median"] > 0
    *_, last = windows["estimates"]
    assert last["processes"] is None


def check_equality(result):
    same = {row["way"]: row["same_bytes"] for row in result["rows"]}
    assert same["the same once more"] and same["killed and started again"]
    assert same["three shards, merged"] and "four devices" in same


def check_processes(result):
    runs = result["runs"]
    assert [run["processes"] for run in runs] == [1, 2, 4]
    assert max(run["loss_difference"] for run in runs) < 1e-5


def check_compiled(result):
    rows = {row["function"]: row for row in result["functions"]}
    assert tuple(rows) == compiled.HERE
    assert all(row["seconds"]["median"] > 0 < row["gflop"] for row in rows.values())


def check_precision(result):
    (layers,) = (errors["layers"] for errors in result["precisions"].values())  # no TF32 on a CPU
    assert len(layers) == 3 and all(1e-5 < row["relative_error"] < 0.05 for row in layers)


def check_training(result):
    (batch,) = result["batches"]
    own, peer = batch["systems"]
    assert peer["tokens_per_second"]["median"] == 8 * 20 * 10
    assert own["losses"]["first"] > own["losses"]["last"]
    assert own["tokens_per_second"]["n"] == 2, "the first round compiles"
    asked = [command for _, command, _ in FakePeer.asked]
    assert asked == ["open", "train", "train", "train"]


def check_accelerator(result):
    assert accelerator.PARTS.keys() - {"peers"} <= result.keys() and result["left_out"] == []
    assert result["setting"]["text_copies"] == 3, "a text that is too short is repeated"
    assert result["embed"][0]["tokens"] == result["setting"]["tokens"] >= 3000
    errors = {row["form"]: row["relative_error"] for row in result["forms"]}
    assert list(errors) == list(accelerator.FORMS) and max(errors.values()) < 0.01


def test_nothing_begins_after_the_time_is_over(ask, capsys):
    code, result = ask("accelerator", "--budget", "-1", "--peers")
    assert code == 0 and result["left_out"] == list(accelerator.PARTS)
    assert "Cut short when the time was over: limit, error" in capsys.readouterr().out


class FakeElmo:
    """Vectors of ones; those of bfloat16 are off by ``off``."""

    off = 0.0

    def __init__(self, job, precision=None):
        self.value = 1 + self.off * ((precision or job.args.precision) == "bfloat16")

    def stream(self, sentences, dtype="float32"):
        return (np.full((3, len(words), 4), self.value, dtype) for words in sentences)

    def embed(self, sentences):
        return list(self.stream(sentences))

    embed_sentences = embed


@pytest.fixture
def fake_elmo(monkeypatch):
    monkeypatch.setattr(accelerator.Job, "elmo", lambda *arguments: FakeElmo(*arguments))


@pytest.mark.parametrize("part", ["error", "forms"])
def test_what_is_broken_is_not_timed(ask, fake_elmo, monkeypatch, part, capsys):
    monkeypatch.setattr(FakeElmo, "off", 0.1)
    assert ask("accelerator", "--part", part) == (1, None)
    assert "does not compute the same as float32" in capsys.readouterr().err


def test_peers_on_the_accelerator_are_compared_or_their_errors_noted(ask, fake_elmo, capsys):
    FakePeer.error |= {"torch_lstm": 1, "allennlp": 2}
    code, result = ask("accelerator", "--part", "peers", "--rounds", "1")
    assert code == 0
    *measured, failed, failed_again = result["peers"]
    assert [row["output"] for row in measured] == ["sentences", "layers"] * 4
    assert {row["tokens_per_second"]["median"] for row in measured} == {100}
    assert failed["peer"] == "AllenNLP, float32" and "does not compute the same" in failed["error"]
    assert failed_again["peer"] == "AllenNLP, TF32"
    assert "| AllenNLP, TF32 |" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["throughput", "latency", "startup", "memory"])
def test_a_model_of_elmoformanylangs_is_compared_with_its_own_code(ask, name, manylangs_writer):
    choices = "--model", "manylangs-tiny", "--peers", manylangs.PEER
    code, result = ask(name, *QUICKLY.get(name, ()), *choices)
    assert code == 0 and result["setting"]["model"] == "manylangs-tiny"
    assert manylangs.PEER in result["largest_difference"]
    rows = result["layers" if name == "throughput" else "rows"]
    assert any("ELMoForManyLangs" in row["system"] for row in rows)


@pytest.mark.parametrize("name", ["throughput", "startup"])
def test_a_peer_with_other_vectors_stops_a_question_before_anything_is_timed(ask, name, capsys):
    FakePeer.error["allennlp"] = 1e-3
    assert ask(name, "--peers", "allennlp") == (1, None)
    assert "allennlp does not compute the same" in capsys.readouterr().err
    assert "embed" not in [command for _, command, _ in FakePeer.asked]
    with pytest.raises(SystemExit):
        ask(name, "--peers", "gensim")
    assert "invalid choice: 'gensim' (choose from " in capsys.readouterr().err


def test_a_trainer_whose_loss_does_not_fall_is_no_trainer():
    with pytest.raises(ElmoError, match=r"elmo-jax does not learn: its loss was 5\.0"):
        training._check_falls("elmo-jax", [5.0] * 100)


FAKE_COMMAND = """
import json, pathlib, sys
text, output = sys.argv[2], pathlib.Path(sys.argv[4])
lines = open(text, encoding="utf-8").read().splitlines()
output.write_bytes(b"x" * 1000)
print(json.dumps({"sentences": len(lines), "tokens": sum(len(line.split()) for line in lines),
    "parts": 1, "bytes": 1000, "seconds": 0.5, "tokens_per_second": 100.0}))
"""


def test_a_corpus_is_embedded_by_the_command_in_growing_parts(ask, monkeypatch, capsys):
    monkeypatch.setattr(corpus, "COMMAND", [sys.executable, "-c", FAKE_COMMAND])
    code, result = ask("corpus", "--tokens", "800")
    assert code == 0 and "| tokens | parts |" in capsys.readouterr().out
    for row, least in zip(result["rows"], (100, 200, 400, 800), strict=True):
        assert least <= row["tokens"] < least + 10, "no more lines than are needed"
    assert ask("corpus", "--tokens", "100000")[0] == 1
    assert "too few" in capsys.readouterr().err


# Files of results


def test_a_result_is_named_for_its_question_model_and_device():
    assert question.result_name("memory", "original", "cpu") == "memory-cpu.json"
    assert question.result_name("memory", "a/small", "h100") == "memory-small-h100.json"
    assert question.result_name("precision", "mini", "cpu", "mini") == "precision-cpu.json"
    kinds = "NVIDIA H100 80GB HBM3", "NVIDIA H200", "NVIDIA L40S", "TPU v4"
    machines = [{"platform": "gpu", "device": kind} for kind in kinds]
    assert [*map(card.device_name, machines)] == ["h100", "h200", "l40s", "tpu-v4"]
    assert card.device_name({"platform": "cpu", "device": "cpu"}) == "cpu"


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


def test_the_page_of_results_is_that_of_the_saved_results(tmp_path, capsys):
    assert program.main(["tables"]) == 0
    page = capsys.readouterr().out
    assert page == (RESULTS / "README.md").read_text("utf-8")
    assert re.findall("(?m)^## (.*)", page) == [*question.QUESTIONS]
    assert program.main(["tables", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("Not measured yet.") == len(question.QUESTIONS)


# Compiled functions


def test_a_step_has_the_lanes_and_tokens_that_were_asked_for(make_model):
    folder, _ = make_model(1)
    config, params = elmo_jax.load(folder)
    choice = "float32", "gpu"
    call = calls.step_call(config, jax.device_put(params), 4, 6, *choice, fused_products=False)
    shapes = {x.shape for x in jax.tree.leaves(call.arguments) if isinstance(x, np.ndarray)}
    assert (6, 4) in shapes
    outputs = call.function(*call.arguments, **call.keywords)
    assert all(bool(jnp.any(x)) for x in jax.tree.leaves(outputs)), "words that are not zero"


def test_a_gpu_that_is_not_there_needs_a_compiler(ask, monkeypatch, capsys):
    def no_compiler(**_):
        raise NotImplementedError("topology not implemented for cuda")

    monkeypatch.setattr(absent.topologies, "get_topology_desc", no_compiler)
    assert ask("compiled", "--for", "h200") == (1, None)
    error = capsys.readouterr().err
    assert "pip install --no-deps libtpu==" in error and f"pjrt=={jax.__version__}" in error


# The command line around them


@pytest.mark.slow
def test_both_recipes_are_trained_and_written_down(tmp_path, capsys):
    text, output = tmp_path / "text.txt", tmp_path / "out.json"
    text.write_text("The bank of the river .\nShe sat by the bank .\n" * 50, "utf-8")
    arguments = list(map(str, ["recipes", text, "--valid", text, "--n-steps", 4, "-o", output]))
    assert program.main(arguments) == 0
    results = json.loads(output.read_text("utf-8"))["recipes"]
    assert list(results) == ["modern", "original"]
    for result in results.values():
        assert result["tokens"] == 4 * 64 * 20
        assert list(result["perplexity"]) == ["1", "2", "3", "4"]
    assert results["modern"]["reset_state"] and not results["original"]["reset_state"]
    assert capsys.readouterr().out.count("\n|") >= 2
    assert program.main(arguments) == 1, "an existing result is not replaced unasked"


def test_every_question_and_command_has_help(capsys):
    for name in (*question.QUESTIONS, *program.COMMANDS):
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
    assert {tuple(c[:3]) for c in commands} == {(sys.executable, "-m", "benchmarks")}
    assert [c[3] for c in commands] == list(question.QUESTIONS)
    for _, _, _, name, *options in commands:
        peers = ["--peers", "allennlp"] if name in question.WITH_PEERS else []
        assert options == ["--quick", *peers]
    assert "no answer to memory" in capsys.readouterr().err
