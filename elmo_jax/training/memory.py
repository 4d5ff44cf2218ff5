"""A clear error where a computation needs more memory than there is."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

from ..engine.memory import is_out_of_memory
from ..errors import ElmoError

P = ParamSpec("P")
R = TypeVar("R")


def tell_out_of_memory(advice: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function raise ElmoError, with the advice, where it runs out of memory."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        # Not a context manager: its frame would hide the caller from warnings.
        @functools.wraps(function)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except (MemoryError, jax.errors.JaxRuntimeError) as error:
                if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
                    raise
                reason = " ".join(str(error).split()) or "out of memory"
                raise ElmoError(
                    f"There is not enough memory. {advice} The device said: {reason:.200}"
                ) from error

        return told

    return decorate
