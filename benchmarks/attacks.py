"""What becomes of damaged files, kills, interrupts and hostile input? The tests' own counts.

Every test that attacks the library counts the ends in a ``Tally`` (tests/tally.py): the right
result, an error, or a wrong result, which fails the test. This command runs these tests in full,
which takes a quarter of an hour on two cores, and adds up the counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from elmo_jax.errors import ElmoError
from elmo_jax.files import refuse_existing

from .card import card
from .question import add_output, write_json
from .tables import markdown

ROOT = Path(__file__).resolve().parents[1]

_COUNTS = ("tried", "right", "refused", "wrong")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="only the usual suite's attacks")
    parser.add_argument("tests", nargs="*", metavar="FILE", help="test files (default: all)")
    add_output(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    output = Path(args.output) if args.output else None
    if output:  # before minutes of work, not after them
        refuse_existing(output, args.overwrite)
    with tempfile.TemporaryDirectory() as folder:
        tallies = Path(folder) / "tallies.jsonl"
        selection = "not slow" if args.quick else "slow or not slow"
        command = [sys.executable, "-m", "pytest", "-q", "-m", selection]
        environment = {**os.environ, "ELMO_JAX_TALLIES": str(tallies)}
        done = subprocess.run(
            [*command, *(args.tests or _files_with_tallies())],
            cwd=ROOT,
            env=environment,
            stdout=sys.stderr,
            check=False,
        )
        if done.returncode:
            raise ElmoError("A test failed, so there is nothing to count; see its message above.")
        lines = map(json.loads, tallies.read_text("utf-8").splitlines())
        result = {"card": card(), "quick": args.quick, "attacks": summed(lines)}
    if output:
        write_json(output, result, overwrite=args.overwrite)
    return result


def text(result: dict[str, Any]) -> str:
    """The table of docs/guide/tested.md."""
    return markdown(
        {"attack": attack["kind"]}
        | {name: attack[name] for name in _COUNTS}
        | {"tests": f"`{attack['file']}`"}
        for attack in result["attacks"]
    )


def summed(tallies: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tallies of one kind in one file as one, ordered by files and kinds."""
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for tally in tallies:
        file = Path(tally["test"].partition("::")[0]).name
        key = file, tally["kind"]
        total = sums.setdefault(
            key, {"kind": tally["kind"], "file": file, **dict.fromkeys(_COUNTS, 0)}
        )
        for name in _COUNTS:
            total[name] += tally[name]
    return [sums[key] for key in sorted(sums)]


def _files_with_tallies() -> list[str]:
    files = sorted((ROOT / "tests").glob("test_*.py"))
    return [
        str(file)
        for file in files
        if "Tally(" in file.read_text("utf-8") and file.name != "test_damage.py"  # which tests it
    ]
