"""What to do when a device has no memory left: smaller plans for the engine, else a clear error."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import jax

from ..errors import DeviceMemoryWarning, ElmoError, counted, warn
from .plan import Plan

P = ParamSpec("P")
R = TypeVar("R")

_MOST_RUNS_BETWEEN_TRIES = 64
"""The most runs between two that try the full plan."""


class NoRoomForWords(Exception):
    """A device has no memory for a word table of ``n_rows``."""

    def __init__(self, reason: str, n_rows: int, row_bytes: int) -> None:
        super().__init__(reason)
        self.n_rows, self.row_bytes = n_rows, row_bytes


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device has no memory left."""
    # JAX raises one class for all that a device reports. Only the message has the status.
    text = str(error).upper()
    signs = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY")
    return isinstance(error, jax.errors.JaxRuntimeError) and any(sign in text for sign in signs)


def explain_out_of_memory(advice: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that it raises ElmoError, with the advice, when out of memory."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        # Not a context manager: its frame would hide the caller from warnings.
        @functools.wraps(function)
        def explained(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except (MemoryError, jax.errors.JaxRuntimeError) as error:
                if not (isinstance(error, MemoryError) or is_out_of_memory(error)):
                    raise
                reason = " ".join(str(error).split()) or "out of memory"
                raise ElmoError(
                    f"There is not enough memory. {advice} The device said: {reason:.200}"
                ) from error

        return explained

    return decorate


@dataclasses.dataclass(frozen=True)
class Shortage:
    """What a device had no memory for."""

    reason: str  # what the device said
    n_lanes: int  # of the run
    table: tuple[int, int] | None  # rows of the word table and bytes of each, if it was that

    @classmethod
    def from_error(cls, error: Exception, n_lanes: int) -> Shortage:
        """The shortage that an error reports; any other error is raised again."""
        if isinstance(error, NoRoomForWords):
            return cls(str(error), n_lanes, (error.n_rows, error.row_bytes))
        if not is_out_of_memory(error):
            raise error
        return cls(str(error), n_lanes, None)

    def is_full_size(self, plan: Plan) -> bool:
        """Whether the device lacked memory for all that a plan allows, not for a part of it."""
        if self.table is None:
            return self.n_lanes >= plan.max_lanes
        n_rows, row_bytes = self.table
        return n_rows >= plan.rows_of_words(row_bytes)[1]

    def smaller(self, plan: Plan, former: Shortage | None) -> Plan:
        """The plan to try after ``plan``, which the shortage ``former`` had led to.

        Raises:
            ElmoError: if nothing can be made smaller.
        """
        if self.table is None:
            fewer_lanes = plan.halved(self.n_lanes)
            if fewer_lanes is None:
                lanes = counted(self.n_lanes, "lane")
                raise self._error(
                    f"with the smallest batch, {lanes}, so there is nothing left to halve",
                    "ask for fewer layers or a pooling",
                )
            return fewer_lanes
        n_rows, row_bytes = self.table
        if former is not None and former.table is not None and n_rows >= former.table[0]:
            raise self._error(
                f"for the word table: {counted(n_rows, 'row')} of {row_bytes:,} bytes, which a "
                "single sentence needs for its distinct words",
                "split that sentence",
            )
        return plan.with_fewer_words(n_rows)

    def _error(self, what: str, remedy: str) -> ElmoError:
        return ElmoError(
            f"The device ran out of memory {what}. Free memory that other programs or arrays hold "
            f"on it, {remedy}, take a smaller model, or use another device (devices=...). The "
            f"device said: {self.reason}"
        )


class ShortageLog:
    """The shortages that one run survived."""

    def __init__(self, first_plan: Plan) -> None:
        self.first_plan = first_plan
        self.was_full_size = False  # whether there was no room for all that this plan allows
        self._warned: set[str] = set()

    def add(self, shortage: Shortage) -> None:
        """Note a shortage; warn of the first of each kind."""
        self.was_full_size |= shortage.is_full_size(self.first_plan)
        if shortage.table is None:
            size, smaller = f"a batch of {shortage.n_lanes} lanes", "smaller batches"
        else:
            size, smaller = f"a word table of {shortage.table[0]:,} rows", "a smaller table"
        if smaller not in self._warned:
            self._warned.add(smaller)
            warn(
                f"The device ran out of memory with {size}. This run continues with {smaller}, and "
                "repeats the sentences that it was working on.",
                DeviceMemoryWarning,
            )


class Fallback:
    """A plan that was small enough for a device, for some of the runs that follow.

    Other programs may free their memory at any time, so the full plan is tried again. The more
    often it fails in a row, the more runs start with the smaller plan before the next try.
    """

    def __init__(self, full: Plan) -> None:
        self._full = full
        self.forget()

    def forget(self) -> None:
        """Start the next run with the full plan."""
        self._smaller = self._full
        self._n_left = self._n_next = 0  # runs until the next try, and after it should it fail

    def plan_for_a_run(self) -> Plan:
        """The plan of the next run."""
        if not self._n_left:
            return self._full
        self._n_left -= 1
        return self._smaller

    def learn(self, shortages: ShortageLog, last_plan: Plan) -> None:
        """Learn from a run that ended with ``last_plan``.

        Only a run that started with the full plan shows whether there is room for it. A small run
        that found no room for its few lanes or words does not hold larger runs back.
        """
        if shortages.first_plan is not self._full:
            return
        if last_plan is self._full:
            self.forget()
        elif shortages.was_full_size:
            self._smaller, self._n_left = last_plan, self._n_next
            self._n_next = min(_MOST_RUNS_BETWEEN_TRIES, 2 * self._n_next + 1)
