"""What was measured, with what and where: a table of numbers is worth nothing without it."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from elmo_jax import Elmo
from elmo_jax.checkpoint import is_native, read_metadata
from elmo_jax.parameters import count_parameters

_PACKAGES = ("elmo-jax", "jax", "jaxlib", "flax", "optax", "numpy")


def card(model: str, elmo: Elmo) -> dict[str, Any]:
    """The model, the versions and the machine, ready for JSON."""
    config, path = elmo.config, Path(model)
    return {
        "model": model,
        "metadata": read_metadata(path) if path.is_dir() and is_native(path) else {},
        "parameters": count_parameters(elmo.params),
        "layers": config.n_output_layers,
        "dim": config.output_dim,
        "cell_dim": config.cell_dim,
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {
            "device": jax.devices()[0].device_kind,
            "platform": jax.devices()[0].platform,
            "cores": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "processor": platform.machine(),
        },
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # a checkout that is not installed
            found[package] = "not installed"
    return found


def _commit() -> str | None:
    """The checkout's commit, "+" after it where files differ from it; None without git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    command += ["--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
