"""The peers of the benchmarks: the protocol, the environments, and that vectors are equal."""

import ast
import sys

import numpy as np
import pytest
from comparing import assert_close

from benchmarks.peers import PEERS, Peer, command, environments, install, is_installed, open_peer
from benchmarks.peers.catalogue import (
    HERE,
    TORCH_TRAINING,
    implementation,
    requirements_file,
    worker_file,
)
from benchmarks.peers.process import worker_command
from elmo_jax import Elmo, ElmoError
from elmo_jax.cli import run_command

SENTENCES = [
    "The bank of the river .".split(),
    ["Hi"],
    ["naïve", "東京", "x" * 60],
    "She sat by the bank of the river , and it was high .".split(),
]

FAKE = """
import os, sys

PACKAGES = ("pip",)
print("noise at import")

class Model:
    def __init__(self, options, weights, answer="right"):
        os.write(1, b"noise from below\\n")
        self.answer = answer

    def embed(self, sentences, batch_size, output):
        print("noise at work", sys.stdin.read())
        if self.answer == "error":
            raise RuntimeError("the model is tired")
        if self.answer == "exit":
            raise SystemExit("Error: no model here!")
        if self.answer == "death":
            sys.stderr.write("out of everything\\n")
            sys.stderr.flush()
            os._exit(7)
        for words in sentences[self.answer == "one too few":]:
            yield Array(3, len(words) + (self.answer == "boundaries"), 8)

class Array:
    def __init__(self, *shape):
        self.shape, self.ndim = shape, len(shape)
"""


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(" ".join(words) + "\n" for words in SENTENCES), "utf-8")
    return path


@pytest.fixture
def fake(tmp_path):
    """An opened peer that answers as it is told to, and is noisy."""
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


# The protocol


def test_noise_does_not_disturb_the_answers(fake, text):
    reply = fake().ask("embed", sentences=text, repeats=3)
    assert (reply["n_tokens"], reply["n_sentences"]) == (sum(map(len, SENTENCES)), 4)
    assert len(reply["seconds"]) == 3 and min(reply["seconds"]) > 0
    assert fake().ask("memory")["peak_bytes"] > 1e6


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("order", ["given", "sorted"])
def test_results_are_counted_whether_they_are_kept_or_not(fake, text, keep, order):
    reply = fake().ask("embed", sentences=text, keep=keep, order=order)
    assert reply["n_sentences"] == 4
    with pytest.raises(ElmoError, match="4 sentences gave 3 results"):
        fake("one too few").ask("embed", sentences=text, keep=keep, order=order)


def test_an_error_in_a_worker_is_told_with_its_place_and_the_worker_goes_on(fake, text):
    peer = fake("error")
    with pytest.raises(ElmoError, match=r"peer fake could not answer 'embed': .*tired") as caught:
        peer.ask("embed", sentences=text)
    assert "fake.py" in str(caught.value) and "RuntimeError" in str(caught.value)
    assert peer.ask("memory")["peak_bytes"] > 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("exit", "SystemExit: Error: no model here!"),
        ("boundaries", r"a sentence of 6 tokens gave the shape \(3, 7, 8\)"),
    ],
)
def test_a_wrong_result_is_an_error(fake, text, answer, message):
    with pytest.raises(ElmoError, match=message):
        fake(answer).ask("embed", sentences=text)


def test_a_worker_that_dies_leaves_its_last_words(fake, text):
    peer = fake("death")
    with pytest.raises(
        ElmoError, match=r"fake ended with exit code 7 [\s\S]*'embed'[\s\S]*out of everything$"
    ):
        peer.ask("embed", sentences=text)
    with pytest.raises(ElmoError, match="ended with exit code 7"):
        peer.ask("memory")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"command": "dance"}, "unknown command 'dance'"),
        ({"command": "embed", "sentences": "x", "order": "random"}, "unknown order 'random'"),
        ({"command": "embed", "sentences": "x", "output": "top"}, "unknown output 'top'"),
        ({"command": "embed", "sentences": "absent.txt"}, "absent.txt"),
        ({"command": "open", "folder": "x"}, "folder"),
    ],
)
def test_a_bad_request_is_an_error(fake, request_, message):
    with pytest.raises(ElmoError, match=message):
        fake().ask(**request_)


