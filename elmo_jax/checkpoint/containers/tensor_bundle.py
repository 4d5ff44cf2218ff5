"""TensorFlow checkpoints ("tensor bundles"), read without TensorFlow.

``PREFIX.index`` is a sorted table in the layout of LevelDB that says where each variable lies;
``PREFIX.data-00000-of-0000N`` are the raw numbers. The checksums of the index are always verified.
The numbers have checksums, too, but only **where the package google-crc32c is installed** are they
verified: pure Python would take minutes. Without it, changed bytes among the numbers go unnoticed.

Sources of the format: table/format.cc and util/crc32c.h of LevelDB; tensor_bundle.proto,
tensor_shape.proto and types.proto of TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import ElmoError, counted
from .bundle_index import DTYPES, Entry, index_content, parse_index
from .bundle_table import DAMAGED, BundleError
from .crc32c import fast_crc32c, masked

_CHUNK_BYTES = 1 << 20
"""Numbers are read, verified and converted in pieces of this size."""


class TensorBundle:
    """The variables of a TensorFlow checkpoint.

    Opening one reads its index and the sizes of its data files; ``read`` reads the bytes of one
    variable and no others.

    Args:
        prefix: the path of the index file, without ".index".
        label: what errors call it.

    Attributes:
        entries: the variables by name.

    Raises:
        ElmoError: if the index is missing, damaged, compressed or from a big-endian machine, or if
            data files are missing or too short.
    """

    def __init__(self, prefix: Path, label: str) -> None:
        self.prefix, self.label = prefix, label
        try:
            content = index_content(prefix.with_name(f"{prefix.name}.index"))
            self._n_shards, self.entries = parse_index(content)
        except FileNotFoundError:
            raise ElmoError(f"There is no checkpoint {label}: {label}.index is missing.") from None
        except (BundleError, OSError) as error:
            raise ElmoError(f"Cannot read the checkpoint index {label}.index: {error}.") from None
        self._check_data_files()

    def read(self, name: str) -> np.ndarray:
        """The numbers of a variable in its dtype; bfloat16 becomes float32.

        Raises:
            ElmoError: if it is partitioned or does not hold numbers, or if its bytes cannot be read
                or are damaged.
        """
        entry = self.entries[name]
        try:
            return _read_numbers(self._data_file(entry.shard), entry)
        except (BundleError, OSError) as error:
            file = self.label + self._suffix(entry.shard)
            raise ElmoError(f"Cannot read the variable {name} from {file}: {error}.") from None

    def _data_file(self, shard: int) -> Path:
        return self.prefix.with_name(self.prefix.name + self._suffix(shard))

    def _suffix(self, shard: int) -> str:
        return f".data-{shard:05d}-of-{self._n_shards:05d}"

    def _check_data_files(self) -> None:
        last: dict[int, tuple[int, str]] = {}  # where the last variable of each file ends
        claimed: dict[int, int] = {}  # what the variables of each file take together
        for name, entry in self.entries.items():
            end = entry.offset + entry.size
            last[entry.shard] = max(last.get(entry.shard, (0, "")), (end, name))
            claimed[entry.shard] = claimed.get(entry.shard, 0) + entry.size
        problems = []
        for shard, (end, name) in sorted(last.items()):
            path, label = self._data_file(shard), self.label + self._suffix(shard)
            if not path.is_file():
                problems.append(f"{label} is missing")
            elif (size := path.stat().st_size) < end:
                problems.append(f"{label} has {counted(size, 'byte')}, but {name} ends at {end:,}")
            elif claimed[shard] > size:
                problems.append(
                    f"{label} has {counted(size, 'byte')}, but its variables take "
                    f"{claimed[shard]:,}: some share their bytes"
                )
        if problems:
            raise ElmoError(
                f"The checkpoint {self.label} is incomplete: {'; '.join(problems)}. It has "
                f"{counted(self._n_shards, 'data file')}; copy or download all files again."
            )


# Numbers


def _read_numbers(path: Path, entry: Entry) -> np.ndarray:
    stored, is_bfloat16 = _stored_dtype(entry), entry.dtype == "bfloat16"
    # The file has entry.size bytes at this place, so a wrong size cannot take all memory.
    n_numbers = entry.size // stored.itemsize
    numbers = np.empty(n_numbers, np.float32 if is_bfloat16 else entry.dtype)
    extend, crc, done = fast_crc32c(), 0, 0
    for chunk in _chunks(path, entry):
        crc = extend(crc, chunk) if extend else 0
        piece = np.frombuffer(chunk, stored)
        if is_bfloat16:  # the upper half of a float32
            piece = (piece.astype(np.uint32) << 16).view(np.float32)
        numbers[done : done + piece.size] = piece
        done += piece.size
    if extend and masked(crc) != entry.crc32c:
        raise BundleError(f"the checksum of its bytes is wrong; {DAMAGED}")
    return numbers.reshape(entry.shape)


def _stored_dtype(entry: Entry) -> np.dtype:
    if entry.sliced:
        raise BundleError(
            "it is partitioned, as no known ELMo is; save it with TensorFlow as one variable"
        )
    if entry.dtype not in DTYPES.values():
        expected = ", ".join(DTYPES.values())
        raise BundleError(f"its dtype is {entry.dtype}, expected one of {expected}")
    stored = np.dtype("u2" if entry.dtype == "bfloat16" else entry.dtype).newbyteorder("<")
    if entry.size == 0 or math.prod(entry.shape) * stored.itemsize != entry.size:
        size = counted(entry.size, "byte")
        raise BundleError(f"it has {size}, which do not make {entry.dtype} {entry.shape}")
    return stored


def _chunks(path: Path, entry: Entry) -> Iterator[bytes]:
    left = entry.size
    with path.open("rb") as file:
        file.seek(entry.offset)
        while left:
            chunk = file.read(min(left, _CHUNK_BYTES))
            if len(chunk) < min(left, _CHUNK_BYTES):
                raise BundleError("the file became shorter while it was read")
            left -= len(chunk)
            yield chunk
