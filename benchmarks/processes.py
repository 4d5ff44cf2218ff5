"""Is a training run the same with one, two and four processes?

``elmo-jax train`` makes the same run with each number of processes, joined over the loopback
interface, and measures its perplexity on the way. Every number must be that of one process, up to
the order of float32 sums, whose differences grow from step to step.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import elmo_jax
from elmo_jax import ElmoError
from elmo_jax.model.parameters import flatten

from .corpus import COMMAND
from .question import setting
from .tables import markdown
from .texts import write_sentences

COUNTS = (1, 2, 4)
MODEL = "mini"  # not used: the run trains a model of its own

_PRESET, _ROWS, _STEPS, _VALIDATIONS = "tiny", 32, 200, 4
_TOKENS, _QUICK_STEPS = 40_000, 12


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    setup = setting(args, _TOKENS)
    n_steps = _QUICK_STEPS if args.quick else _STEPS
    what = {**setup.json(), "model": _PRESET, "rows": _ROWS, "steps": n_steps}
    result: dict[str, Any] = {"setting": what, "runs": []}
    with tempfile.TemporaryDirectory() as folder:
        text = write_sentences(Path(folder) / "text.txt", setup.sentences)
        for count in COUNTS:
            run = Path(folder) / str(count)
            _train(count, text, run, n_steps)
            result["runs"].append(_compared(count, run, Path(folder) / str(COUNTS[0])))
            yield result


def _train(count: int, text: Path, run: Path, n_steps: int) -> None:
    flags = {
        "preset": _PRESET,
        "batch-size": _ROWS,
        "n-steps": n_steps,
        "vocabulary-size": 2000,
        "n-negative-samples": 200,
        "log-every": 1,
        "eval-every": n_steps // _VALIDATIONS,
    }
    command = [*COMMAND, "train", text, "-o", run, "--valid", text, "--quiet"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    if count > 1:
        command += ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", count]
    processes = [
        subprocess.Popen(
            [*map(str, command), *(["--process-id", str(number)] if count > 1 else [])],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    errors = [process.communicate()[1] for process in processes]
    for process, error in zip(processes, errors, strict=True):
        if process.returncode:
            raise ElmoError(f"A process failed: {error.strip()[-2000:]}")


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _compared(count: int, run: Path, first: Path) -> dict[str, Any]:
    mine, theirs = _curves(run), _curves(first)
    differences = {
        f"{name}_difference": float(np.abs(np.array(mine[name]) / theirs[name] - 1).max())
        for name in mine
    }
    return {
        "processes": count,
        "first_loss": mine["loss"][0],
        "last_loss": mine["loss"][-1],
        "perplexity": mine["perplexity"][-1],
        **differences,
        "parameter_difference": _largest_difference(run / "model", first / "model"),
    }


def _curves(run: Path) -> dict[str, list[float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kinds = {"loss": ("train_sampled_loss", "train_full_loss"), "perplexity": ("valid_perplexity",)}
    return {
        name: [line[key] for line in lines for key in keys if key in line]
        for name, keys in kinds.items()
    }


def _largest_difference(model: Path, other: Path) -> float:
    mine, theirs = (flatten(elmo_jax.load(folder)[1]) for folder in (model, other))
    return max(float(np.abs(mine[name] - theirs[name]).max()) for name in theirs)


def table(result: dict[str, Any]) -> str:
    what = result["setting"]
    rows = (
        {
            "processes": row["processes"],
            "loss of the first step": f"{row['first_loss']:.6f}",
            "of the last": f"{row['last_loss']:.6f}",
            "perplexity": f"{row['perplexity']:.4f}",
            "largest difference: loss": f"{row['loss_difference']:.1e}",
            "perplexity ": f"{row['perplexity_difference']:.1e}",
            "parameter": f"{row['parameter_difference']:.1e}",
        }
        for row in result["runs"]
    )
    return (
        f"Training {what['model']}, {what['rows']} rows, {what['steps']} steps. Differences from "
        "one process: relative, over all steps and validations; of parameters absolute, at the "
        f"end.\n\n{markdown(rows)}"
    )
