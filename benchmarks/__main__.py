"""How fast, how large, how good? The measurements of elmo-jax, one question at a time.

Run from a checkout::

    python -m benchmarks throughput             # one question
    python -m benchmarks throughput --help      # its options
    python -m benchmarks all --quick            # every question about speed, as a small run

``benchmarks/README.md`` lists the questions.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from elmo_jax.cli import run_command
from elmo_jax.cli.frame import framed

from .question import QUESTIONS, WITH_PEERS, Question

COMMANDS = {
    "tasks": "tasks.command",
    "recipes": "recipes",
    "charts": "charts",
    "tables": "tables",
    "peers": "peers.command",
}
"""Commands with a command line of their own -> their modules."""

_PROG = "python -m benchmarks"


def main(argv: Sequence[str]) -> int:
    """Run one command, or all questions; returns the exit code."""
    name, *rest = argv or ["--help"]
    if name in ("-h", "--help"):
        print(_usage())
        return 0
    if name == "all":
        return _all(rest)
    if name not in QUESTIONS and name not in COMMANDS:
        print(f"{_PROG}: error: there is no command {name!r}.\n{_usage()}", file=sys.stderr)
        return 2
    module = importlib.import_module(f".{COMMANDS.get(name, name)}", __package__)
    command: Any = Question(name, module) if name in QUESTIONS else module
    return run_command(f"{_PROG} {name}", module.HELP, command, rest)


def _usage() -> str:
    return (
        f"{_PROG} NAME [--help] …\nquestions about speed: {', '.join(QUESTIONS)}; "
        f"all of them: all\nothers: {', '.join(COMMANDS)}"
    )


def _all(arguments: Sequence[str]) -> int:
    """Ask every question in a process of its own: what one leaves in memory must not matter."""
    parser = argparse.ArgumentParser(
        prog=f"{_PROG} all", description="Ask every question about speed, each in a process."
    )
    parser.add_argument("--peers", nargs="*", metavar="NAME", help="for questions that compare")
    args, common = parser.parse_known_args(arguments)
    peers = [] if args.peers is None else ["--peers", *args.peers]
    failed = []
    for name in QUESTIONS:
        command = [sys.executable, "-m", __package__ or "benchmarks", name, *common]
        command += peers if name in WITH_PEERS else []
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        print(flush=True)
    if failed:
        print(f"{_PROG} all: error: no answer to {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    # Several processes share a GPU, so none may reserve most of its memory at the start.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    sys.exit(framed(_PROG, lambda: main(sys.argv[1:])))
