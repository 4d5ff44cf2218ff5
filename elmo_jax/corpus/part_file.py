"""A part as a file: a zip, because that has checksums, which reveal damage.

``part.json`` says which part of which job it is, ``vectors`` holds the numbers of all records in
order, and ``records.jsonl`` has one line per record. None is compressed, so a file cannot claim
more than it has.

A part is taken for what it says if its label, its sizes, its checksums and the digest of its text
are right. This reveals any damage and any mix-up, but not who wrote the vectors.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ..errors import ElmoError
from ..files import open_regular
from ..text.readers import Record
from .job import Job
from .writers import FileLayout, RecordVectors

_MEMBERS = ["part.json", "vectors", "records.jsonl"]

# What zipfile raises for files that are no zip, or of kinds that are not written here; what JSON
# raises for lines that are no records.
_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    struct.error,
)


def write(path: Path, job: Job, number: int, results: RecordVectors) -> None:
    """Write a part."""
    lines: list[str] = []
    with zipfile.ZipFile(path, "w") as archive:
        # A ZipInfo without a date has a fixed one, so equal parts have equal bytes.
        archive.writestr(zipfile.ZipInfo("part.json"), _label(job, number))
        with archive.open(zipfile.ZipInfo("vectors"), "w", force_zip64=True) as file:
            for record, vectors in results:
                file.write(np.ascontiguousarray(vectors).data)
                lines.append(record.line())
        with archive.open(zipfile.ZipInfo("records.jsonl"), "w", force_zip64=True) as file:
            for line in lines:
                file.write(line.encode("utf-8"))


def is_part(path: Path, job: Job, number: int) -> bool:
    """Whether a file is this part, by its label and its sizes. Raises OSError if it is unreadable.

    Vectors and records are not looked at.
    """
    try:
        with _opened(path, job, number):
            return True
    except (FileNotFoundError, *_DAMAGE):
        return False


def read(path: Path, job: Job, number: int) -> RecordVectors:
    """Read a part record by record. Raises ElmoError, perhaps only at the end, if it is damaged."""
    digest, n_records = hashlib.sha256(), 0
    try:
        with (
            _opened(path, job, number) as archive,
            archive.open("vectors") as values,
            archive.open("records.jsonl") as lines,
        ):
            for line in io.BufferedReader(lines):  # type: ignore[type-var]
                digest.update(line)
                n_records += 1
                record = Record.from_line(line.decode("utf-8"))
                yield record, _read_vectors(values, job.layout, len(record.words))
            if values.read(1):  # this read at the end also compares the checksum
                raise EOFError("numbers are left over")
        part = job.parts[number]
        if (digest.hexdigest(), n_records) != (part.digest, part.sentences):
            raise ValueError("its text is not that of this part")
    except OSError as error:
        raise ElmoError(
            f"Cannot read the part {path}: {error.strerror or error}. Run its `elmo-jax embed` "
            "command again."
        ) from None
    except _DAMAGE as error:
        raise ElmoError(
            f"The part {path} is damaged ({error}). Remove it, and run its `elmo-jax embed` "
            "command again."
        ) from None


@contextlib.contextmanager
def _opened(path: Path, job: Job, number: int) -> Iterator[zipfile.ZipFile]:
    with (
        open(open_regular(path), "rb") as file,  # noqa: PTH123 - a descriptor
        zipfile.ZipFile(file) as archive,
    ):
        members = archive.infolist()
        if [member.filename for member in members] != _MEMBERS:
            raise zipfile.BadZipFile("it has other members")
        size = file.seek(0, io.SEEK_END)
        if sum(member.file_size for member in members) > size or not all(map(_is_plain, members)):
            raise zipfile.BadZipFile("its members are not plain")
        label, vectors, _ = members
        expected = _label(job, number)
        if label.file_size != len(expected) or archive.read(label) != expected:
            raise zipfile.BadZipFile(f"it is not part {number} of this job")
        if vectors.file_size != job.bytes_of_parts([number]):
            raise zipfile.BadZipFile("its numbers are not as many as its words need")
        yield archive


def _is_plain(member: zipfile.ZipInfo) -> bool:
    is_stored = member.compress_type == zipfile.ZIP_STORED
    return is_stored and member.file_size == member.compress_size and not member.flag_bits


def _label(job: Job, number: int) -> bytes:
    label = {"job": job.name, "part": number, "digest": job.parts[number].digest}
    return json.dumps(label).encode("utf-8")


def _read_vectors(file: IO[bytes], layout: FileLayout, n_tokens: int) -> np.ndarray:
    """The vectors of the next record."""
    shape = layout.shape if layout.pooled else (*layout.shape[:-1], n_tokens, layout.shape[-1])
    n_bytes = math.prod(shape) * np.dtype(layout.dtype).itemsize
    content = file.read(n_bytes)
    if len(content) != n_bytes:
        raise EOFError("numbers are missing")
    return np.frombuffer(content, layout.dtype).reshape(shape)
