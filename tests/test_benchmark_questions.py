"""`python -m benchmarks NAME`, with peers that only pretend, and a tiny model."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from fake_peers import FakePeer, questioner

import benchmarks.__main__ as program
from benchmarks import corpus_run, precision, registry, startup, systems
from benchmarks.watch import idle_device
from elmo_jax import Elmo

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@pytest.fixture
def ask(tmp_path, monkeypatch):
    return questioner(tmp_path, monkeypatch)


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
    assert found["functions"] and all(row["calls"] for row in found["functions"])
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


def test_an_idle_device_gives_zeros_of_the_right_shapes(make_model):
    folder, _ = make_model(3)
    sentences = [["a", "bank"], [], ["the", "bank", "of", "it"]]
    wanted = Elmo(folder).embed(sentences)
    with idle_device():
        found = Elmo(folder).embed(sentences)
    assert [(a.shape, a.dtype) for a in found] == [(a.shape, a.dtype) for a in wanted]
    assert not any(array.any() for array in found)
    again = Elmo(folder).embed(sentences)
    assert all(map(np.array_equal, again, wanted)), "what it replaced is back"


def test_the_work_of_the_host_is_measured_in_kinds(ask):
    code, found = ask("host", "--rows", "4", "--tokens", "300")
    assert code == 0
    work = [row["work"] for row in found["rows"]]
    assert work == [
        "lines to words",
        "lines to sentence vectors",
        "words to sentence vectors",
        "words to all layers, float16",
        "training windows of 4 × 20",
    ]
    assert all(row["tokens_per_second"]["median"] > 0 for row in found["rows"])


def test_formats_are_compared_with_npz(ask):
    code, found = ask("formats", "--sentences", "30", "--quick")
    assert code == 0
    rows = {(row["format"], row["pooled"], row["dtype"]): row for row in found["rows"]}
    pooled = {name for name, pooled, _ in rows if pooled}
    assert pooled == {"npz", "h5", "parquet", "npy"} and ("npy", False, "float32") not in rows
    assert all(row["times_npz"]["median"] == 1 for key, row in rows.items() if key[0] == "npz")
    assert all(row["bytes"] > 30 * 512 for row in rows.values())


@pytest.mark.slow
def test_all_ways_of_embedding_a_corpus_agree(ask):
    code, found = ask("equality", "--tokens", "400")
    assert code == 0
    same = {row["way"]: row["same_bytes"] for row in found["rows"]}
    assert same["the same once more"] and same["killed and started again"]
    assert same["three shards, merged"]
    assert same.keys() >= {"four devices"} and ("left_out" in found or "two workers of Ray" in same)


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
