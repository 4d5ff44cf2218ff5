"""The peers of the benchmarks: the protocol, the environments, and that vectors are equal."""

import ast
import dataclasses
import itertools
import re
import sys

import numpy as np
import pytest
from comparing import assert_close

import benchmarks.__main__ as program
from benchmarks import manylangs, models
from benchmarks.peers import Peer, environments, open_peer
from benchmarks.peers.environments import (
    HERE,
    IMPLEMENTATIONS,
    TORCH_TRAINING,
    implementation,
    is_installed,
)
from benchmarks.peers.process import worker_command
from benchmarks.systems import peer_vectors
from elmo_jax import Elmo, ElmoError

pytestmark = pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")

SENTENCES = [
    "The bank of the river .".split(),
    ["Hi"],
    ["naïve", "東京", "x" * 60],
    "She sat by the bank of the river , and it was high .".split(),
]

FAKE = """
import os, sys

PACKAGES = ("pip",)
BATCH_SIZE = 3
print("noise at import")

class Model:
    def __init__(self, options, weights, answer="right"):
        os.write(1, b"noise from below\\n")
        self.answer, self.state = answer, 0

    def reset(self):
        self.state = 0

    def embed(self, batch, output):
        print("noise at work", sys.stdin.read())
        if self.answer == "error":
            raise RuntimeError("the model is tired")
        if self.answer == "exit":
            raise SystemExit("Error: no model here!")
        if self.answer == "death":
            sys.stderr.write("out of everything\\n")
            sys.stderr.flush()
            os._exit(7)
        import numpy
        for words in batch[self.answer == "one too few":]:
            shape = 3, len(words) + (self.answer == "boundaries"), 8
            yield numpy.full(shape, self.state, "float16")
        self.state += 1
"""


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(" ".join(words) + "\n" for words in SENTENCES), "utf-8")
    return path


@pytest.fixture
def fake(tmp_path):
    """Opens a peer that gives a chosen answer, and is noisy."""
    peers, file = [], tmp_path / "fake.py"
    file.write_text(FAKE, "utf-8")

    def start(answer="right"):
        peers.append(Peer("fake", worker_command(sys.executable, file)))
        settings = {"answer": answer}
        opened = peers[-1].ask("open", options="o", weights="w", settings=settings)
        assert set(opened) == {"seconds", "import_seconds", "versions"}
        assert set(opened["versions"]) == {"python", "pip"}
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()
        assert peer._process.poll() is not None


def vectors(peer, text):
    output = text.with_suffix(".npz")
    peer.ask("vectors", sentences=text, output=output)
    with np.load(output) as arrays:
        assert all(array.dtype == np.float32 for array in arrays.values())
        return [arrays[str(index)] for index in range(len(arrays))]


def test_noise_does_not_disturb_the_answers_and_results_are_counted(fake, text):
    peer = fake()
    for order in ("given", "sorted"):
        reply = peer.ask("embed", sentences=text, order=order)
        assert (reply["n_tokens"], reply["n_sentences"]) == (sum(map(len, SENTENCES)), 4)
        assert reply["seconds"][0] > 0
    assert peer.ask("memory")["peak_bytes"] > 1e6
    # The state of the batches before is there, and vectors are without it.
    assert [array[0, 0, 0] for array in vectors(peer, text)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("error", r"peer fake could not answer 'embed': RuntimeError: .*tired[\s\S]*fake\.py"),
        ("exit", "SystemExit: Error: no model here!"),
        ("boundaries", r"a sentence of 6 tokens gave the shape \(3, 7, 8\)"),
        ("one too few", "4 sentences gave 2 results"),
        ("death", r"fake ended with exit code 7 [\s\S]*'embed'[\s\S]*out of everyth"),
    ],
)
def test_an_error_or_a_wrong_result_is_an_error_and_the_worker_goes_on(fake, text, answer, message):
    peer = fake(answer)
    with pytest.raises(ElmoError, match=message):
        peer.ask("embed", sentences=text)
    if answer != "death":
        assert peer.ask("memory")["peak_bytes"] > 0
        return
    with pytest.raises(ElmoError, match="ended with exit code 7"):
        peer.ask("memory")


