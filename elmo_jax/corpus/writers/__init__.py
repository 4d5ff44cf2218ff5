"""Files of vectors, one module a format.

A format is a module with ``check(layout)``, which raises ElmoError for what it cannot hold,
``notes(layout)``, ``estimated_bytes(layout)``, and ``write(path, layout, results)``, which takes
results one after the other and holds no more of them than it must. Equal results give equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from ...errors import ElmoError
from . import delimited, hdf5, npy, npz, parquet
from .layout import Layout, Results

FORMATS: dict[str, ModuleType] = {
    ".h5": hdf5,
    ".hdf5": hdf5,
    ".parquet": parquet,
    ".npy": npy,
    ".npz": npz,
    ".csv": delimited,
}
"""Suffixes -> formats."""

__all__ = ["FORMATS", "Layout", "Results", "writer_for"]


def writer_for(target: Path) -> ModuleType:
    """The format that a file's suffix names.

    Raises:
        ElmoError: if it names none.
    """
    if target.suffix.lower() in FORMATS:
        return FORMATS[target.suffix.lower()]
    ending = f"the suffix {target.suffix}" if target.suffix else "no suffix"
    raise ElmoError(
        f"{target} has {ending}, which tells no format; expected one of {', '.join(FORMATS)}."
    )
