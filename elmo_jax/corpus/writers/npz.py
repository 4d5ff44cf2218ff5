"""``.npz``: all vectors in one array, and where each sentence begins.

``vectors`` is float [tokens, D] or [tokens, L, D], or, pooled, [sentences, D] or [sentences, L, D].
For tokens, sentence i is ``vectors[offsets[i]:offsets[i + 1]]``. Where records have keys, ``keys``
has one string a sentence, "" without one.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from .layout import Layout, Results
from .npy import write_header


def check(layout: Layout) -> None:
    """Raise ElmoError for what the format cannot hold: it holds everything."""


def notes(layout: Layout) -> Iterator[str]:
    """What the user should know about this file: nothing."""
    yield from ()


def estimated_bytes(layout: Layout) -> int:
    """About how large the file will be; the keys are compressed."""
    offsets = 0 if layout.pooled else 8 * (layout.sentences + 1)
    return 1000 + layout.value_bytes + offsets + layout.sentences * min(layout.longest_key, 32)


def write(path: Path, layout: Layout, results: Results) -> None:
    """Write results as they come."""
    # A member of a zip is written from end to end, so what belongs into others waits on the disk.
    with (
        zipfile.ZipFile(path, "w") as archive,
        tempfile.TemporaryFile(dir=path.parent) as offsets,
        tempfile.TemporaryFile(dir=path.parent) as keys,
    ):
        key_type, end = f"<U{layout.longest_key}", 0
        offsets.write(np.int64(end).tobytes())
        with _member(archive, "vectors") as file:
            write_header(file, layout.dtype, (layout.n_rows, *layout.shape))
            for record, vectors in results:
                rows = layout.rows(vectors)
                file.write(np.ascontiguousarray(rows).data)
                end += len(rows)
                offsets.write(np.int64(end).tobytes())
                if layout.longest_key:
                    keys.write(np.array(record.key or "", key_type).tobytes())
        if not layout.pooled:
            _copy(archive, "offsets", "int64", layout.sentences + 1, offsets)
        if layout.longest_key:
            # As wide as the longest one, so most of it is padding.
            _copy(archive, "keys", key_type, layout.sentences, keys, zipfile.ZIP_DEFLATED)


def _member(
    archive: zipfile.ZipFile, name: str, compression: int = zipfile.ZIP_STORED
) -> IO[bytes]:
    # A ZipInfo made like this has one fixed date, so equal results make equal files.
    member = zipfile.ZipInfo(f"{name}.npy")
    member.compress_type = compression
    return archive.open(member, "w", force_zip64=True)


def _copy(
    archive: zipfile.ZipFile,
    name: str,
    dtype: str,
    length: int,
    values: IO[bytes],
    compression: int = zipfile.ZIP_STORED,
) -> None:
    values.seek(io.SEEK_SET)
    with _member(archive, name, compression) as file:
        write_header(file, dtype, (length,))
        shutil.copyfileobj(values, file)
