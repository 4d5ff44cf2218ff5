"""Do all ways of embedding a corpus give the same vectors?

Run from a checkout::

    python -m benchmarks equality

A text goes through ``elmo-jax embed`` once, on one device. Then it goes another way: once more,
killed (SIGKILL) on the way and started again, on four devices (which one CPU pretends to be), in
three shards that are merged, and through two workers of Ray Data. The table says where the file is
the same byte for byte; every number must be the same but for the order of sums.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from elmo_jax import ElmoError, pretrained

from .arguments import setting
from .corpus import count_tokens, write_sentences
from .corpus_run import COMMAND
from .devices import fake_devices
from .measure import SUMS, assert_equal
from .ray_run import embed_on_ray
from .tables import markdown

HELP = "Do one device, several, merged shards, Ray, and a killed run give the same vectors?"
MODEL = pretrained.BUNDLED

N_SHARDS = 3
_TOKENS = 20_000
_PARTS = 12
"""Of the text: enough for each shard to have several, and for a kill to leave some."""


class Ways:
    """The ways, each from the text to a file of its own.

    Args:
        model: its folder.
        text: one sentence a line.
        part_tokens: of a part.
    """

    def __init__(self, model: Path, text: Path, part_tokens: int) -> None:
        self._model, self._text, self._part_tokens = model, text, part_tokens

    def once(self, out: Path) -> None:
        """In one process, on one device."""
        self._check(self._start(out))

    def killed(self, out: Path) -> None:
        """Killed when a third of the parts are there, and started again."""
        process = self._start(out)
        parts = out.with_name(f"{out.name}.parts")
        while len(list(parts.glob("part-*"))) < _PARTS // 3 and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        if out.exists():
            raise ElmoError("The process ended before it was killed. Take more --tokens.")
        self.once(out)

    def devices(self, out: Path) -> None:
        """On several devices, which one CPU pretends to be."""
        self._check(self._start(out, environment=fake_devices()))

    def shards(self, out: Path) -> None:
        """The shards one after the other, the last one first; then joined."""
        for number in range(N_SHARDS, 0, -1):
            self._check(self._start(out, "--shard", f"{number}/{N_SHARDS}"))
        self._check(_started("merge", out, "--quiet"))

    def _start(
        self, out: Path, *more: str, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        command = ["embed", self._text, "-o", out, "--model", self._model, "--quiet"]
        command += ["--part-tokens", self._part_tokens, *more]
        return _started(*command, environment=environment)

    @staticmethod
    def _check(process: subprocess.Popen[str]) -> None:
        _, problem = process.communicate()
        if process.returncode:
            raise ElmoError(f"A command failed: {problem.strip()[-2000:]}")


def _started(
    *arguments: object, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing more than what all questions take."""


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Go all ways, and compare.

    Raises:
        ElmoError: if vectors differ by more than the order of sums explains, or a command fails.
    """
    setup = setting(args, _TOKENS)
    rows: list[dict[str, Any]] = []
    found = {"setting": setup.json(), "parts": _PARTS, "rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        text = write_sentences(Path(folder) / "text.txt", setup.sentences)
        n_tokens = -(-count_tokens(setup.sentences) // _PARTS)
        ways = Ways(setup.model.native, text, n_tokens)
        whole = Path(folder) / "whole.h5"
        ways.once(whole)
        expected = _read(whole)
        all_: dict[str, Callable[[Path], None]] = {
            "the same once more": ways.once,
            "killed and started again": ways.killed,
            "four devices": ways.devices,
            "three shards, merged": ways.shards,
        }
        for name, way in all_.items():
            out = Path(folder) / "out.h5"
            way(out)
            same_bytes = out.read_bytes() == whole.read_bytes()
            rows.append(_row(name, _read(out), expected, same_bytes))
            out.unlink()
            yield found
        if find_spec("ray") is None:
            found["left_out"] = "Ray is not installed (extra ray)."
        else:
            vectors = embed_on_ray(setup.model.native, text)
            rows.append(_row("two workers of Ray", vectors, expected, None))
    yield found


def _read(file: Path) -> list[np.ndarray]:
    """All layers of each sentence."""
    with h5py.File(file) as arrays:
        return [arrays[str(number)][()] for number in range(len(arrays) - 1)]


def _row(
    name: str, found: list[np.ndarray], expected: list[np.ndarray], same_bytes: bool | None
) -> dict[str, Any]:
    return {
        "way": name,
        "same_bytes": same_bytes,
        "same_numbers": all(map(np.array_equal, found, expected)),
        "largest_difference": assert_equal(name, found, expected, SUMS),
        "largest_number": float(max(np.abs(array).max() for array in expected)),
    }


def table(summary: dict[str, Any]) -> str:
    """A row a way."""
    what = summary["setting"]
    rows = [
        [
            row["way"],
            {True: "yes", False: "no", None: "–"}[row["same_bytes"]],
            "yes" if row["same_numbers"] else "no",
            f"{row['largest_difference']:.2g}",
        ]
        for row in summary["rows"]
    ]
    largest = max((row["largest_number"] for row in summary["rows"]), default=0.0)
    heads = ["against one process on one device", "the same file", "the same numbers"]
    shown = [
        f"Model {what['model']}, all layers of {what['tokens']:,} tokens, in about "
        f"{summary['parts']} parts; the largest number is {largest:.3g}.",
        markdown([*heads, "largest difference"], rows),
    ]
    return "\n\n".join([*shown, *filter(None, [summary.get("left_out")])])
