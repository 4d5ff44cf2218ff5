"""What is around every command: printing, signals and exit codes.

Exit codes: 0; 1 for an error, also if stdout cannot be written (a full disk, a closed file); 2 for
wrong usage; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP; 141 if the reader of the output
has gone away, as in ``elmo-jax info | head -1``, which is not an error and needs no message. The
last four are what a shell reports for a program that the signal ended.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable

from .flag_names import with_flags
from .noise import logs_on_one_line, warnings_on_one_line
from .signals import Stop, is_interrupt, stopping
from .streams import (
    StdoutFailed,
    flush_stdout,
    let_go,
    note,
    occupy_standard_files,
    printable,
    say,
    tell,
)

__all__ = [
    "READER_IS_GONE",
    "Stop",
    "framed",
    "is_interrupt",
    "leave",
    "logs_on_one_line",
    "note",
    "say",
    "tell",
    "warnings_on_one_line",
]

READER_IS_GONE = 141


def framed(prog: str, action: Callable[[Stop], int]) -> int:
    """Run ``action``, the program ``prog``, and return its exit code.

    ``action`` may change the program's name in the ``Stop`` that it gets.

    Raises:
        SystemExit: from argparse in ``action``: 0 after ``--help``, 2 for wrong usage.
    """
    occupy_standard_files()
    with printable(sys.stdout), printable(sys.stderr), stopping(prog) as stop:
        try:
            try:
                return action(stop)
            finally:  # also when argparse has printed the help and exits
                flush_stdout()
        except BaseException as error:
            if stop.number is not None or is_interrupt(error):
                is_plain = isinstance(error, KeyboardInterrupt)
                remarks = getattr(error, "__notes__", ()) if is_plain else ()
                tell(stop.last_line(list(map(with_flags, remarks))))
                return stop.exit_code
            if isinstance(error, BrokenPipeError):
                let_go(sys.stdout)
                return READER_IS_GONE
            if isinstance(error, StdoutFailed):
                let_go(sys.stdout)
                tell(f"{prog}: error: cannot write to standard output: {error}")
                return 1
            raise


def leave(exit_code: int) -> None:
    """Let a process that belongs to a command end without another word.

    After an error, threads of other libraries may still print; after Ctrl-C, so may Python itself.
    """
    with contextlib.suppress(ValueError):  # it is not the main thread
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if exit_code:
        let_go(sys.stderr)
