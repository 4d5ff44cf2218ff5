"""The standard streams of a command, whatever is closed, full, or gone at the other end.

Characters that a stream's encoding lacks are printed as escapes. What cannot be written to stderr
is lost: no run fails because of a note.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO


class StdoutFailed(Exception):
    """The output cannot be written."""


def say(text: str) -> None:
    """Print a result on stdout; call it inside ``framed``, which handles failures."""
    if sys.stdout is None or sys.stdout.closed:
        raise StdoutFailed("it is closed")
    _print(text + "\n")


def flush_stdout() -> None:
    """Write what stdout still holds."""
    if sys.stdout is not None and not sys.stdout.closed:
        _print(None)  # a full disk may refuse even an empty text


def _print(text: str | None) -> None:
    try:
        if text is not None:
            sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StdoutFailed(error.strerror or str(error)) from None


def tell(message: str) -> None:
    """Print a message on stderr, if that is possible."""
    if sys.stderr is not None:  # print() takes None for stdout
        # RuntimeError: a signal came while something was being printed.
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            print(message, file=sys.stderr, flush=True)


def note(args: argparse.Namespace, message: str) -> None:
    """Print a message on stderr, unless ``--quiet``."""
    if not args.quiet:
        tell(message)


@contextlib.contextmanager
def printable(stream: TextIO | None) -> Iterator[None]:
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
def prints_of_libraries_on_stderr() -> Iterator[None]:
    """Keep stdout for results: what libraries in C or C++ print meanwhile goes to stderr."""
    flush_stdout()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        if os.name != "nt":
            ctypes.CDLL(None).fflush(None)  # their prints may still be in a buffer
        os.dup2(stdout, 1)
        os.close(stdout)


def occupy_standard_files() -> None:
    """Open those that are closed: a later file would get the number, and libraries' prints."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system assigns the lowest free number


def let_go(stream: TextIO | None) -> None:
    """Drop what the stream still holds, and all that is written to it from now on."""
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