@pytest.mark.parametrize(("content", "message"), [("", "is empty"), ("a\n\nb\n", "line 2 .*blank")])
def test_a_text_without_sentences_is_an_error(fake, tmp_path, content, message):
    (tmp_path / "bad.txt").write_text(content, "utf-8")
    with pytest.raises(ElmoError, match=message):
        fake().ask("embed", sentences=tmp_path / "bad.txt")


def test_leaving_the_block_ends_the_process_even_after_an_error(tmp_path):
    file = tmp_path / "fake.py"
    file.write_text(FAKE, "utf-8")
    with pytest.raises(KeyboardInterrupt), Peer("fake", worker_command(sys.executable, file)) as a:
        raise KeyboardInterrupt
    with Peer("fake", worker_command(sys.executable, file)) as b:
        pass
    assert a._process.poll() is not None and b._process.poll() == 0


def test_a_program_that_is_not_there_is_an_error():
    with pytest.raises(ElmoError, match="peer fake cannot be started"):
        Peer("fake", ["no-such-program"])


# The implementations


def tops(file):
    """The top-level names of all modules that a file imports, and whether any is relative."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0] if not node.level else "relative"


OTHERS = [worker_file(name) for name in PEERS if implementation(name).environment]


@pytest.mark.parametrize("file", [*OTHERS, TORCH_TRAINING], ids=lambda file: file.stem)
def test_a_worker_needs_nothing_of_this_project(file):
    assert not {"elmo_jax", "benchmarks", "relative"} & set(tops(file))


def test_the_loop_needs_the_standard_library_and_numpy():
    assert set(tops(HERE / "worker.py")) <= sys.stdlib_module_names | {"numpy"}


@pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")
def test_elmo_jax_answers_as_in_this_process(make_model, text, tmp_path):
    folder, _ = make_model()
    files = {"options": folder / "options.json", "weights": folder / "weights.hdf5"}
    with open_peer("elmo-jax", threads=1) as peer:
        assert "jax" in peer.ask("open", **files)["versions"]
        peer.ask("vectors", sentences=text, output=tmp_path / "found.npz")
        assert peer.ask("embed", sentences=text, output="sentences")["n_sentences"] == 4
        with pytest.raises(ElmoError, match="chooses its batches by itself"):
            peer.ask("embed", sentences=text, batch_size=32)
        peer.ask("open", folder=folder, settings={"precision": "bfloat16"})
    expected = Elmo(folder).embed(SENTENCES)
    with np.load(tmp_path / "found.npz") as found:
        assert sorted(found) == ["0", "1", "2", "3"]
        for index, vectors in enumerate(expected):
            assert found[str(index)].dtype == np.float32
            assert_close(found[str(index)], vectors)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["allennlp", "simple_elmo", "torch_lstm"])
def test_a_peer_gives_the_vectors_of_elmo_jax_whatever_it_was_asked_before(
    name, make_model, text, tmp_path
):
    if not is_installed(name):
        pytest.skip(f"python -m benchmarks.peers install {name} has not been run")
    clips = {"cell_clip": None, "proj_clip": None} if name == "torch_lstm" else {}
    folder, _ = make_model(**clips)
    files = {"options": folder / "options.json", "weights": folder / "weights.hdf5"}
    with open_peer(name) as peer:
        peer.ask("open", **files)
        for output in ("layers", "sentences"):
            peer.ask("embed", sentences=text, output=output, batch_size=2)
        peer.ask("vectors", sentences=text, output=tmp_path / "found.npz")
    with np.load(tmp_path / "found.npz") as found:
        for index, vectors in enumerate(Elmo(folder).embed(SENTENCES)):
            assert_close(found[str(index)], vectors, tolerance=1e-5)


@pytest.mark.slow
def test_minilm_gives_sentence_vectors_and_no_others(text, tmp_path):
    if not is_installed("minilm"):
        pytest.skip("python -m benchmarks.peers install minilm has not been run")
    with open_peer("minilm") as peer:
        assert "transformers" in peer.ask("open")["versions"]
        assert peer.ask("embed", sentences=text, output="sentences")["n_sentences"] == 4
        for request in ({"command": "embed"}, {"command": "vectors", "output": tmp_path / "x"}):
            with pytest.raises(ElmoError, match="sentence vectors only"):
                peer.ask(sentences=text, **request)


# The environments


class FakePip:
    """Notes the commands, and makes the folder that ``python -m venv`` would make."""

    def __init__(self, fails_at=None):
        self.commands, self.fails_at = [], fails_at

    def __call__(self, command):
        self.commands.append(command)
        if self.fails_at in command:
            raise ElmoError("no such package")
        if "venv" in command:
            environments.Path(command[-1]).mkdir(parents=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ELMO_JAX_PEERS", str(tmp_path / "peers"))
    return tmp_path / "peers"


def test_an_environment_is_made_once(folder):
    pip = FakePip()
    assert not is_installed("allennlp")
    assert install("allennlp", run=pip) and is_installed("allennlp")
    make, pinned, alone = pip.commands
    assert make[1:] == ["-m", "venv", str(folder / "allennlp")]
    assert pinned[0].startswith(str(folder)) and str(requirements_file("allennlp")) in pinned
    assert alone[-2:] == ["--no-deps", "allennlp==2.10.1"]
    assert not install("allennlp", run=pip) and len(pip.commands) == 3
    assert str(environments.interpreter("allennlp")) == pinned[0]


def test_an_unfinished_environment_is_made_anew(folder):
    with pytest.raises(ElmoError, match="no such package"):
        install("allennlp", run=FakePip(fails_at="--no-deps"))
    assert not is_installed("allennlp")
    (folder / "allennlp" / "left over").touch()
    assert install("allennlp", run=FakePip())
    assert not (folder / "allennlp" / "left over").exists()


def test_other_pins_are_another_environment(folder, tmp_path, monkeypatch):
    install("torch_lstm", run=FakePip())
    (tmp_path / "other.txt").write_text("torch==1.0\n", "utf-8")
    monkeypatch.setattr(environments, "requirements_file", lambda name: tmp_path / "other.txt")
    assert not is_installed("torch_lstm")
    assert install("torch_lstm", run=FakePip()) and is_installed("torch_lstm")


def test_a_peer_that_is_not_installed_names_the_command(folder):
    with pytest.raises(ElmoError, match=r"python -m benchmarks\.peers install minilm"):
        open_peer("minilm")
    with pytest.raises(ElmoError, match="Unknown peer 'gpt': expected one of elmo-jax, allennlp"):
        open_peer("gpt")


def test_a_peer_can_run_in_this_python_where_its_libraries_are(folder):
    with open_peer("torch_lstm", here=True) as peer:
        assert peer._process.args[0] == sys.executable
    with pytest.raises(ElmoError, match="Unknown peer 'gpt'"):
        open_peer("gpt", here=True)


def test_an_old_package_gets_an_old_python_or_says_so(folder, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    monkeypatch.setattr(environments.shutil, "which", lambda name: f"/opt/{name}")
    pip = FakePip()
    install("simple_elmo", run=pip)
    assert pip.commands[0][0] == "/opt/python3.11"
    monkeypatch.setattr(environments.shutil, "which", lambda name: None)
    environments.shutil.rmtree(folder)
    with pytest.raises(ElmoError, match=r"simple_elmo needs Python 3\.11 or older"):
        install("simple_elmo", run=pip)


def test_a_command_that_fails_is_told_with_its_end(folder):
    broken = "import sys; sys.exit('no matching distribution')"
    with pytest.raises(ElmoError, match="exit code 1: no matching distribution"):
        environments._run([sys.executable, "-c", broken])


@pytest.mark.parametrize("name", [name for name in PEERS if implementation(name).environment])
def test_every_package_is_pinned(name):
    lines = requirements_file(name).read_text("utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert packages and all("==" in line for line in packages)


def test_the_command_line_lists_and_installs(folder, monkeypatch, capsys):
    def run(*arguments):
        return run_command("peers", command.HELP, command, arguments)

    assert run("list") == 0
    out = capsys.readouterr().out
    assert "elmo-jax     in this Python" in out and "allennlp     not installed" in out
    monkeypatch.setattr(environments, "_run", FakePip())
    assert run("install", "allennlp") == 0
    assert "allennlp     installed in" in capsys.readouterr().out
    assert run("install", "allennlp") == 0
    assert "allennlp     ready" in capsys.readouterr().out
    assert run("install", "gpt") == 1
    assert "Unknown peer 'gpt'" in capsys.readouterr().err
