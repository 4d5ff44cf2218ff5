"""``python -m benchmarks.peers``: make the environments, or say which are there."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from .catalogue import PEERS, implementation
from .environments import environments_folder, install, is_installed

HELP = "Install the implementations that elmo-jax is compared with, or list them."

_ENVIRONMENTS = tuple(name for name in PEERS if implementation(name).environment)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("action", choices=("install", "list"), help="make the environments, or say what is there")
    add(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(_ENVIRONMENTS)} (default: all of them)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Do it, and give a JSON-ready summary.

    Raises:
        ElmoError: for an unknown name, or if a package cannot be installed.
    """
    names = args.names or (_ENVIRONMENTS if args.action == "install" else PEERS)
    for name in names:
        implementation(name)  # before minutes of work, not after them
    if args.action == "install":
        found = {name: _install(name) for name in names}
    else:
        found = {name: _state(name) for name in names}
    return {"folder": str(environments_folder()), "peers": found}


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    lines = [f"{name:<12} {state}" for name, state in summary["peers"].items()]
    return "\n".join([f"environments in {summary['folder']}", *lines])


def _install(name: str) -> str:
    if is_installed(name):
        return _state(name)
    print(f"installing {name} ...", file=sys.stderr)
    start = time.perf_counter()
    install(name)
    return f"installed in {time.perf_counter() - start:.0f} s"


def _state(name: str) -> str:
    if not implementation(name).environment:
        return "in this Python"
    return "ready" if is_installed(name) else "not installed"
