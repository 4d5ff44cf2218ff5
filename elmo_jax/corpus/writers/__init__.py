"""Files of vectors: one module per format, each with the functions of ``Writer``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ...errors import ElmoError
from . import delimited, hdf5, npy, npz, parquet
from .layout import FileLayout, RecordVectors

__all__ = ["WRITERS", "FileLayout", "RecordVectors", "Writer", "writer_for"]


class Writer(Protocol):
    """What the module of a format has."""

    def check(self, layout: FileLayout) -> None:
        """Raise ElmoError for what the format cannot hold."""

    def notes(self, layout: FileLayout) -> Iterator[str]:
        """Remarks for the user."""

    def estimated_bytes(self, layout: FileLayout) -> int:
        """The approximate size of the file."""

    def write(self, path: Path, layout: FileLayout, results: RecordVectors) -> None:
        """Write results one by one, in bounded memory. Equal results give equal bytes."""


WRITERS: dict[str, Writer] = {
    ".h5": hdf5,
    ".hdf5": hdf5,
    ".parquet": parquet,
    ".npy": npy,
    ".npz": npz,
    ".csv": delimited,
}
"""The writer for each suffix."""


def writer_for(target: Path) -> Writer:
    """The writer for a file, by its suffix.

    Raises:
        ElmoError: for an unknown suffix.
    """
    if target.suffix.lower() in WRITERS:
        return WRITERS[target.suffix.lower()]
    raise ElmoError(
        f"Unknown format of {target}: expected a name that ends in {', '.join(WRITERS)}."
    )
