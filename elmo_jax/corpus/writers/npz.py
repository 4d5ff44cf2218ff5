"""``.npz``: all vectors in one array, with the offset of each sentence.

``vectors`` is float [tokens, D] or [tokens, L, D]; pooled, [sentences, D] or [sentences, L, D].
Sentence i has the token vectors ``vectors[offsets[i]:offsets[i + 1]]``; ``offsets`` is int64. If
records have keys, ``keys`` has one string per sentence, "" without a key.
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

from .layout import FileLayout, RecordVectors
from .npy import write_header


def check(layout: FileLayout) -> None:
    """The format holds everything."""


def notes(layout: FileLayout) -> Iterator[str]:
    """No remarks."""
    yield from ()


def estimated_bytes(layout: FileLayout) -> int:
    """The approximate size of the file. Keys are compressed."""
    offsets = 0 if layout.pooled else 8 * (layout.sentences + 1)
    return 1000 + layout.value_bytes + offsets + layout.sentences * min(layout.longest_key, 32)


def write(path: Path, layout: FileLayout, results: RecordVectors) -> None:
    """Write results one by one."""
    # A zip file takes one member at a time, so offsets and keys wait in temporary files.
    with (
        zipfile.ZipFile(path, "w") as archive,
        tempfile.TemporaryFile(dir=path.parent) as offsets,
        tempfile.TemporaryFile(dir=path.parent) as keys,
    ):
        key_type, end = f"<U{layout.longest_key}", 0
        offsets.write(np.int64(end).tobytes())
        with _open_member(archive, "vectors") as file:
            write_header(file, layout.dtype, (layout.n_rows, *layout.shape))
            for record, vectors in results:
                rows = layout.rows(vectors)
                file.write(np.ascontiguousarray(rows).data)
                end += len(rows)
                offsets.write(np.int64(end).tobytes())
                if layout.longest_key:
                    keys.write(np.array(record.key or "", key_type).tobytes())
        if not layout.pooled:
            _copy_member(archive, "offsets", "int64", layout.sentences + 1, offsets)
        if layout.longest_key:
            # Every key is as wide as the longest, so most bytes are padding.
            _copy_member(archive, "keys", key_type, layout.sentences, keys, zipfile.ZIP_DEFLATED)


def _open_member(
    archive: zipfile.ZipFile, name: str, compression: int = zipfile.ZIP_STORED
) -> IO[bytes]:
    # A ZipInfo without a date has a fixed one, so equal results make equal files.
    member = zipfile.ZipInfo(f"{name}.npy")
    member.compress_type = compression
    return archive.open(member, "w", force_zip64=True)


def _copy_member(
    archive: zipfile.ZipFile,
    name: str,
    dtype: str,
    length: int,
    values: IO[bytes],
    compression: int = zipfile.ZIP_STORED,
) -> None:
    values.seek(io.SEEK_SET)
    with _open_member(archive, name, compression) as file:
        write_header(file, dtype, (length,))
        shutil.copyfileobj(values, file)
