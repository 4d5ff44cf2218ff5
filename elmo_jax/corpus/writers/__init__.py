"""Files of vectors: one module per format."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ...errors import ElmoError
from . import delimited, hdf5, npy, npz, parquet, word_lines
from .layout import FileLayout, RecordVectors
from .sentence_keys import SENTENCE_KEYS, SentenceKeyChecker

__all__ = [
    "SENTENCE_KEYS",
    "WRITERS",
    "FileLayout",
    "RecordVectors",
    "SentenceKeyChecker",
    "Writer",
    "check_layout",
    "writer_for",
]


class Writer(NamedTuple):
    """The functions of a format."""

    # Writes results one by one, in bounded memory. Equal results give equal bytes.
    write: Callable[[Path, FileLayout, RecordVectors], None]
    estimated_bytes: Callable[[FileLayout], int]
    # Raises ElmoError for what the format cannot hold.
    check: Callable[[FileLayout], object] = lambda _: None
    # Remarks for the user.
    notes: Callable[[FileLayout], Iterable[str]] = lambda _: ()


_HDF5 = Writer(hdf5.write, hdf5.estimated_bytes, notes=hdf5.notes)
_CSV = Writer(delimited.write, delimited.estimated_bytes, delimited.check, delimited.notes)
_WORD_LINES = Writer(
    word_lines.write, word_lines.estimated_bytes, word_lines.check, word_lines.notes
)

WRITERS = {
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".parquet": Writer(parquet.write, parquet.estimated_bytes, parquet.check),
    ".npy": Writer(npy.write, npy.estimated_bytes, npy.check, npy.notes),
    ".npz": Writer(npz.write, npz.estimated_bytes, npz.check),
    ".csv": _CSV,
    ".tsv": _CSV._replace(write=functools.partial(delimited.write, delimiter="\t")),
    ".vec": _WORD_LINES,
    ".txt": _WORD_LINES,
}
"""The writer for each suffix."""


def writer_for(target: Path) -> Writer:
    """The writer for a file, by its suffix."""
    if target.suffix.lower() in WRITERS:
        return WRITERS[target.suffix.lower()]
    raise ElmoError(
        f"Unknown format of {target}: expected a name that ends in {', '.join(WRITERS)}."
    )


def check_layout(target: Path, layout: FileLayout) -> None:
    """Raise ElmoError if the format of a file cannot hold what is to be written."""
    writer = writer_for(target)
    if layout.sentence_keys is not None and writer is not _HDF5:
        raise ElmoError(
            f"{target} cannot have sentences as keys: only .h5 and .hdf5 files can. Write such a "
            "file, or leave out the choice of keys."
        )
    writer.check(layout)
