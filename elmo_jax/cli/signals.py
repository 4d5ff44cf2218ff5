"""Ctrl-C, SIGTERM and SIGHUP: one orderly end for all of them.

The first signal raises a KeyboardInterrupt wherever the program is, so that temporary files go and
finished parts stay. A second one ends the process at once, which harms as little as a kill.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

from .streams import tell

ENDINGS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
"""How the program's last line calls the end by a signal; Windows lacks some of them."""


class Stop:
    """The signal that is ending the program, if any; ``prog`` is what it calls itself."""

    number: int | None = None

    def __init__(self, prog: str) -> None:
        self.prog = prog

    @property
    def exit_code(self) -> int:
        """What a shell reports for a program that the signal ended: 130 after Ctrl-C."""
        return 128 + (self.number or signal.SIGINT)

    def last_line(self, remarks: Sequence[str] = ()) -> str:
        """The end in one word, and what is said of it."""
        ending = ENDINGS[signal.Signals(self.number or signal.SIGINT).name]
        return f"{self.prog}: {'; '.join([ending, *remarks])}"


def is_interrupt(error: BaseException | None) -> bool:
    """Whether a signal caused an error: an import that it breaks off may raise another one."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def stopping(prog: str) -> Iterator[Stop]:
    """Let signals end the program wherever it is, almost always as a KeyboardInterrupt.

    Any handler but Python's own stays, and so does that of a signal that is ignored, as SIGHUP is
    under ``nohup``: the process, or its signals, belong to somebody else.
    """
    stop = Stop(prog)

    def on_signal(number: int, frame: FrameType | None) -> None:
        is_second, stop.number = stop.number is not None, stop.number or number
        while frame is not None and not is_second:
            # An extension module that is interrupted while it loads may abort the process.
            is_second = frame.f_code.co_filename.startswith("<frozen importlib")
            frame = frame.f_back
        if is_second:
            tell(stop.last_line())
            os._exit(stop.exit_code)
        raise KeyboardInterrupt

    def on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            hook(unraisable)
            return
        # A callback of the garbage collector cannot raise: send it again after the callback.
        number = stop.number or signal.SIGINT
        is_sent = False
        while not is_sent:
            stop.number = None
            with contextlib.suppress(KeyboardInterrupt):  # on a busy machine it may come too soon
                threading.Timer(0.05, _thread.interrupt_main, (number,)).start()
                is_sent = True

    before = _handlers() if threading.current_thread() is threading.main_thread() else {}
    hook, sys.unraisablehook = sys.unraisablehook, on_unraisable
    for number in before:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _handlers() -> dict[signal.Signals, signal.Handlers]:
    """The handlers of the signals that are this program's to handle."""
    # A shell's script has the programs that it starts with & ignore SIGINT.
    if signal.getsignal(signal.SIGINT) not in (signal.default_int_handler, signal.SIG_IGN):
        return {}
    numbers = [signal.Signals[name] for name in ENDINGS if hasattr(signal, name)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    return {
        number: handler  # type: ignore[misc]
        for number, handler in handlers.items()
        if handler in (signal.default_int_handler, signal.SIG_DFL)
    }
