"""What is around every command: printing, warnings, interrupts and exit codes.

Exit codes: 0; 1 for an error, also if stdout cannot be written (a full disk, a closed file); 2 for
wrong usage; 130 after Ctrl-C; 141 if the reader of the output has gone away, as in
``elmo-jax info | head -1``, which is not an error and needs no message. The last two are what a
shell reports for a program that SIGINT or SIGPIPE ended.

Characters that the terminal's encoding lacks are printed as escapes. What cannot be written to
stderr is lost: no run fails because of a note.
"""

from __future__ import annotations

import _thread
import argparse
import contextlib
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TextIO

from ..errors import ElmoWarning, MissingFontWarning

INTERRUPTED, READER_IS_GONE = 130, 141


def framed(prog: str, action: Callable[[], int]) -> int:
    """Run ``action``, the program ``prog``, and return its exit code.

    Raises:
        SystemExit: from argparse in ``action``: 0 after ``--help``, 2 for wrong usage.
    """
    _occupy_standard_files()
    with _printable(sys.stdout), _printable(sys.stderr):
        try:
            try:
                with _interruptible(prog):
                    return action()
            finally:  # also when argparse has printed the help and exits
                if sys.stdout is not None and not sys.stdout.closed:
                    _print("")  # flushes
        except BrokenPipeError:
            _let_go(sys.stdout)
            return READER_IS_GONE
        except _StdoutFailed as error:
            _let_go(sys.stdout)
            tell(f"{prog}: error: cannot write to standard output: {error}")
            return 1
        except BaseException as error:
            if not is_interrupt(error):
                raise
            tell(f"{prog}: interrupted")
            return INTERRUPTED


def is_interrupt(error: BaseException | None) -> bool:
    """Whether Ctrl-C caused an error: an import that it breaks off may raise another one."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


class _StdoutFailed(Exception):
    """The output cannot be written."""


def say(text: str) -> None:
    """Print a result on stdout; call it inside ``framed``, which handles failures."""
    if sys.stdout is None or sys.stdout.closed:
        raise _StdoutFailed("it is closed")
    _print(text + "\n")


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _StdoutFailed(error.strerror or str(error)) from None


def tell(message: str) -> None:
    """Print a message on stderr, if that is possible."""
    if sys.stderr is not None:  # print() takes None for stdout
        with contextlib.suppress(OSError, ValueError):
            print(message, file=sys.stderr, flush=True)


def note(args: argparse.Namespace, message: str) -> None:
    """Print a message on stderr, unless ``--quiet``."""
    if not args.quiet:
        tell(message)


@contextlib.contextmanager
def warnings_on_one_line(prog: str, quiet: bool) -> Iterator[None]:
    """Show each warning as one line, without its place in the code.

    With ``quiet``, show only the warnings of this library about the numbers in a result.
    """

    def show(message: Warning | str, *_: object, **__: object) -> None:
        tell(f"{prog}: warning: {' '.join(str(message).split())}")

    with warnings.catch_warnings():
        if not sys.warnoptions:  # otherwise ``python -W`` decides
            if quiet:
                warnings.simplefilter("ignore")
            warnings.simplefilter("always", ElmoWarning)
            if quiet:
                warnings.simplefilter("ignore", MissingFontWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def _printable(stream: TextIO | None) -> Iterator[None]:
    """Print characters that the stream's encoding lacks as escapes."""
    if not isinstance(stream, io.TextIOWrapper) or stream.closed:
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):  # reconfigure() flushes
            stream.reconfigure(errors=before)


@contextlib.contextmanager
def _interruptible(prog: str) -> Iterator[None]:
    """Let Ctrl-C end the program wherever it is, almost always as a KeyboardInterrupt."""

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            # An extension module that is interrupted while it loads may abort the process.
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                tell(f"{prog}: interrupted")
                os._exit(INTERRUPTED)
            frame = frame.f_back
        raise KeyboardInterrupt

    def on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
        # A callback of the garbage collector cannot raise: send it again after the callback.
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            threading.Timer(0.01, _thread.interrupt_main).start()
        else:
            hook(unraisable)

    # Any handler but Python's own stays: the process belongs to somebody else.
    is_own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    is_own = is_own and threading.current_thread() is threading.main_thread()
    hook, sys.unraisablehook = sys.unraisablehook, on_unraisable
    if is_own:
        signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if is_own:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _occupy_standard_files() -> None:
    # If one is closed, the next opened file gets its number, and what a library prints goes there.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system assigns the lowest free number


def _let_go(stream: TextIO | None) -> None:
    """Drop what the stream still holds, so that the interpreter exits without a message."""
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
