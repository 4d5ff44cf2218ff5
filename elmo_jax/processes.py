"""The processes of one run, on one host or several: how they join, and what they tell each other.

JAX connects them (``jax.distributed``), and all that they tell each other goes through its
collectives. So each process must call the methods of ``Processes`` in the same order as all others.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np

from .errors import ElmoError, ElmoWarning, check_count, shortened
from .forking import check_process
from .json_text import parse_json_object, to_json

P = ParamSpec("P")
R = TypeVar("R")

JOIN_SECONDS = 300
"""How long a process waits for the others before it gives up."""

_SIGNS_OF_A_LOST_PROCESS = (
    "gloo", "nccl", "coordination", "heartbeat", "connection", "socket", "unavailable",
    "deadline_exceeded",
)  # fmt: skip


class LostProcess(ElmoError):
    """Another process of the run has ended or cannot be reached."""


def join(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout: int = JOIN_SECONDS,
) -> None:
    """Make this process one of several that work as one, before anything else uses JAX.

    Afterwards ``training.train`` and ``training.evaluate``, called in each process with the same
    arguments, share the work among all devices of all processes.

    Args:
        coordinator: ``HOST:PORT`` of the first process: a name or address at which all others can
            reach its host, and a free port there.
        num_processes: number of processes.
        process_id: number of this process, from 0.
        timeout: seconds to wait for the others.

    Without arguments, JAX finds these values itself if it knows the cluster: SLURM, Open MPI, Cloud
    TPU, Kubernetes (see ``jax.distributed.initialize``, which this calls). If your code has called
    that function itself, you do not need this one.

    Raises:
        ElmoError: if JAX is already in use or does not know the cluster, or if the first process
            cannot be reached. If a process never joins, JAX ends the others after ``timeout``.

    Example:
        >>> processes.join("10.0.0.1:8476", num_processes=4, process_id=0)  # and 1, 2, 3 elsewhere
        >>> training.train("run", "corpus/*.txt", config=config)
    """
    place = (coordinator, num_processes, process_id)
    if None in place and place != (None, None, None):
        raise ElmoError(
            "Expected coordinator=, num_processes= and process_id= together, or none of them where "
            f"JAX finds the cluster; got {', '.join(map(shortened, place))}."
        )
    check_count(timeout, "timeout")
    if coordinator is not None:
        check_count(num_processes, "num_processes")
        check_count(process_id, "process_id", 0, num_processes - 1)  # type: ignore[operator]
        _check_coordinator(coordinator, process_id == 0, timeout)
    try:
        jax.distributed.initialize(
            coordinator, num_processes, process_id, initialization_timeout=timeout
        )
    except (RuntimeError, ValueError) as error:
        if coordinator is None:
            raise ElmoError(
                "JAX finds no cluster here that tells which processes belong together (SLURM, Open "
                "MPI, Cloud TPU, Kubernetes). Name them: coordinator=, num_processes= and "
                f"process_id=. JAX said: {_one_line(error)}"
            ) from error
        raise ElmoError(
            f"Cannot join the {num_processes} processes at {coordinator}: {_one_line(error)}"
        ) from error


def _check_coordinator(coordinator: str, is_first: bool, timeout: int) -> None:
    """Raise ElmoError where JAX would end the process, or wait without a word."""
    host, _, port = coordinator.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise ElmoError(
            f"The coordinator is {shortened(coordinator)}, expected HOST:PORT, such as "
            "10.0.0.1:8476."
        )
    address = (host.strip("[]"), int(port))
    if is_first:
        with contextlib.closing(socket.socket()) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("", address[1]))
            except OSError as error:
                raise ElmoError(
                    f"Cannot listen on port {port} for the other processes: {error.strerror}. "
                    "Choose another port, the same for all processes."
                ) from None
        return
    deadline = time.monotonic() + timeout
    while True:
        try:
            with contextlib.closing(socket.create_connection(address, timeout=5)):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ElmoError(
                    f"Cannot reach the first process at {coordinator} for {timeout} s: {error}. "
                    "Is it running, and may this host reach that port?"
                ) from None
            time.sleep(0.2)


@dataclasses.dataclass(frozen=True)
class Processes:
    """The processes that work together.

    Attributes:
        count: how many there are.
        index: which one this is, from 0. The first one reports and writes.
    """

    count: int
    index: int

    @classmethod
    def here(cls) -> Processes:
        """All processes that JAX has joined; one alone if it has joined none."""
        return cls(jax.process_count(), jax.process_index())

    @property
    def is_first(self) -> bool:
        """Whether this is the process that reports and writes."""
        return self.index == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is no other."""
        return self.count == 1

    def own(self, n_rows: int) -> slice:
        """The rows of this process, of N that are divided among all as evenly as possible."""
        first, end = (n_rows * number // self.count for number in (self.index, self.index + 1))
        return slice(first, end)

    def gather(self, value: Any) -> list[Any]:
        """What each process gives, ready for JSON, in the order of the processes."""
        if self.is_alone:
            return [value]
        content = _to_bytes(value)
        lengths = _all_gathered(np.array([len(content)], np.int32)).ravel()
        padded = np.zeros(lengths.max(), np.uint8)
        padded[: len(content)] = content
        rows = _all_gathered(padded).reshape(self.count, -1)
        return [_from_bytes(row[:length]) for row, length in zip(rows, lengths, strict=True)]

    def first(self, function: Callable[[], R]) -> R:
        """Call ``function`` in the first process, and return its result, ready for JSON, in all.

        Raises:
            ElmoError: in the others, if it fails in the first, where its own error is raised.
        """
        if self.is_alone:
            return function()
        result, failure = None, None
        if self.is_first:
            try:
                result = function()
            except BaseException as error:
                failure = error
        content = _to_bytes([result, _description(failure)])
        length = int(self.arrays_of_first(np.array(len(content), np.int32)))
        padded = np.zeros(length, np.uint8)
        if self.is_first:
            padded[:] = content
        result, problem = _from_bytes(self.arrays_of_first(padded))
        if failure is not None:
            raise _in_all(failure)
        if problem is not None:
            raise _in_all(ElmoError(f"The first process has stopped: {problem}"))
        return result

    def arrays_of_first(self, tree: Any) -> Any:
        """The arrays of the first process, in NumPy; those of the others have the same shapes."""
        if self.is_alone:
            return tree
        with _explained():
            from jax.experimental import multihost_utils

            return jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(tree))

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """A context in which each works by itself. If one fails there, all raise at its end."""
        try:
            yield
        except BaseException as error:
            if not self.is_alone:
                self.gather(_description(error))
                _in_all(error)
            raise
        if not self.is_alone:
            self.raise_failure(None)

    def raise_failure(self, failure: BaseException | None) -> None:
        """Raise this process's failure, or else that of another; all must call this."""
        problems = self.gather(_description(failure))
        if failure is not None:
            raise _in_all(failure)
        for number, problem in enumerate(problems):
            if problem is not None:
                text = f"Process {number} of the {self.count} has stopped: {problem}"
                raise _in_all(ElmoError(text))

    def check_same(self, value: Any, difference: str) -> None:
        """Raise ElmoError in all unless each gives the same value, ready for JSON."""
        if self.is_alone:
            return
        digests = self.gather(hashlib.sha256(to_json(value).encode()).hexdigest())
        others = [str(i) for i, digest in enumerate(digests) if digest != digests[0]]
        if others:
            raise _in_all(
                ElmoError(f"Process {', '.join(others)} {difference} than the first process.")
            )

    @contextlib.contextmanager
    def only_first(self, context: contextlib.AbstractContextManager[None]) -> Iterator[None]:
        """Enter a context in the first process alone."""
        with contextlib.ExitStack() as stack:
            self.first(lambda: stack.enter_context(context))
            yield