def test_a_bad_request_is_an_error(fake, tmp_path):
    peer, bad = fake(), tmp_path / "bad.txt"
    for content, line in {"": 1, "a\n\nb\n": 2}.items():
        bad.write_text(content, "utf-8")
        with pytest.raises(ElmoError, match=f"line {line} of .*bad.txt is blank"):
            peer.ask("embed", sentences=bad)
    with pytest.raises(ElmoError, match=r"absent\.txt"):
        peer.ask("embed", sentences="absent.txt")
    with pytest.raises(ElmoError, match="peer fake cannot be started"):
        Peer("fake", ["no-such-program"])


# The implementations


def test_a_worker_needs_nothing_of_this_project():
    def imported(file):
        for node in ast.walk(ast.parse(file.read_text("utf-8"), str(file))):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or "").split(".")[0] if not node.level else "relative"

    others = TORCH_TRAINING, manylangs.WRITER
    for file in [*others, *(peer.worker for peer in IMPLEMENTATIONS if peer.environment)]:
        assert not {"elmo_jax", "benchmarks", "relative"} & set(imported(file)), file
    assert set(imported(HERE / "worker.py")) <= sys.stdlib_module_names | {"numpy"}


def test_elmo_jax_answers_as_in_this_process(make_model, text):
    folder, _ = make_model()
    files = {"options": folder / "options.json", "weights": folder / "weights.hdf5"}
    with open_peer("elmo-jax") as peer:
        assert "jax" in peer.ask("open", **files)["versions"]
        for array, expected in zip(vectors(peer, text), Elmo(folder).embed(SENTENCES), strict=True):
            assert_close(array, expected)
        assert peer.ask("embed", sentences=text, output="sentences")["n_sentences"] == 4
        with pytest.raises(ElmoError, match="chooses its batches by itself"):
            peer.ask("embed", sentences=text, batch_size=32)
        peer.ask("open", folder=folder, settings={"precision": "bfloat16"})


def need(name):
    if not is_installed(implementation(name)):
        pytest.skip(f"python -m benchmarks peers install {name} has not been run")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["allennlp", "simple_elmo", "torch_lstm"])
def test_a_peer_gives_the_vectors_of_elmo_jax_whatever_it_was_asked_before(name, make_model, text):
    need(name)
    clips = {"cell_clip": None, "proj_clip": None} if name == "torch_lstm" else {}
    folder, _ = make_model(**clips)
    with open_peer(name) as peer:
        peer.ask("open", options=folder / "options.json", weights=folder / "weights.hdf5")
        for output in ("layers", "sentences"):
            peer.ask("embed", sentences=text, output=output, batch_size=2)
        for array, expected in zip(vectors(peer, text), Elmo(folder).embed(SENTENCES), strict=True):
            assert_close(array, expected, tolerance=1e-5)


@pytest.mark.slow
def test_elmoformanylangs_gives_the_vectors_of_elmo_jax_for_a_model_that_it_wrote(
    tmp_path, monkeypatch, text
):
    need(manylangs.PEER)
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path))
    source = models.open_model("manylangs-tiny").published
    with open_peer(manylangs.PEER) as peer:
        peer.ask("open", **source)
        for output in ("layers", "sentences"):
            peer.ask("embed", sentences=text, output=output, batch_size=2)
        for array, expected in zip(
            vectors(peer, text), Elmo(source["folder"]).embed(SENTENCES), strict=True
        ):
            assert_close(array, expected, tolerance=1e-5)


@pytest.mark.slow
def test_the_trainer_learns(make_model, text, tmp_path):
    need("torch_lstm")
    folder, _ = make_model()
    words = dict.fromkeys(["<S>", "</S>", "<UNK>", *(w for s in SENTENCES for w in s)])
    (tmp_path / "words.txt").write_text("\n".join(words), "utf-8")
    source = {"options": folder / "options.json", "vocabulary": tmp_path / "words.txt"}
    with open_peer("torch_lstm", worker=TORCH_TRAINING) as peer:
        for n_samples in (4, 100):
            settings = {"batch_size": 2, "unroll_steps": 5, "n_samples": n_samples}
            settings |= {"learning_rate": 1e-2, "rate": 0.0}
            peer.ask("open", text=text, settings=settings, **source)
            losses = peer.ask("train", n_steps=30)["losses"]
            assert len(losses) == 30 and np.mean(losses[-5:]) < np.mean(losses[:5])


