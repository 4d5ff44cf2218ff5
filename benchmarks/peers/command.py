"""``python -m benchmarks peers install``, or ``list``: the environments of the peers.

pip takes the packages from wherever its own settings say. Where the CPU build of PyTorch is offered
under the pinned version, it installs that one; elsewhere that version brings its CUDA libraries.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from .catalogue import IMPLEMENTATIONS, Implementation, implementation
from .environments import environments_folder, install, is_installed

HELP = "Install the implementations that elmo-jax is compared with (some 5 GB), or list them."

_NAMES = [peer.name for peer in IMPLEMENTATIONS if peer.environment]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("action", choices=("install", "list"), help="make the environments, or say what is there")
    add("names", nargs="*", metavar="NAME", help=f"of {', '.join(_NAMES)} (default: all of them)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Do it, and give a JSON-ready summary.

    Raises:
        ElmoError: for an unknown name, or if a package cannot be installed.
    """
    peers = [implementation(name) for name in args.names] or IMPLEMENTATIONS
    act = _install if args.action == "install" else _state
    return {"folder": str(environments_folder()), "peers": {p.name: act(p) for p in peers}}


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    lines = [f"{name:<12} {state}" for name, state in summary["peers"].items()]
    return "\n".join([f"environments in {summary['folder']}", *lines])


def _install(peer: Implementation) -> str:
    if is_installed(peer):
        return _state(peer)
    print(f"installing {peer.name} ...", file=sys.stderr)
    start = time.perf_counter()
    install(peer)
    return f"installed in {time.perf_counter() - start:.0f} s"


def _state(peer: Implementation) -> str:
    if not peer.environment:
        return "in this Python"
    return "ready" if is_installed(peer) else "not installed"
