"""``.npz``: all vectors in one array, with the offset of each sentence.

``vectors`` is float [tokens, D] or [tokens, L, D]; pooled, [sentences, D] or [sentences, L, D].
Sentence i has the token vectors ``vectors[offsets[i]:offsets[i + 1]]``; ``offsets`` is int64. If
records have keys, ``keys`` has one string per sentence, "" without a key.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from .layout import FileLayout, RecordVectors
from .npy import write_header


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
        key_type, end = f"<U{layout.longest_key}", np.int64(0)
        offsets.write(end.tobytes())
        with _open_member(archive, "vectors") as file:
            write_header(file, layout.dtype, (layout.n_rows, *layout.shape))
            for record, vectors in results:
                rows = layout.rows(vectors)
                file.write(np.ascontiguousarray(rows).data)
                end += len(rows)
                offsets.write(end.tobytes())
                if layout.longest_key:
                    keys.write(np.array(record.key or "", key_type).tobytes())
        if not layout.pooled:
            with _open_member(archive, "offsets") as file:
                write_header(file, "int64", (layout.sentences + 1,))
                _copy(offsets, file)
        if layout.longest_key:
            # Every key is as wide as the longest, so most bytes are padding.
            with _open_member(archive, "keys", zipfile.ZIP_DEFLATED) as file:
                write_header(file, key_type, (layout.sentences,))
                _copy(keys, file)


def _open_member(
    archive: zipfile.ZipFile, name: str, compression: int = zipfile.ZIP_STORED
) -> IO[bytes]:
    # A ZipInfo without a date has a fixed one, so equal results make equal files.
    member = zipfile.ZipInfo(f"{name}.npy")
    member.compress_type = compression
    return archive.open(member, "w", force_zip64=True)


def _copy(values: IO[bytes], file: IO[bytes]) -> None:
    values.seek(0)
    shutil.copyfileobj(values, file)
