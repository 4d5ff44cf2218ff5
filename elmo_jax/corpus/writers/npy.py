"""``.npy``: pooled sentences as one matrix, float [sentences, D] or [sentences, L, D]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import ElmoError
from .layout import FileLayout, RecordVectors


def check(layout: FileLayout) -> None:
    """Raise ElmoError for token vectors."""
    if not layout.pooled:
        raise ElmoError(
            "A .npy file holds one matrix, with one vector per sentence. Pool the tokens "
            "(pooling=), or write a .npz file, which holds one vector per token."
        )


def notes(layout: FileLayout) -> Iterator[str]:
    """Remarks for the user."""
    if layout.longest_key:
        yield "a .npy file has no place for the records' keys; .npz, .parquet and .h5 files do"


def estimated_bytes(layout: FileLayout) -> int:
    """The approximate size of the file."""
    return 128 + layout.value_bytes


def write(path: Path, layout: FileLayout, results: RecordVectors) -> None:
    """Write results one by one."""
    with path.open("wb") as file:
        write_header(file, layout.dtype, (layout.n_rows, *layout.shape))
        for _, vectors in results:
            file.write(np.ascontiguousarray(layout.rows(vectors)).data)


def write_header(file: IO[bytes], dtype: str, shape: tuple[int, ...]) -> None:
    """Write the header of a ``.npy`` file, which comes before the numbers."""
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(file, header)
