"""``.npy``: pooled sentences as one matrix, float [sentences, D] or [sentences, L, D]."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import ElmoError
from .layout import Layout, Results


def check(layout: Layout) -> None:
    """Raise ElmoError for what the format cannot hold."""
    if not layout.pooled:
        raise ElmoError(
            "A .npy file holds one matrix: a vector a sentence. Pool them (--pooling), or write "
            "a .npz file, which holds a vector a token and where each sentence begins."
        )


def notes(layout: Layout) -> Iterator[str]:
    """What the user should know about this file."""
    if layout.longest_key:
        yield "a .npy file has no place for the records' keys; .npz, .parquet and .h5 have one"


def estimated_bytes(layout: Layout) -> int:
    """About how large the file will be."""
    return 128 + layout.value_bytes


def write(path: Path, layout: Layout, results: Results) -> None:
    """Write results as they come."""
    with path.open("wb") as file:
        write_header(file, layout.dtype, (layout.n_rows, *layout.shape))
        for _, vectors in results:
            file.write(np.ascontiguousarray(layout.rows(vectors)).data)


def write_header(file: IO[bytes], dtype: str, shape: tuple[int, ...]) -> None:
    """What NumPy expects before the numbers of an array."""
    head = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(file, head)
