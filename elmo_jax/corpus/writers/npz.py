"""``.npz``: all vectors in one array, with the offset of each sentence.

``vectors`` is float [tokens, D] or [tokens, L, D]; pooled, [sentences, D] or [sentences, L, D].
Sentence i has the token vectors ``vectors[offsets[i]:offsets[i + 1]]``; ``offsets`` is int64. If
records have keys, ``keys`` has one string per sentence, "" without a key. NumPy makes every string
as wide as the longest, so keys are refused if they would take more memory than the vectors.
"""

from __future__ import annotations

import array
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import ElmoError
from ...files import shown_size
from .layout import FileLayout, RecordVectors
from .npy import write_header

_PADDING_BYTES = 1 << 20
_MOST_KEY_BYTES = 1 << 26  # fine however small the vectors are


def check(layout: FileLayout) -> None:
    """Raise ElmoError if one long key would make the array of keys larger than the vectors."""
    n_bytes = 4 * layout.sentences * layout.longest_key
    if n_bytes > max(_MOST_KEY_BYTES, layout.value_bytes):
        raise ElmoError(
            f"The key of record {layout.longest_key_at + 1:,} has {layout.longest_key:,} "
            f"characters. In a .npz file every key is as wide as the longest: they would take "
            f"{shown_size(n_bytes)}, the vectors {shown_size(layout.value_bytes)}. Give that "
            "record a shorter key, or write a .h5 file. (The key of a CoNLL-U sentence without "
            "sent_id is its text.)"
        )


def estimated_bytes(layout: FileLayout) -> int:
    """The approximate size of the file. Keys are compressed."""
    offsets = 0 if layout.pooled else 8 * (layout.sentences + 1)
    return 1000 + layout.value_bytes + offsets + layout.sentences * min(layout.longest_key, 32)


def write(path: Path, layout: FileLayout, results: RecordVectors) -> None:
    """Write results one by one."""
    # A zip file takes one member at a time, so offsets and keys wait in temporary files.
    with (
        zipfile.ZipFile(path, "w") as archive,
        _temporary_file(path, "offsets") as offsets,
        _temporary_file(path, "keys") as keys,
    ):
        key_lengths, end = array.array("Q"), np.int64(0)
        offsets.write(end.tobytes())
        with _open_member(archive, "vectors") as file:
            write_header(file, layout.dtype, (layout.n_rows, *layout.shape))
            for record, vectors in results:
                rows = layout.rows(vectors)
                file.write(np.ascontiguousarray(rows).data)
                end += len(rows)
                offsets.write(end.tobytes())
                if layout.longest_key:
                    key_lengths.append(keys.write(layout.key(record).encode("utf-32-le")))
        if not layout.pooled:
            with _open_member(archive, "offsets") as file:
                write_header(file, "int64", (layout.sentences + 1,))
                _copy(offsets, file)
        if layout.longest_key:
            # Every key is as wide as the longest, so most bytes are padding.
            with _open_member(archive, "keys", zipfile.ZIP_DEFLATED) as file:
                write_header(file, f"<U{layout.longest_key}", (layout.sentences,))
                _copy_padded(keys, key_lengths, 4 * layout.longest_key, file)


def _temporary_file(path: Path, name: str) -> IO[bytes]:
    # It has no name, or loses it at once; after a kill in between, the name tells whose it is.
    return tempfile.TemporaryFile(dir=path.parent, prefix=f".{name}.", suffix=".tmp")


def _open_member(
    archive: zipfile.ZipFile, name: str, compression: int = zipfile.ZIP_STORED
) -> IO[bytes]:
    # A ZipInfo without a date has a fixed one, so equal results make equal files.
    member = zipfile.ZipInfo(f"{name}.npy")
    member.compress_type = compression
    return archive.open(member, "w", force_zip64=True)


def _copy_padded(values: IO[bytes], lengths: Iterable[int], width: int, file: IO[bytes]) -> None:
    values.seek(0)
    for length in lengths:
        file.write(values.read(length))
        for missing in range(width - length, 0, -_PADDING_BYTES):
            file.write(bytes(min(missing, _PADDING_BYTES)))


def _copy(values: IO[bytes], file: IO[bytes]) -> None:
    values.seek(0)
    shutil.copyfileobj(values, file)
