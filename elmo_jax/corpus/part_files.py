"""A finished part as a file: records and vectors, in a zip, so that damage is noticed.

``part.json`` says whose part it is, ``vectors`` holds the numbers of one record after the other,
and ``records.jsonl`` a line for each record.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import ElmoError
from ..files import whole_file
from ..text.readers import Record
from .writers import Layout, Results

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError)


def write_part(path: Path, owner: dict[str, object], results: Results) -> None:
    """Write a part; the file appears when it is complete and on the disk.

    Args:
        path: the file.
        owner: what tells this part from any other, ready for JSON.
        results: the records with their vectors.
    """
    lines: list[str] = []
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(zipfile.ZipInfo("part.json"), json.dumps(owner))
        with archive.open(zipfile.ZipInfo("vectors"), "w", force_zip64=True) as values:
            for record, vectors in results:
                values.write(np.ascontiguousarray(vectors).data)
                lines.append(record.line())
        with archive.open(zipfile.ZipInfo("records.jsonl"), "w", force_zip64=True) as file:
            for line in lines:
                file.write(line.encode("utf-8"))


def is_part(path: Path, owner: dict[str, object]) -> bool:
    """Whether there is a file that holds this part; its numbers are not looked at."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(json.loads(archive.read("part.json")) == owner)
    except (OSError, *_DAMAGE):
        return False


def read_part(path: Path, layout: Layout) -> Iterator[tuple[Record, np.ndarray]]:
    """What ``write_part`` wrote, record by record.

    Raises:
        ElmoError: if the file is damaged.
    """
    with contextlib.ExitStack() as opened:
        try:
            archive = opened.enter_context(zipfile.ZipFile(path))
            values = opened.enter_context(archive.open("vectors"))
            lines = opened.enter_context(archive.open("records.jsonl"))
            for line in io.TextIOWrapper(lines, "utf-8"):
                record = Record.of_line(line)
                yield record, _take(values, layout, len(record.words))
            if values.read(1):  # which also has the checksum compared
                raise EOFError("numbers are left over")
        except _DAMAGE as error:
            raise ElmoError(
                f"The part {path} is damaged ({error}). Remove it, and run its `elmo-jax embed` "
                "command again."
            ) from None


def _take(values: IO[bytes], layout: Layout, n_tokens: int) -> np.ndarray:
    """The next record's vectors."""
    shape = layout.shape if layout.pooled else (*layout.shape[:-1], n_tokens, layout.shape[-1])
    vectors = np.empty(shape, layout.dtype)
    raw = values.read(vectors.nbytes)
    if len(raw) != vectors.nbytes:
        raise EOFError("numbers are missing")
    return np.frombuffer(raw, layout.dtype).reshape(shape)
