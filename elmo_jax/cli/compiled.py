"""The compilation cache of the program ``elmo-jax``: what XLA compiled once is kept in a folder.

A short command spends most of its time on compiling the same functions as the one before. Only
the program does this, for its own process: the library leaves such choices to its caller.
"""

from __future__ import annotations

import contextlib
import os

from ..pretrained import cache_dir

_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_LEAST_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"


def keep_compiled() -> None:
    """Name the folder ``compiled`` beside the downloaded models, before JAX is imported.

    Does nothing where the user has named a folder, or where that one cannot be written.
    """
    if _FOLDER in os.environ:
        return
    folder = cache_dir() / "compiled"
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            os.environ[_FOLDER] = str(folder)
            os.environ.setdefault(_LEAST_SECONDS, "0.2")
