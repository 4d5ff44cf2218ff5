"""The virtual environments of the peers: made once, from pinned packages.

They lie in the folder that ELMO_JAX_PEERS names, by default ``.environments`` beside this file.
An environment is ready when its stamp says so: a hash of what it was made from, written last. One
that is unfinished, or made from other packages, is made anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from elmo_jax import ElmoError

from .catalogue import HERE, implementation, requirements_file

Run = Callable[[Sequence[str]], None]
"""Runs a command to its end; raises ElmoError if it fails."""


def environments_folder() -> Path:
    """Where the environments are: ELMO_JAX_PEERS, or ``.environments`` beside this file."""
    return Path(os.environ.get("ELMO_JAX_PEERS") or HERE / ".environments").absolute()


def interpreter(name: str) -> Path:
    """The Python that runs a peer.

    Raises:
        ElmoError: if there is no such peer, or its environment is not ready.
    """
    if not implementation(name).environment:
        return Path(sys.executable)
    if not is_installed(name):
        raise ElmoError(
            f"The peer {name} is not installed in {environments_folder()}, or was made from other "
            f"packages than are pinned now. Run: python -m benchmarks.peers install {name}"
        )
    return _python(environments_folder() / name)


def is_installed(name: str) -> bool:
    """Whether a peer can be opened: its environment is whole and made from what is pinned now."""
    if not implementation(name).environment:
        return True
    stamp = _stamp(environments_folder() / name)
    return stamp.is_file() and stamp.read_text("utf-8") == _fingerprint(name)


def install(name: str, *, run: Run | None = None) -> bool:
    """Make a peer's environment, unless it is ready.

    Args:
        name: of the peer.
        run: runs the commands that make it; a subprocess if None.

    Returns:
        Whether it was made; False if nothing had to be done.

    Raises:
        ElmoError: if there is no such peer, no Python that its packages were made for, or if a
            command fails.
    """
    if is_installed(name):
        return False
    run = _run if run is None else run
    folder = environments_folder() / name
    shutil.rmtree(folder, ignore_errors=True)
    run([_base_python(name), "-m", "venv", str(folder)])
    pip = [str(_python(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "-r", str(requirements_file(name))])
    if alone := implementation(name).without_dependencies:
        run([*pip, "--no-deps", *alone])
    _stamp(folder).write_text(_fingerprint(name), "utf-8")
    return True


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _stamp(folder: Path) -> Path:
    return folder / "elmo-jax-peer"


def _fingerprint(name: str) -> str:
    """A hash of all that decides what is in the environment."""
    parts = [requirements_file(name).read_text("utf-8")]
    parts += implementation(name).without_dependencies
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _base_python(name: str) -> str:
    """This Python, or where the packages are not made for it, the newest that they are made for."""
    newest = implementation(name).newest_python
    if newest is None or sys.version_info[:2] <= newest:
        return sys.executable
    version = ".".join(map(str, newest))
    if found := shutil.which(f"python{version}"):
        return found
    raise ElmoError(
        f"The peer {name} needs Python {version} or older, and this is Python "
        f"{sys.version.split()[0]}; there is no python{version} on the PATH. Install one, or run "
        "this command with it."
    )


def _run(command: Sequence[str]) -> None:
    """Run a command; what it says goes to stderr, and its end into the error if it fails."""
    result = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
    if result.returncode:
        last = [line for line in result.stderr.splitlines() if line.strip()][-5:]
        raise ElmoError(
            f"`{' '.join(command)}` failed with exit code {result.returncode}: " + "\n".join(last)
        )
