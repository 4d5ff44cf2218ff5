"""The other side of ``process.py``: answers a benchmark's questions with one implementation.

Started as ``python worker.py FILE [THREADS]`` in the implementation's own environment, so it needs
the standard library alone, and NumPy to write vectors. It reads requests from stdin, one JSON
object a line, and answers each with one line. FILE, one of ``workers/``, has

* ``PACKAGES``: the distributions whose versions belong to a measurement;
* ``Model(options=, weights=, **settings)``: importing FILE imports the library, this opens a model;
* ``embed(sentences, batch_size, output)``: an iterable of one array a sentence, in their order;
  [layers, tokens, dim] for output "layers", [dim] for "sentences". It does what the tool's
  documentation does, so LSTM state that the tool carries from call to call is carried;
* ``vectors(sentences)``: the same for "layers", from a fresh state for every sentence.

A trainer has ``train(n_steps)`` instead of the last two, which gives the loss of each step.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO


class Worker:
    """Answers requests: each public method is a command."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._model: Any = None

    def open(self, settings: dict[str, Any] | None = None, **source: str) -> dict[str, Any]:
        """Import the library and open a model: "options" and "weights", or what else it takes.

        Returns:
            "import_seconds", "seconds" (of opening alone, so their sum is the whole), "versions".
        """
        start = time.perf_counter()
        module = _load(self._file)
        imported = time.perf_counter()
        self._model = module.Model(**source, **(settings or {}))
        opened = time.perf_counter()
        versions = {name: metadata.version(name) for name in module.PACKAGES}
        return {
            "import_seconds": imported - start,
            "seconds": opened - imported,
            "versions": {"python": sys.version.split()[0], **versions},
        }

    def embed(
        self,
        sentences: str,
        batch_size: int | None = None,
        order: str = "given",
        output: str = "layers",
        repeats: int = 1,
        keep: bool = True,
    ) -> dict[str, Any]:
        """Embed the lines of a text file, and time it.

        The clock runs from lists of words to NumPy arrays on the host; reading, splitting and
        sorting are outside.

        Args:
            sentences: the file, one tokenised sentence a line.
            batch_size: sentences a batch; None is the implementation's own choice.
            order: "given", or "sorted" by length.
            output: "layers" for all layers of each token, "sentences" for a vector a sentence.
            repeats: how often to do it.
            keep: hold all results until the clock stops; otherwise each is dropped as it comes.

        Returns:
            "seconds", one for each repeat, "n_tokens" and "n_sentences".
        """
        _one_of("order", order, ("given", "sorted"))
        _one_of("output", output, ("layers", "sentences"))
        listed = _read(sentences)
        if order == "sorted":
            listed.sort(key=len)
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            results, n_results = _take(self._opened().embed(listed, batch_size, output), keep)
            seconds.append(time.perf_counter() - start)
            if n_results != len(listed):
                raise ValueError(f"{len(listed)} sentences gave {n_results} results")
            _check(results, listed, (3, 1) if output == "layers" else (1, None))
            del results  # before the next come
        n_tokens = sum(map(len, listed))
        return {"seconds": seconds, "n_tokens": n_tokens, "n_sentences": len(listed)}

    def vectors(self, sentences: str, output: str) -> dict[str, Any]:
        """Write all layers of each sentence to a .npz file: "0", "1", ... float32 [L, T, D].

        Returns:
            "n_tokens" and "n_sentences".
        """
        import numpy as np

        listed = _read(sentences)
        found = [np.asarray(array, np.float32) for array in self._opened().vectors(listed)]
        if len(found) != len(listed):
            raise ValueError(f"{len(listed)} sentences gave {len(found)} results")
        _check(found, listed, (3, 1))
        with Path(output).open("wb") as file:
            arrays: dict[str, Any] = {str(index): array for index, array in enumerate(found)}
            np.savez(file, **arrays)
        return {"n_tokens": sum(map(len, listed)), "n_sentences": len(listed)}

    def train(self, n_steps: int) -> dict[str, Any]:
        """Take some steps of a training run, and time them, from the text to the losses.

        Returns:
            "seconds" and "losses", one for each step.
        """
        start = time.perf_counter()
        losses = list(self._opened().train(n_steps))
        return {"seconds": time.perf_counter() - start, "losses": losses}

    def memory(self) -> dict[str, int]:
        """The most memory that this process has had in use: "peak_bytes"."""
        return {"peak_bytes": _peak_bytes()}

    def _opened(self) -> Any:
        if self._model is None:
            raise ValueError("no model is open: ask for open first")
        return self._model


def main(argv: list[str]) -> None:
    """Answer requests until stdin ends."""
    requests, replies = _claim_pipes()
    if len(argv) > 2:
        _limit_threads(int(argv[2]))
    worker = Worker(Path(argv[1]))
    for line in requests:
        replies.write(json.dumps(_answer(worker, json.loads(line))) + "\n")
        replies.flush()


def _claim_pipes() -> tuple[TextIO, TextIO]:
    """Take stdin and stdout for the protocol; whatever else is printed goes to stderr."""
    requests, replies = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)  # below sys.stdout, so that libraries in C are caught too
    return requests, replies


def _limit_threads(n: int) -> None:
    """Stay on ``n`` cores: every library sizes its thread pools by them."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])


def _answer(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    try:
        command = request.pop("command")
        _one_of("command", command, ("open", "embed", "vectors", "train", "memory"))
        return {"result": getattr(worker, command)(**request)}
    except (Exception, SystemExit) as error:  # simple_elmo leaves the program for a bad model
        lines = traceback.format_exc().strip().splitlines()
        return {"error": f"{type(error).__name__}: {error}", "traceback": lines[-12:]}


def _load(file: Path) -> Any:
    """Import a file under a name that no library has."""
    spec = importlib.util.spec_from_file_location("implementation", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _read(path: str) -> list[list[str]]:
    lines = Path(path).read_text("utf-8").split("\n")
    sentences = [line.split() for line in (lines[:-1] if not lines[-1] else lines)]
    blank = [number for number, words in enumerate(sentences, start=1) if not words]
    if blank or not sentences:
        where = f"line {blank[0]} of {path} is blank" if blank else f"{path} is empty"
        raise ValueError(f"{where}: expected one sentence a line; some peers cannot take none")
    return sentences


def _take(results: Iterable[Any], keep: bool) -> tuple[list[Any], int]:
    kept, count = [], 0
    for count, result in enumerate(results, start=1):  # noqa: B007
        if keep:
            kept.append(result)
    return kept, count


def _check(results: list[Any], sentences: list[list[str]], form: tuple[int, int | None]) -> None:
    """Each result has as many axes as it should, and as many tokens as its sentence."""
    n_axes, token_axis = form
    for result, words in zip(results, sentences, strict=False):  # none where none was kept
        right = result.ndim == n_axes
        if not right or (token_axis is not None and result.shape[token_axis] != len(words)):
            raise ValueError(f"a sentence of {len(words)} tokens gave the shape {result.shape}")


def _peak_bytes() -> int:
    """By Linux's own count where there is one: ru_maxrss starts there at the parent's peak."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text("utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"unknown {what} {value!r}: expected one of {', '.join(known)}")


if __name__ == "__main__":
    main(sys.argv)
