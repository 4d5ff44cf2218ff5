"""Peers that only pretend, and a way to ask `python -m benchmarks` a question with them."""

import json
import os
from pathlib import Path
from typing import ClassVar

import numpy as np

import benchmarks.__main__ as program
from benchmarks import memory, startup, systems


class FakePeer:
    """Gives the same number for every word, and a made-up time."""

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

    def embed(self, sentences, output, batch_size=None, order="given"):
        n_tokens = len(Path(sentences).read_text("utf-8").split())
        seconds = n_tokens / (1000 if self.name == "elmo-jax" else 100)
        return {"seconds": [seconds], "n_tokens": n_tokens, "n_sentences": 1}

    def vectors(self, sentences, output):
        lines = Path(sentences).read_text("utf-8").splitlines()
        value = self.error.get(self.name, 0)
        arrays = [np.full((3, len(line.split()), 4), value, np.float32) for line in lines]
        np.savez(output, **{str(i): array for i, array in enumerate(arrays)})
        return {}

    def train(self, n_steps):
        return {"seconds": n_steps / 10, "losses": [3.0 - i for i in range(n_steps)]}

    def memory(self):
        return {"peak_bytes": 10**8 if self.name == "elmo-jax" else 3 * 10**8}


def questioner(tmp_path, monkeypatch):
    """A function that asks a question with fake peers, and gives the exit code and the summary."""
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
