"""Where the engine's time goes: its compiled functions, timed one by one while it runs."""

from __future__ import annotations

import contextlib
import functools
import importlib
import pkgutil
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import jax

import elmo_jax.engine


@contextlib.contextmanager
def watched() -> Iterator[dict[str, list[float]]]:
    """Time every call of the engine's compiled functions, by name, until the context ends.

    Each call waits for the device, so that its seconds are its own; host and device, which
    otherwise work at the same time, take turns meanwhile.
    """
    seconds: dict[str, list[float]] = {}
    replaced: list[tuple[ModuleType, str, Any]] = []
    watchers: dict[int, Any] = {}
    for module in _engine_modules():
        for name, function in list(vars(module).items()):
            if callable(function) and hasattr(function, "lower") and hasattr(function, "trace"):
                replaced.append((module, name, function))
                watcher = watchers.setdefault(id(function), _watcher(name, function, seconds))
                setattr(module, name, watcher)
    try:
        yield seconds
    finally:
        for module, name, function in replaced:
            setattr(module, name, function)


def _engine_modules() -> list[ModuleType]:
    package = elmo_jax.engine
    names = [found.name for found in pkgutil.iter_modules(package.__path__)]
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


def _watcher(name: str, function: Any, seconds: dict[str, list[float]]) -> Any:
    @functools.wraps(function)
    def watch(*args: Any, **kwargs: Any) -> Any:
        jax.block_until_ready((args, kwargs))  # what it waits for is not its own
        started = time.perf_counter()
        result = jax.block_until_ready(function(*args, **kwargs))
        seconds.setdefault(name, []).append(time.perf_counter() - started)
        return result

    return watch
