"""The newer container of ``torch.save``: a zip with data.pkl, and data/KEY for each storage.

They lie in a folder of any name.
"""

from __future__ import annotations

import dataclasses
import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from .pickles import UnreadableError
from .torch_tensors import TensorUnpickler, big_endian, size_of
from .zip_directory import LargeDirectory, SmallDirectoryFile

ZIP = b"PK\x03\x04"
"""The first bytes of a zip, and of each entry in it."""

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # what stands before a zip's entry: its name follows
_ENCRYPTED = 1


def read_zip(file: io.BufferedReader, path: Path) -> Any:
    """The object in a zip at ``path``, which is open as ``file``."""
    entries = _zip_entries(path)
    if (order := entries.get("byteorder")) is not None:
        file.seek(order.start)
        if file.read(min(order.n_bytes, 16)) != b"little":
            raise big_endian()
    pickled = entries["data.pkl"]
    file.seek(pickled.start)
    pickled.check(file.read(pickled.n_bytes))
    file.seek(pickled.start)
    unpickler = TensorUnpickler(file, pickled.start + pickled.n_bytes, size_of(file))
    value = unpickler.load()
    if file.tell() != pickled.start + pickled.n_bytes:
        raise ValueError("bytes after the end of its pickle")
    for key, storage in unpickler.storages.items():
        if (entry := entries.get(f"data/{key}")) is None:
            raise UnreadableError(f"it has no storage data/{key:.60}, although a tensor needs it")
        if entry.n_bytes != storage.n_bytes:
            raise UnreadableError(
                f"it is damaged: {entry.name} has {entry.n_bytes:,} bytes, but its tensors need "
                f"{storage.n_bytes:,}"
            )
        file.seek(entry.start)
        entry.check(storage.fill(file))
    return value


@dataclasses.dataclass(frozen=True)
class _Entry:
    """One file in a zip, neither compressed nor encrypted."""

    name: str
    start: int
    n_bytes: int
    crc: int

    def check(self, content: bytes | memoryview) -> None:
        if zlib.crc32(content) != self.crc:
            raise UnreadableError(
                f"{self.name} in it is damaged (wrong checksum); copy or download the file again"
            )


def _zip_entries(path: Path) -> dict[str, _Entry]:
    """The files in a zip that hold tensors, by their names below the folder."""
    try:
        with SmallDirectoryFile(path) as directory, zipfile.ZipFile(directory) as archive:
            infos = archive.infolist()
    except LargeDirectory as error:
        raise UnreadableError(error) from None
    pickles = [info.filename for info in infos if info.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        names = ", ".join(info.filename for info in infos[:4])
        raise UnreadableError(
            f"it is a zip, but not of torch.save: expected one data.pkl, found {len(pickles)} "
            f"among {names:.200}"
        )
    top = pickles[0].removesuffix("data.pkl")
    with path.open("rb") as file:
        return {
            name: _entry(file, info)
            for info in infos
            if (name := info.filename.removeprefix(top)) in ("data.pkl", "byteorder")
            or name.startswith("data/")
        }


def _entry(file: io.BufferedReader, info: zipfile.ZipInfo) -> _Entry:
    name, n_bytes = info.filename, info.file_size
    if info.flag_bits & _ENCRYPTED or info.compress_type != zipfile.ZIP_STORED:
        how = "encrypted" if info.flag_bits & _ENCRYPTED else "compressed"
        raise UnreadableError(
            f"{name} in it is {how}, and torch.save never does that; unpack the zip that holds the "
            "file, or load it with torch and save it again"
        )
    # The directory at the end has no word on where the bytes start: the header before them has.
    file.seek(info.header_offset)
    signature, *lengths = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    start = info.header_offset + _LOCAL_HEADER.size + sum(lengths)
    if signature != ZIP or info.compress_size != n_bytes or start + n_bytes > size_of(file):
        raise ValueError(f"{name:.60} is not where the directory of the zip says")
    return _Entry(name, start, n_bytes, info.CRC)
