"""Several processes as one command, each started with the same arguments but for its number."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from .flags import add_flags
from .signals import is_interrupt
from .streams import prints_of_libraries_on_stderr

_FLAGS = ("coordinator", "num_processes", "process_id")

_LAST_WORDS = """
import sys
sys.stdin.read(1) or print(sys.argv[1], file=sys.stderr)
"""
"""What a program of its own prints when this one ends without having written to it."""


def add_process_flags(parser: argparse.ArgumentParser) -> None:
    """Declare how a process finds the others."""
    group = parser.add_argument_group("several processes, on one host or more")
    add_flags(group, "--coordinator", "--num-processes", "--process-id", "--distributed")


@contextlib.contextmanager
def joined(args: argparse.Namespace) -> Iterator[None]:
    """Join the other processes if the flags say so; ``args.reports`` is False in all but the first.

    An error that all raise together ends each in order. After any other, the rest may be waiting
    for this process in a collective, and it for them when Python ends: so it ends at once, and
    they learn of it.
    """
    place = {name: getattr(args, name) for name in _FLAGS}
    if not args.distributed and all(value is None for value in place.values()):
        yield
        return
    # JAX's collectives on CPUs print a greeting.
    with _last_words(args.prog) as farewell, prints_of_libraries_on_stderr():
        from ..processes import Processes, is_in_all, join

        join(**place)
        args.reports = Processes.here().is_first
        if not args.reports:
            args.quiet = True
            logging.getLogger("elmo_jax").setLevel(logging.CRITICAL)
        try:
            yield
        except BaseException as error:
            if not is_in_all(error):
                atexit.register(os._exit, 130 if is_interrupt(error) else 1)
            raise
        finally:
            farewell()


@contextlib.contextmanager
def _last_words(prog: str) -> Iterator[Any]:
    """Let another program explain the end of this one if JAX aborts it.

    JAX does so, with a page of its own, when the first process has gone, or when one does not come.
    """
    words = (
        f"{prog}: error: JAX has ended this process because another one of the run has gone, or "
        "did not come. See what that one said, and start all of them again with the same command; "
        "a training run resumes from its last checkpoint."
    )
    command = [sys.executable, "-I", "-c", _LAST_WORDS, words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ) as watcher:
        stdin: Any = watcher.stdin

        def farewell() -> None:
            with contextlib.suppress(OSError, ValueError):
                stdin.write(b".")
                stdin.close()

        try:
            yield farewell
        finally:
            farewell()
