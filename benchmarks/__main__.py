"""``python -m benchmarks NAME``: one question, all of them (``all``), or another command."""

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
    "attacks": "attacks",
    "tables": "tables",
    "costs": "costs",
    "peers": "peers.environments",
}
"""Commands with a command line of their own -> their modules."""

_PROG = "python -m benchmarks"
_USAGE = f"""{_PROG} NAME [--help] …
questions about speed: {", ".join(QUESTIONS)}; all of them: all
others: {", ".join(COMMANDS)}"""


def main(argv: Sequence[str]) -> int:
    """Run one command, or all questions; returns the exit code."""
    name, *rest = argv or ["--help"]
    if name in ("-h", "--help"):
        print(_USAGE)
        return 0
    if name == "all":
        return _ask_all(rest)
    if name not in (*QUESTIONS, *COMMANDS):
        print(f"{_PROG}: error: there is no command {name!r}.\n{_USAGE}", file=sys.stderr)
        return 2
    module = importlib.import_module(f".{COMMANDS.get(name, name)}", __package__)
    command: Any = Question(name, module) if name in QUESTIONS else module
    description = (module.__doc__ or "").partition("\n")[0]
    return run_command(f"{_PROG} {name}", description, command, rest)


def _ask_all(arguments: Sequence[str]) -> int:
    """Ask every question in a process of its own: what one leaves in memory must not matter."""
    description = "Ask every question about speed, each in a process of its own."
    parser = argparse.ArgumentParser(prog=f"{_PROG} all", description=description)
    parser.add_argument("--peers", nargs="*", metavar="NAME", help="for questions that compare")
    args, common = parser.parse_known_args(arguments)
    peers = [] if args.peers is None else ["--peers", *args.peers]
    failed = []
    for name in QUESTIONS:
        command = [sys.executable, "-m", "benchmarks", name, *common]
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
    sys.exit(framed(_PROG, lambda stop: main(sys.argv[1:])))