@pytest.mark.slow
def test_minilm_gives_vectors_of_sentences_and_of_every_word(text):
    need("minilm")
    long = [f"word{i % 7}" for i in range(300)]  # of two pieces each, so it takes windows
    sentences = [*SENTENCES, ["Hi", "\ufe0f"], ["Hi", "[UNK]"], long]
    with open_peer("minilm") as peer:
        assert "transformers" in peer.ask("open")["versions"]
        assert peer.ask("embed", sentences=text, output="sentences")["n_sentences"] == 4
        assert {vector.shape for vector in peer_vectors(peer, SENTENCES, "sentences")} == {(384,)}
        words = peer_vectors(peer, sentences)
        alone = [*itertools.chain(*(peer_vectors(peer, [sentence]) for sentence in SENTENCES))]
    assert [array.shape for array in words] == [(7, len(s), 384) for s in sentences]
    for array, expected in zip(words, alone, strict=False):
        assert_close(array, expected, tolerance=1e-5)  # the sentences beside it change nothing
    assert_close(words[4], words[5], tolerance=1e-5)  # a word that the tokenizer drops is unknown
    assert len(np.unique(words[6][-1].round(3), axis=0)) == 300  # each word in its own context


# The environments


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """The commands that make environments; none is run, but the folder of a venv is made."""
    monkeypatch.setenv("ELMO_JAX_PEERS", str(tmp_path / "peers"))
    commands = []

    def run(command):
        commands.append(command)
        if "venv" in command:
            environments.Path(command[-1]).mkdir(parents=True)

    monkeypatch.setattr(environments, "run_command", run)
    return commands


def test_an_environment_is_made_once(pip, tmp_path, capsys):
    assert program.main(["peers", "list"]) == 0
    out = capsys.readouterr().out
    assert re.search("(?m)^elmo-jax +in this Python$", out)
    assert re.search("(?m)^allennlp +not installed$", out)
    for state in ("installed in", "ready"):
        assert program.main(["peers", "install", "allennlp"]) == 0
        assert re.search(f"(?m)^allennlp +{state}", capsys.readouterr().out)
    make, pinned, alone = pip
    assert make[1:] == ["-m", "venv", str(tmp_path / "peers" / "allennlp")]
    assert str(implementation("allennlp").requirements) in pinned
    assert alone[-2:] == ["--no-deps", "allennlp==2.10.1"]
    assert str(environments.interpreter(implementation("allennlp"))) == pinned[0]
    assert program.main(["peers", "install", "gpt"]) == 1
    assert "Unknown peer 'gpt': expected one of elmo-jax, allennlp" in capsys.readouterr().err


def test_an_unfinished_or_outdated_environment_is_made_anew(pip, tmp_path, monkeypatch):
    peer = implementation("torch_lstm")
    left_over = tmp_path / "peers" / "torch_lstm" / "left over"
    left_over.mkdir(parents=True)
    assert not is_installed(peer)
    environments.install(peer)
    assert is_installed(peer) and not left_over.exists()
    assert not is_installed(dataclasses.replace(peer, without_dependencies=("torch==1.0",)))
    monkeypatch.setattr(environments, "HERE", tmp_path)
    (tmp_path / "requirements").mkdir()
    peer.requirements.write_text("torch==1.0\n", "utf-8")
    assert not is_installed(peer)


def test_a_peer_that_is_not_installed_names_the_command_or_runs_in_this_python(pip):
    with pytest.raises(ElmoError, match=r"python -m benchmarks peers install minilm"):
        open_peer("minilm")
    with open_peer("torch_lstm", here=True) as peer:
        assert peer._process.args[0] == sys.executable


def test_an_old_package_gets_an_old_python_or_says_so(pip, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    monkeypatch.setattr(environments.shutil, "which", lambda name: f"/opt/{name}")
    environments.install(implementation("simple_elmo"))
    assert pip[0][0] == "/opt/python3.11"
    monkeypatch.setattr(environments.shutil, "which", lambda name: None)
    with pytest.raises(ElmoError, match=r"simple_elmo needs Python 3\.11 or older"):
        environments.install(implementation("simple_elmo"))


def test_every_package_is_pinned_and_a_command_that_fails_ends_the_error():
    for peer in IMPLEMENTATIONS[1:]:
        lines = peer.requirements.read_text("utf-8").splitlines()
        packages = [line for line in lines if not line.startswith("#")]
        assert packages and all("==" in line for line in packages)
    broken = "import sys; sys.exit('no matching distribution')"
    with pytest.raises(ElmoError, match="exit code 1: no matching distribution"):
        environments.run_command([sys.executable, "-c", broken])
