"""What to do when a device has no memory left."""

from __future__ import annotations

import dataclasses
import warnings

import jax

from ..counting import counted
from ..errors import DeviceMemoryWarning, ElmoError
from .plan import Plan

_LONGEST_BREAK = 64
"""Runs, at the most, between two that try the full plan."""


class NoRoomForWords(Exception):
    """A device has no memory for the word table.

    Args:
        reason: what the device said.
        n_rows: of the table.
        row_bytes: that each row takes.
    """

    def __init__(self, reason: str, n_rows: int, row_bytes: int) -> None:
        super().__init__(reason)
        self.n_rows, self.row_bytes = n_rows, row_bytes


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says so. JAX has one class for all that a device reports, by its status."""
    text = str(error).upper()
    signs = ("RESOURCE_EXHAUSTED", "OUT_OF_MEMORY")
    return isinstance(error, jax.errors.JaxRuntimeError) and any(sign in text for sign in signs)


@dataclasses.dataclass(frozen=True)
class Shortage:
    """What a device had no memory for.

    Attributes:
        reason: what the device said.
        n_lanes: that the run had.
        table: rows of the word table and bytes of each, if it was that.
    """

    reason: str
    n_lanes: int
    table: tuple[int, int] | None

    def smaller(self, plan: Plan, former: Shortage | None) -> Plan:
        """The plan to try next, with a warning.

        Args:
            plan: the one that was too large.
            former: the shortage that led to it.

        Raises:
            ElmoError: if there is nothing left to make smaller.
        """
        if self.table is None:
            fewer_lanes = plan.halved(self.n_lanes)
            if fewer_lanes is None:
                raise self._too_many_lanes()
            n_lanes = fewer_lanes.max_lanes
            _warn(
                f"with a batch of {self.n_lanes} lanes. The batch is now {n_lanes} "
                f"lane{'s' * (n_lanes > 1)}"
            )
            return fewer_lanes
        n_rows, _ = self.table
        if former is not None and former.table is not None and n_rows >= former.table[0]:
            raise self._too_many_words()
        fewer_words = plan.with_fewer_words(n_rows)
        _warn(
            f"with a word table of {n_rows:,} rows. The table now has up to "
            f"{fewer_words.word_rows[1]:,} rows"
        )
        return fewer_words

    def _too_many_lanes(self) -> ElmoError:
        return ElmoError(
            "The device ran out of memory with the smallest batch, "
            f"{counted(self.n_lanes, 'lane')}, so "
            "there is nothing left to halve. Free memory that other programs or arrays hold on "
            "it, ask for fewer layers or a pooling, take a smaller model, or use another device "
            f"(devices=...). The device said: {self.reason}"
        )

    def _too_many_words(self) -> ElmoError:
        n_rows, row_bytes = self.table or (0, 0)
        return ElmoError(
            f"The device ran out of memory for the word table: {counted(n_rows, 'row')} of "
            f"{row_bytes:,} "
            "bytes, which a single sentence needs for its distinct words. Free memory that other "
            "programs or arrays hold on it, split that sentence, take a smaller model, or use "
            f"another device (devices=...). The device said: {self.reason}"
        )


def shortage_of(error: Exception, n_lanes: int) -> Shortage:
    """What a device lacked, by what it said; any other error is raised again."""
    if isinstance(error, NoRoomForWords):
        return Shortage(str(error), n_lanes, (error.n_rows, error.row_bytes))
    if not is_out_of_memory(error):
        raise error
    return Shortage(str(error), n_lanes, None)


class Fallback:
    """A plan that was small enough for a device, for some of the runs that follow.

    What took the memory may be gone in the next run, so that one has the full plan again. The
    more often that fails, the longer is the break until it is tried again.
    """

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._n_left = self._break = 0

    def plan_for_a_run(self, full: Plan) -> Plan:
        """The plan of the next run."""
        if self._plan is None or not self._n_left:
            return full
        self._n_left -= 1
        return self._plan

    def take(self, former: Plan, smaller: Plan, full: Plan) -> None:
        """A run for which ``former`` was too large turned to ``smaller``."""
        if former is full:
            self._n_left = self._break
            self._break = min(_LONGEST_BREAK, 2 * self._break + 1)
        elif former is not self._plan:  # the run's own plan
            return
        self._plan = smaller


def _warn(what: str) -> None:
    """Say that the run goes on, and how."""
    warnings.warn(
        f"The device ran out of memory {what}; the sentences that were under way are run again.",
        DeviceMemoryWarning,
        stacklevel=4,
    )
