"""Where something was measured, and with what: numbers mean nothing without it."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

_PACKAGES = ("elmo-jax", "jax", "jaxlib", "flax", "optax", "numpy")


def card() -> dict[str, Any]:
    """Versions, machine, date and commit, ready for JSON."""
    device = jax.devices()[0]
    linux = hasattr(os, "sched_getaffinity")
    return {
        "versions": {"python": platform.python_version()} | dict(map(_version, _PACKAGES)),
        "machine": {
            "device": device.device_kind,
            "platform": device.platform,
            "cores": len(os.sched_getaffinity(0)) if linux else os.cpu_count(),
            "processor": _processor(),
        },
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
    }


def _processor() -> str:
    """The processor's name on Linux, elsewhere its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> tuple[str, str]:
    try:
        return package, metadata.version(package)
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        return package, "not installed"


def _commit() -> str | None:
    """The checkout's commit, with "+" if files differ from it; None without git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+"]
    command += ["--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()
