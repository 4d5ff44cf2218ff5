"""What other libraries print while a command runs: warnings and logs as one line, or nothing."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator

from ..errors import ElmoWarning, MissingFontWarning
from .flag_names import with_flags
from .streams import tell


@contextlib.contextmanager
def warnings_on_one_line(prog: str, quiet: bool) -> Iterator[None]:
    """Show each warning as one line, without its place in the code.

    With ``quiet``, show only the warnings of this library about the numbers in a result.
    """

    def show(message: Warning | str, *_: object, **__: object) -> None:
        line = " ".join(str(message).split())
        tell(f"{prog}: warning: {with_flags(line) if isinstance(message, ElmoWarning) else line}")

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
def logs_on_one_line(prog: str, quiet: bool) -> Iterator[None]:
    """Show each log record of other libraries as one line, without traceback; none if ``quiet``.

    Where the process logs already, its logs stay as they are.
    """
    import logging  # here: a help text does without it

    class OneLine(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not quiet:
                level = record.levelname.lower()
                line = " ".join(record.getMessage().split())
                is_ours = record.name.startswith("elmo_jax.")
                tell(f"{prog}: {level}: {with_flags(line) if is_ours else line}")

    if logging.root.handlers:
        yield
        return
    handler = OneLine(logging.WARNING)
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
