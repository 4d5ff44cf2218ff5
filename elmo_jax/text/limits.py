"""How long a line or record of a text may be.

Without a limit, one file of zeros, or one quotation mark that is never closed, would fill the
memory. It holds for every format, in the library and in commands.
"""

from __future__ import annotations

import os
import re

from ..errors import ElmoError, shortened

VARIABLE = "ELMO_JAX_MAX_RECORD_BYTES"
"""The environment variable that sets the limit."""

DEFAULT_BYTES = 64 << 20
LEAST_BYTES = 1 << 16

ROW_OVERHEAD = 64
"""Counted beside the bytes of each line in a record of many: Python's objects take memory too."""


def max_record_bytes() -> int:
    """The most bytes that a line or record may have, decompressed and in UTF-8.

    Raises:
        ElmoError: if the environment variable is not a whole number of at least 65,536.
    """
    setting = os.environ.get(VARIABLE, "")
    if not setting:
        return DEFAULT_BYTES
    if not re.fullmatch("[0-9]{1,18}", setting) or int(setting) < LEAST_BYTES:
        raise ElmoError(
            f"The environment variable {VARIABLE} is {shortened(setting)}, expected a whole number "
            f"of at least {LEAST_BYTES:,}: the most bytes of a line or record of text."
        )
    return int(setting)


def too_long(where: str, what: str, most_bytes: int) -> ElmoError:
    """The error for a line or record, ``what``, of more than ``most_bytes``."""
    return ElmoError(
        f"{where}: {what} takes more than {most_bytes:,} bytes, the most for a line or record. If "
        f"it really is so long, set the environment variable {VARIABLE} to a larger number."
    )
