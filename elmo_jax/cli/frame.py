"""What is around every command: printing, warnings, interrupts and exit codes.

Exit codes: 0; 1 for an error, also where stdout cannot be written (a full disk, a closed file);
2 for a wrong usage; 130 when interrupted; 141 where the reader of the output has gone away, as in
``elmo-jax info | head -1``, which is no error and needs no message. The last two are what a shell
says of a program that SIGINT or SIGPIPE has ended.

Characters that the encoding of a terminal lacks are printed as escapes. What cannot be written to
stderr is lost: no run fails for a note.
"""

from __future__ import annotations

import _thread
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
    """Run a program.

    Args:
        prog: what it is called in messages.
        action: does its work, and gives the exit code.

    Returns:
        The exit code.

    Raises:
        SystemExit: what argparse raises in ``action``: 0 after ``--help``, 2 for a wrong usage.
    """
    _occupy_standard_files()
    with _printable(sys.stdout), _printable(sys.stderr):
        try:
            try:
                with _interruptible(prog):
                    return action()
            finally:  # argparse prints the help, too, and exits
                _flush()
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
    """Whether Ctrl-C caused an error: imports that it breaks off may say something else."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


class _StdoutFailed(Exception):
    """What was printed cannot be written."""


def say(text: str) -> None:
    """Print a result; only inside ``framed``, which knows what to do if that fails."""
    if sys.stdout is None or sys.stdout.closed:
        raise _StdoutFailed("it is closed")
    with _failures_of_stdout():
        print(text, flush=True)


def _flush() -> None:
    if sys.stdout is not None and not sys.stdout.closed:
        with _failures_of_stdout():
            sys.stdout.flush()


@contextlib.contextmanager
def _failures_of_stdout() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _StdoutFailed(error.strerror or str(error)) from None


def tell(message: str) -> None:
    """Print something on stderr, if that is possible."""
    if sys.stderr is not None:  # None would stand for stdout
        with contextlib.suppress(OSError, ValueError):
            print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def warnings_on_one_line(prog: str, quiet: bool) -> Iterator[None]:
    """Show each warning as one line without the place in the code.

    Args:
        prog: what the program is called.
        quiet: show only warnings of this library about the numbers in a result.
    """

    def show(message: Warning | str, *_: object, **__: object) -> None:
        tell(f"{prog}: warning: {' '.join(str(message).split())}")

    with warnings.catch_warnings():
        if not sys.warnoptions:  # otherwise the user has said what to do with them
            if quiet:
                warnings.simplefilter("ignore")
            warnings.simplefilter("always", ElmoWarning)
            if quiet:
                warnings.simplefilter("ignore", MissingFontWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def _printable(stream: TextIO | None) -> Iterator[None]:
    """Have characters that the stream's encoding lacks printed as escapes."""
    if not isinstance(stream, io.TextIOWrapper) or stream.closed:
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):  # it flushes
            stream.reconfigure(errors=before)


@contextlib.contextmanager
def _interruptible(prog: str) -> Iterator[None]:
    """Let Ctrl-C end the program wherever it comes; it is KeyboardInterrupt almost everywhere."""

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            # An extension module that cannot be initialised may abort the process.
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                tell(f"{prog}: interrupted")
                os._exit(INTERRUPTED)
            frame = frame.f_back
        raise KeyboardInterrupt

    def on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
        # A callback of the garbage collector has dropped it: again, once that has returned.
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            threading.Timer(0.01, _thread.interrupt_main).start()
        else:
            hook(unraisable)

    # Another handler than Python's own stays: the process belongs to somebody else.
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
    """Give a closed standard file's number to the null device.

    Otherwise the next file that is opened gets it, and what a library prints goes into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free


def _let_go(stream: TextIO | None) -> None:
    """Have what the stream still holds go nowhere, so that the interpreter's end is quiet."""
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
