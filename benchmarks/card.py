"""Where something was measured, and with what: numbers mean nothing without it."""

from __future__ import annotations

import datetime
import os
import platform
import re
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


def card_line(head: dict[str, Any]) -> str:
    """The card in one line, for people."""
    machine = head["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    device = "" if machine["platform"] == "cpu" else f"; {machine['device']}"
    return (
        f"{machine['processor']}, {machine['cores']} cores{device}; {packages}; {head['date']}, "
        f"commit {(head['commit'] or 'unknown')[:12]}."
    )


def device_name(machine: dict[str, Any]) -> str:
    """The device of a card's machine, for file names: "cpu", or a model such as "h100"."""
    if machine["platform"] == "cpu":
        return "cpu"
    kind = machine["device"].lower()
    number = re.search(r"\b[a-z]{1,2}\d{2,}[a-z]?\b", kind)
    return number[0] if number else re.sub(r"[^a-z0-9]+", "-", kind).strip("-")


def _processor() -> str:
    """The processor's name on Linux, elsewhere its architecture."""
    info = Path("/proc/cpuinfo")
    name = re.search(r"model name\s*:\s*(.*)", info.read_text("utf-8")) if info.exists() else None
    return name[1] if name else platform.machine()


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