ALONE = Processes(1, 0)


def shared(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that all processes call: only the first one warns of anything.

    Where JAX notices that another process has gone, the function raises LostProcess.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        check_process()  # before JAX is asked for anything
        if jax.process_count() == 1:
            return function(*args, **kwargs)
        try:
            with warnings.catch_warnings():
                if jax.process_index() > 0:
                    warnings.simplefilter("ignore", ElmoWarning)
                return function(*args, **kwargs)
        except (ValueError, RuntimeError) as error:  # JAX's errors, and what it raises for gloo's
            is_sign = any(sign in str(error).lower() for sign in _SIGNS_OF_A_LOST_PROCESS)
            if isinstance(error, ElmoError) or not is_sign:
                raise
            raise _lost(error) from error

    return call


def is_in_all(error: BaseException) -> bool:
    """Whether all processes raise an error at the same moment, so that each can end in order."""
    return getattr(error, "is_in_all_processes", False)


def _in_all(error: BaseException) -> BaseException:
    error.is_in_all_processes = True  # type: ignore[attr-defined]
    return error


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (ValueError, RuntimeError) as error:
        raise _lost(error) from error


def _lost(error: BaseException) -> LostProcess:
    return LostProcess(
        "Another process of this run has ended, or cannot be reached. See what it said; then start "
        f"all {jax.process_count()} again with the same command: training resumes from the last "
        f"checkpoint. JAX said: {_one_line(error)}"
    )


def _all_gathered(array: np.ndarray) -> np.ndarray:
    with _explained():
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(array))


def _description(error: BaseException | None) -> str | None:
    if error is None:
        return None
    message = _one_line(error)
    return message if isinstance(error, ElmoError) else f"{type(error).__name__}: {message}"


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < 400 else text[:400] + "…"


def _to_bytes(value: Any) -> np.ndarray:
    return np.frombuffer(to_json({"value": value}).encode(), np.uint8)


def _from_bytes(content: np.ndarray) -> Any:
    return parse_json_object(content.tobytes(), "what a process said")["value"]
