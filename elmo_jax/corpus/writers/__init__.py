"""Files of vectors: one module per format.

A format's module has ``check(layout)``, which raises ElmoError for what the format cannot hold,
``notes(layout)`` with remarks for the user, ``estimated_bytes(layout)``, and ``write(path, layout,
results)``, which takes results one by one and holds as few of them as it can. Equal results give
equal bytes.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from ...errors import ElmoError
from . import delimited, hdf5, npy, npz, parquet
from .layout import FileLayout, RecordVectors

WRITERS: dict[str, ModuleType] = {
    ".h5": hdf5,
    ".hdf5": hdf5,
    ".parquet": parquet,
    ".npy": npy,
    ".npz": npz,
    ".csv": delimited,
}
"""The writer for each suffix."""

__all__ = ["WRITERS", "FileLayout", "RecordVectors", "writer_for"]


def writer_for(target: Path) -> ModuleType:
    """The writer for a file, by its suffix.

    Raises:
        ElmoError: for an unknown suffix.
    """
    if target.suffix.lower() in WRITERS:
        return WRITERS[target.suffix.lower()]
    raise ElmoError(
        f"Unknown format of {target}: expected a name that ends in {', '.join(WRITERS)}."
    )
