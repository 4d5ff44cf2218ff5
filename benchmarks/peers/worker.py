"""The other side of ``process.py``: answers a benchmark's questions with one implementation.

Started as ``python worker.py FILE`` in the implementation's own environment, so it needs
the standard library alone, and NumPy to write vectors. It reads requests from stdin, one JSON
object per line, and answers each with one line. FILE, one of ``workers/``, has

* ``PACKAGES``: the distributions whose versions belong to a measurement;
* ``BATCH_SIZE``: how many sentences a batch has by default; None if the tool chooses its batches;
* ``Model(options=, weights=, **settings)``: importing FILE imports the library, this opens a model;
* ``Model.embed(batch, output)``: an iterable of one array per sentence, in their order;
  [layers, tokens, dim] for output "layers", [dim] for "sentences". It does what the tool's
  documentation does, so LSTM state that the tool carries from call to call is carried;
* ``Model.reset()``, where there is such a state: forgets it.

A trainer has ``Model.train(n_steps)`` instead of the last two: the loss of each step.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO


class Worker:
    """Answers requests: each public method is a command."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._model: Any = None
        self._module: Any = None

    def open(self, settings: dict[str, Any] | None = None, **source: str) -> dict[str, Any]:
        """Import the library and open a model; "seconds" are those of opening alone."""
        start = time.perf_counter()
        self._module = _import(self._file)
        imported = time.perf_counter()
        self._model = self._module.Model(**source, **(settings or {}))
        opened = time.perf_counter()
        versions = {name: metadata.version(name) for name in self._module.PACKAGES}
        versions["python"] = sys.version.split()[0]
        seconds = {"import_seconds": imported - start, "seconds": opened - imported}
        return {**seconds, "versions": versions}

    def embed(
        self,
        sentences: str,
        batch_size: int | None = None,
        order: str = "given",
        output: str = "layers",
    ) -> dict[str, Any]:
        """Embed a text file, one tokenized sentence per line, and time it.

        The clock runs from lists of words to NumPy arrays on the host, which are all in memory at
        the end; reading, splitting and sorting (for ``order`` "sorted": by length) are outside.
        """
        texts = _read(sentences)
        if order == "sorted":
            texts.sort(key=len)
        start = time.perf_counter()
        arrays = list(self._embed(texts, batch_size, output))
        seconds = time.perf_counter() - start
        _check(arrays, texts, output)
        return {"seconds": [seconds], "n_tokens": sum(map(len, texts)), "n_sentences": len(texts)}

    def vectors(self, sentences: str, output: str, kind: str = "layers") -> dict[str, Any]:
        """Write the vectors of each sentence to a .npz: "0", "1", ... are float32.

        They are [L, T, D] of ``kind`` "layers", [D] of "sentences". Every batch starts from a fresh
        state.
        """
        import numpy as np

        texts = _read(sentences)
        embedded = self._embed(texts, None, kind, reset=getattr(self._model, "reset", None))
        arrays = [np.asarray(array, np.float32) for array in embedded]
        _check(arrays, texts, kind)
        with Path(output).open("wb") as file:
            np.savez(file, **{str(i): array for i, array in enumerate(arrays)})  # type: ignore
        return {"n_tokens": sum(map(len, texts)), "n_sentences": len(texts)}

    def train(self, n_steps: int) -> dict[str, Any]:
        """Take some steps of a training run, and time them, from the text to the losses."""
        start = time.perf_counter()
        losses = list(self._model.train(n_steps))
        return {"seconds": time.perf_counter() - start, "losses": losses}

    def memory(self) -> dict[str, int]:
        """The most memory that this process has had in use: "peak_bytes"."""
        return {"peak_bytes": peak_bytes()}

    def _embed(
        self, texts: list[list[str]], batch_size: int | None, output: str, reset: Any = None
    ) -> Iterator[Any]:
        """Batch after batch; ``reset`` is called around each."""
        reset = reset or (lambda: None)
        if self._module.BATCH_SIZE is None and batch_size is not None:
            raise ValueError(f"{self._file.stem} chooses its batches by itself: no batch_size")
        size = batch_size or self._module.BATCH_SIZE or len(texts)
        for start in range(0, len(texts), size):
            reset()
            yield from self._model.embed(texts[start : start + size], output)
        reset()


def main(file: str) -> None:
    """Answer requests until stdin ends."""
    requests, replies = _claim_pipes()
    worker = Worker(Path(file))
    for line in requests:
        replies.write(json.dumps(_answer(worker, json.loads(line))) + "\n")
        replies.flush()


def _claim_pipes() -> tuple[TextIO, TextIO]:
    """Take stdin and stdout for the protocol; whatever else is printed goes to stderr."""
    requests, replies = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # below sys.stdout, so that libraries in C are caught too
    return requests, replies


def _answer(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    try:
        command = request.pop("command")
        if worker._model is None and command not in ("open", "memory"):
            raise ValueError("no model is open: ask for open first")
        return {"result": getattr(worker, command)(**request)}
    except (Exception, SystemExit) as error:  # simple_elmo leaves the program for a bad model
        lines = traceback.format_exc().strip().splitlines()
        return {"error": f"{type(error).__name__}: {error}", "traceback": lines[-12:]}


def _import(file: Path) -> Any:
    """Import a file under a name that no library has; it may import files beside it."""
    sys.path.append(str(file.parent))
    spec = importlib.util.spec_from_file_location("implementation", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _read(path: str) -> list[list[str]]:
    lines = Path(path).read_text("utf-8").removesuffix("\n").split("\n")
    sentences = [line.split() for line in lines]
    for number, words in enumerate(sentences, start=1):
        if not words:
            raise ValueError(f"line {number} of {path} is blank, which some peers cannot take")
    return sentences


def _check(arrays: list[Any], sentences: list[list[str]], output: str) -> None:
    """Each sentence has an array with as many axes as it should, and all its tokens."""
    if len(arrays) != len(sentences):
        raise ValueError(f"{len(sentences)} sentences gave {len(arrays)} results")
    for array, words in zip(arrays, sentences, strict=True):
        layers = array.ndim == 3 and array.shape[1] == len(words)
        if not (layers if output == "layers" else array.ndim == 1):
            raise ValueError(f"a sentence of {len(words)} tokens gave the shape {array.shape}")


def peak_bytes(process: int | None = None) -> int:
    """The most memory in use so far, of this process or another; of another 0 without Linux."""
    status = Path(f"/proc/{process or 'self'}/status")
    with contextlib.suppress(OSError):
        for line in status.read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    # Only without Linux, where ru_maxrss starts at the peak of the parent.
    unit = 1 if sys.platform == "darwin" else 1024
    return 0 if process else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main(sys.argv[1])
