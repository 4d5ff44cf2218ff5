"""Install the implementations that elmo-jax is compared with (some 6 GB), or list them.

Each gets a virtual environment, made once from pinned packages. The last file written into it is a
stamp: a hash of what it was made from. Without the right stamp, an environment is unfinished or
outdated, and is made anew. Where pip's settings offer the CPU build of PyTorch under the pinned
version, it installs that one; elsewhere that version brings its CUDA libraries.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from elmo_jax import ElmoError

HERE = Path(__file__).resolve().parent

TORCH_TRAINING = HERE / "workers" / "torch_training_worker.py"
"""A trainer, which runs in the environment of ``torch_lstm``."""

_STAMP = "elmo-jax-peer"


@dataclasses.dataclass(frozen=True)
class Implementation:
    """What it takes to run one implementation."""

    name: str
    environment: bool = True  # of its own; else it runs in this Python
    # Installed last and alone: the versions that these ask for exclude those in the requirements.
    without_dependencies: tuple[str, ...] = ()
    newest_python: tuple[int, int] | None = None  # that its packages were made for

    @property
    def worker(self) -> Path:
        """The file that puts it behind the protocol of ``worker.py``."""
        return HERE / "workers" / f"{self.name.replace('-', '_')}_worker.py"

    @property
    def requirements(self) -> Path:
        return HERE / "requirements" / f"{self.name}.txt"


IMPLEMENTATIONS = (
    Implementation("elmo-jax", environment=False),
    Implementation("allennlp", without_dependencies=("allennlp==2.10.1",)),
    Implementation("simple_elmo", newest_python=(3, 11)),
    Implementation("torch_lstm"),
    Implementation("elmoformanylangs"),
    Implementation("minilm"),
)


def implementation(name: str) -> Implementation:
    named = {peer.name: peer for peer in IMPLEMENTATIONS}
    if name not in named:
        raise ElmoError(f"Unknown peer {name!r}: expected one of {', '.join(named)}.")
    return named[name]


def environments_folder() -> Path:
    """Where the environments are: ELMO_JAX_PEERS, or ``.environments`` beside this file."""
    return Path(os.environ.get("ELMO_JAX_PEERS") or HERE / ".environments").absolute()


def interpreter(peer: Implementation) -> Path:
    """The Python that runs a peer; an ElmoError if its environment is not ready."""
    if not peer.environment:
        return Path(sys.executable)
    if not is_installed(peer):
        raise ElmoError(
            f"The peer {peer.name} is not installed in {environments_folder()}, or was made from "
            "other packages than are pinned now. Run: "
            f"python -m benchmarks peers install {peer.name}"
        )
    return _python(environments_folder() / peer.name)


def is_installed(peer: Implementation) -> bool:
    """Whether a peer's environment is whole, and made from what is pinned now."""
    stamp = environments_folder() / peer.name / _STAMP
    written = stamp.read_text("utf-8") if stamp.is_file() else None
    return not peer.environment or written == _fingerprint(peer)


def install(peer: Implementation) -> None:
    """Make a peer's environment."""
    folder = environments_folder() / peer.name
    shutil.rmtree(folder, ignore_errors=True)
    run_command([_base_python(peer), "-m", "venv", str(folder)])
    pip = [str(_python(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run_command([*pip, "-r", str(peer.requirements)])
    if peer.without_dependencies:
        run_command([*pip, "--no-deps", *peer.without_dependencies])
    (folder / _STAMP).write_text(_fingerprint(peer), "utf-8")


def run_command(command: Sequence[str]) -> None:
    """Run a command; its stdout goes to stderr, and the end of its stderr into the error."""
    result = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
    if result.returncode:
        last = [line for line in result.stderr.splitlines() if line.strip()][-5:]
        raise ElmoError(
            f"`{' '.join(command)}` failed with exit code {result.returncode}: " + "\n".join(last)
        )


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _fingerprint(peer: Implementation) -> str:
    """A hash of all that decides what is in the environment."""
    parts = [peer.requirements.read_text("utf-8"), *peer.without_dependencies]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _base_python(peer: Implementation) -> str:
    """This Python, or if it is too new for the packages, the newest that is not."""
    newest = peer.newest_python
    if newest is None or sys.version_info[:2] <= newest:
        return sys.executable
    version = ".".join(map(str, newest))
    if python := shutil.which(f"python{version}"):
        return python
    raise ElmoError(
        f"The peer {peer.name} needs Python {version} or older, and this is Python "
        f"{sys.version.split()[0]}; there is no python{version} on the PATH. Install one, or run "
        "this command with it."
    )


# The command ``python -m benchmarks peers``


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(peer.name for peer in IMPLEMENTATIONS if peer.environment)
    add = parser.add_argument
    add("action", choices=("install", "list"), help="make the environments, or say what is there")
    add("names", nargs="*", metavar="NAME", help=f"of {names} (default: all of them)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    states = {}
    for peer in [implementation(name) for name in args.names] or IMPLEMENTATIONS:
        if args.action == "install" and not is_installed(peer):
            print(f"installing {peer.name} ...", file=sys.stderr)
            started = time.perf_counter()
            install(peer)
            states[peer.name] = f"installed in {time.perf_counter() - started:.0f} s"
        elif peer.environment:
            states[peer.name] = "ready" if is_installed(peer) else "not installed"
        else:
            states[peer.name] = "in this Python"
    return {"folder": str(environments_folder()), "peers": states}


def text(summary: dict[str, Any]) -> str:
    width = max(map(len, summary["peers"]))
    lines = [f"{name:<{width}} {state}" for name, state in summary["peers"].items()]
    return "\n".join([f"environments in {summary['folder']}", *lines])
