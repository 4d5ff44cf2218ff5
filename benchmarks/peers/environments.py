"""The virtual environments of the peers: made once, from pinned packages.

The last file written into one is a stamp: a hash of what it was made from. Without the right stamp,
an environment is unfinished or outdated, and is made anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from elmo_jax import ElmoError

from .catalogue import HERE, Implementation

_STAMP = "elmo-jax-peer"


def environments_folder() -> Path:
    """Where the environments are: ELMO_JAX_PEERS, or ``.environments`` beside this file."""
    return Path(os.environ.get("ELMO_JAX_PEERS") or HERE / ".environments").absolute()


def interpreter(peer: Implementation) -> Path:
    """The Python that runs a peer.

    Raises:
        ElmoError: if its environment is not ready.
    """
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
    """Whether a peer can be opened: its environment is whole and made from what is pinned now."""
    stamp = environments_folder() / peer.name / _STAMP
    written = stamp.read_text("utf-8") if stamp.is_file() else None
    return not peer.environment or written == _fingerprint(peer)


def install(peer: Implementation) -> None:
    """Make a peer's environment.

    Raises:
        ElmoError: if there is no Python that its packages were made for, or if a command fails.
    """
    folder = environments_folder() / peer.name
    shutil.rmtree(folder, ignore_errors=True)
    run([_base_python(peer), "-m", "venv", str(folder)])
    pip = [str(_python(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "-r", str(peer.requirements)])
    if peer.without_dependencies:
        run([*pip, "--no-deps", *peer.without_dependencies])
    (folder / _STAMP).write_text(_fingerprint(peer), "utf-8")


def run(command: Sequence[str]) -> None:
    """Run a command; its stdout goes to stderr, and the end of its stderr into the error.

    Raises:
        ElmoError: if it fails.
    """
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
