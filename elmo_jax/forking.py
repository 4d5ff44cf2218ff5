"""JAX does not survive a fork: its threads stay in the parent, so a child would wait for ever."""

from __future__ import annotations

import os
import sys

from .errors import ElmoError

_process_of_jax: int | None = None  # the process that first used JAX


def check_process() -> None:
    """Raise ElmoError if this process was forked from one that used JAX; call before using it."""
    global _process_of_jax
    if _process_of_jax is None:
        _process_of_jax = os.getpid()
    if _process_of_jax != os.getpid():
        raise ElmoError(
            f"This process ({os.getpid()}) was forked from one in which JAX was in use "
            f"({_process_of_jax}). JAX's threads stay behind in a fork, so the call would never "
            'end. Start the workers with "spawn" or "forkserver" instead: '
            'multiprocessing.get_context("spawn"), DataLoader(multiprocessing_context="spawn"), '
            'joblib\'s backend "loky". Or open the model only in the workers, and do not use '
            "JAX before they start."
        )


def _before_fork() -> None:
    # JAX may be in use through other code than this library.
    global _process_of_jax
    bridge = sys.modules.get("jax._src.xla_bridge")  # JAX has no public function for this
    in_use = getattr(bridge, "backends_are_initialized", None)
    if _process_of_jax is None and in_use is not None and in_use():
        _process_of_jax = os.getpid()


# After a fork it is too late: the child cannot see whether the parent used JAX before.
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_before_fork)
