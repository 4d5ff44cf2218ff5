"""SIGINT and SIGTERM as a wish to stop, which a loop grants after its step."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupt:
    """Whether a signal came.

    Attributes:
        name: of the signal, such as "SIGTERM"; None as long as none came.
    """

    name: str | None = None


@contextlib.contextmanager
def catch_signals() -> Iterator[Interrupt]:
    """Note the first SIGINT or SIGTERM; a second one acts as it would have without this.

    Only the main thread can catch signals; elsewhere nothing is caught.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        interrupt.name = signal.Signals(number).name
        restore()

    for number in before:
        signal.signal(number, note)
    try:
        yield interrupt
    finally:
        restore()
