"""What each kernel takes, as JAX's profiler sees it."""

from __future__ import annotations

import collections
import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from elmo_jax import ElmoError


def kernel_seconds(run: Callable[[], Any]) -> dict[str, float]:
    """Seconds of each kernel in a call, all its runs together, by the name of its instruction.

    Args:
        run: calls a function that is compiled, and nothing else.

    Raises:
        ElmoError: if the profiler saw no kernel.
    """
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(run())  # type: ignore[no-untyped-call]
        files = sorted(Path(folder).rglob("*.trace.json.gz"))
        events = [event for file in files for event in _events(file)]
    microseconds: collections.Counter[str] = collections.Counter()
    for event in events:
        name = event.get("args", {}).get("hlo_op")
        if name and "dur" in event:
            microseconds[name] += event["dur"]
    if not microseconds:
        raise ElmoError(
            "The profiler saw no kernel: expected events with the name of an operation."
        )
    return {name: found / 1e6 for name, found in microseconds.items()}


def _events(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    return found
