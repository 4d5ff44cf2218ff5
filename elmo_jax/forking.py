"""JAX does not survive a fork: its threads stay in the parent, so the child would wait for ever."""

from __future__ import annotations

import os
import sys

from .errors import ElmoError

_process_of_jax: int | None = None  # where this library, or JAX before a fork, was first in use


def check_process() -> None:
    """To be called before JAX is used.

    Raises:
        ElmoError: if this process was forked from one in which JAX was in use.
    """
    global _process_of_jax
    if _process_of_jax is None:
        _process_of_jax = os.getpid()
    if _process_of_jax != os.getpid():
        raise ElmoError(
            f"This process ({os.getpid()}) was forked from one in which JAX was in use "
            f"({_process_of_jax}). JAX's threads stay behind in a fork, so the call would never "
            'end. Start the workers by "spawn" or "forkserver" instead: '
            'multiprocessing.get_context("spawn"), DataLoader(multiprocessing_context="spawn"), '
            'joblib\'s backend "loky". Or open the model in the workers alone, and use JAX '
            "nowhere before they start."
        )


def _before_fork() -> None:
    """Note a use of JAX that was not through this library."""
    global _process_of_jax
    bridge = sys.modules.get("jax._src.xla_bridge")  # nothing public says so
    in_use = getattr(bridge, "backends_are_initialized", None)
    if _process_of_jax is None and in_use is not None and in_use():
        _process_of_jax = os.getpid()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_before_fork)
