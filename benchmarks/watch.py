"""The engine's compiled functions, replaced: timed one by one, or by a device that does nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp

import elmo_jax.engine
from elmo_jax.engine import engine
from elmo_jax.engine.plan import plan_for

from .measure import timed


@dataclasses.dataclass
class Watched:
    """What the calls of one compiled function took, in seconds.

    Attributes:
        trace: making the jaxpr and its lowering, all shapes together.
        compile: by XLA, all shapes together.
        calls: each call, until its results were there, tracing and compiling not included.
    """

    trace: float = 0.0
    compile: float = 0.0
    calls: list[float] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def watched() -> Iterator[dict[str, Watched]]:
    """Time every call of the engine's compiled functions, by name, until the context ends.

    Each call waits for the device, so that its seconds are its own; host and device, which
    otherwise work at the same time, take turns meanwhile.
    """
    found: dict[str, Watched] = {}
    with _replaced(functools.partial(_watcher, found=found)):
        yield found


@contextlib.contextmanager
def idle_device() -> Iterator[None]:
    """An accelerator that does nothing: what leaves a compiled function are zeros.

    For what is opened within the context, the host does all that it does for an accelerator, but
    for starting the calls and for copying to and from another memory.
    """
    plan = plan_for("gpu")
    with _replaced(_idle), mock.patch.object(engine, "plan_for", lambda platform: plan):
        yield


@contextlib.contextmanager
def _replaced(make: Callable[[str, Any], Any]) -> Iterator[None]:
    """Put what ``make`` gives for a name and a compiled function in its place."""
    replaced: list[tuple[ModuleType, str, Any]] = []
    for module in _engine_modules():
        for name, function in list(vars(module).items()):
            if callable(function) and hasattr(function, "lower") and hasattr(function, "trace"):
                replaced.append((module, name, function))
                setattr(module, name, make(name, function))
    try:
        yield
    finally:
        for module, name, function in replaced:
            setattr(module, name, function)


def _engine_modules() -> list[ModuleType]:
    package = elmo_jax.engine
    names = [found.name for found in pkgutil.iter_modules(package.__path__)]
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


def _idle(name: str, function: Any) -> Any:
    if name == "_write_words":  # which writes into what it is given
        return lambda params, words, *_: words
    known: dict[Any, Any] = {}

    @functools.wraps(function)
    def idle(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = jax.tree.flatten((args, kwargs))
        # What has no shape is static, and has to be hashable.
        key = tree, tuple((leaf.shape, leaf.dtype) if _is_array(leaf) else leaf for leaf in leaves)
        if key not in known:
            shapes = function.eval_shape(*args, **kwargs)
            known[key] = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return known[key]

    return idle


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _watcher(name: str, function: Any, found: dict[str, Watched]) -> Any:
    @functools.wraps(function)
    def watch(*args: Any, **kwargs: Any) -> Any:
        mine = found.setdefault(name, Watched())
        timed(lambda: (args, kwargs))  # what it waits for is not its own
        # JAX keeps both by the shapes: they take time once, and the call below finds them.
        started = time.perf_counter()
        lowered = function.trace(*args, **kwargs).lower()
        traced = time.perf_counter()
        lowered.compile()
        mine.compile += time.perf_counter() - traced
        mine.trace += traced - started
        started = time.perf_counter()
        result = function(*args, **kwargs)
        timed(lambda: result)
        mine.calls.append(time.perf_counter() - started)
        return result

    return watch
