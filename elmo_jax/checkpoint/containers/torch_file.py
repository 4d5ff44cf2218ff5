"""Files of ``torch.save``, read without torch.

There are two containers. The older one, up to torch 1.5, is a stream: five pickles and then the
numbers. The newer one is a zip with a pickle and one entry for each storage. In both, a tensor is a
view of a storage: an offset, sizes and strides, which need not be contiguous.

Nothing in a file is run, and nothing is allocated that the file is too small to fill.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ElmoError
from .pickles import StandIn, Unpickler, UnreadableError
from .zip_directory import LargeDirectory, SmallDirectoryFile

_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of a number that torch chose
_VERSION = 1001
_ZIP = b"PK\x03\x04"
_TAR, _TAR_OFFSET = b"ustar", 257

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # what stands before a zip's entry: its name follows
_ENCRYPTED = 1

_BFLOAT16 = "bfloat16"
_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}

_MOST_AXES = 32  # of an array in NumPy 1
_ARRAY_TYPE = re.compile(r"f[248]|[iu][1248]|b1")

_DAMAGED = (
    *(AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError, EOFError),
    *(NotImplementedError, struct.error, zipfile.BadZipFile),
)
"""What wrong bytes lead to in a pickle, a zip's directory, or an array made from them."""


def read_torch(path: Path, label: str) -> Any:
    """The object in a file of ``torch.save``, with a NumPy array for each tensor and parameter.

    Arrays are of the file's type, but bfloat16 becomes float32. They may share memory and need not
    be contiguous, as the tensors were.

    Args:
        path: a stream or zip; only plain data, tensors and NumPy arrays in it are read.
        label: what errors call the file.

    Raises:
        ElmoError: if the file is damaged, is of another kind, or refers to any other class or
            function.
    """
    try:
        return _read(path)
    except UnreadableError as error:
        raise ElmoError(f"Cannot read {label}: {error}.") from None
    except OSError as error:
        raise ElmoError(f"Cannot read {label}: {error.strerror or error}.") from None
    except _DAMAGED as error:
        reason = f"{type(error).__name__}: {error}"
        raise ElmoError(
            f"Cannot read {label}: the file is damaged; copy or download it again. [{reason:.200}]"
        ) from None


def read_state_dict(path: Path, label: str) -> dict[str, np.ndarray]:
    """The tensors of a state dict by name, see ``read_torch``; ElmoError for any other object."""
    value = read_torch(path, label)
    if not isinstance(value, Mapping):
        raise _not_a_state_dict(label, f"an object of type {type(value).__name__}")
    others = [
        name
        for name, tensor in value.items()
        if not (isinstance(name, str) and isinstance(tensor, np.ndarray))
    ]
    if others:
        listed = ", ".join(f"{name!r:.60} ({type(value[name]).__name__})" for name in others[:4])
        more = f" and {len(others) - 4:,} more" if len(others) > 4 else ""
        raise _not_a_state_dict(label, f"entries that are no tensors: {listed}{more}")
    return dict(value)


def _not_a_state_dict(label: str, content: str) -> ElmoError:
    return ElmoError(
        f"{label} holds {content}. Expected a state dict: tensors by name, as "
        "torch.save(model.state_dict(), file) writes them."
    )


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        head = file.read(_TAR_OFFSET + len(_TAR))
        file.seek(0)
        if head.startswith(_ZIP):
            return _read_zip(file, _zip_entries(path))
        if head.startswith(_MAGIC):
            return _read_stream(file)
    if not head:
        raise UnreadableError("the file is empty; copy or download it again")
    if head[_TAR_OFFSET:] == _TAR:
        raise UnreadableError(
            "it is a tar, as torch before 0.1.10 wrote it, which is not read; load it with torch "
            "and save it again"
        )
    kind = "a pickle, but none of torch.save" if head[0] == 0x80 else "not a file of torch.save"
    raise UnreadableError(f"it is {kind}: it starts with {head[:24]!r}")


# The stream: magic number, version, system, object and list of storages, then the storages


def _read_stream(file: io.BufferedReader) -> Any:
    size = _size(file)
    unpickler = _TensorUnpickler(file, size, size)
    _, version, system = unpickler.load(), unpickler.load(), unpickler.load()
    if version != _VERSION:
        raise UnreadableError(f"it has another version of its format than {_VERSION}")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise _big_endian()
    value, keys = unpickler.load(), unpickler.load()
    storages = unpickler.storages
    if not all(type(key) is str for key in keys) or sorted(keys) != sorted(storages):
        raise ValueError("the storages listed are not those in use")
    expected, left = sum(8 + storage.n_bytes for storage in storages.values()), size - file.tell()
    if expected != left:
        raise UnreadableError(
            f"the file is {'truncated' if expected > left else 'damaged'}: its tensors take "
            f"{expected:,} bytes, but it has {left:,} for them; copy or download it again"
        )
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        if count != storages[key].count:
            raise ValueError(f"a storage of {count} numbers, expected {storages[key].count}")
        storages[key].fill(file)
    return value


def _size(file: io.BufferedReader) -> int:
    return os.fstat(file.fileno()).st_size


def _big_endian() -> UnreadableError:
    return UnreadableError(
        "it was written on a big-endian machine, which is not read; load it there with torch, and "
        "save the tensors with NumPy or safetensors"
    )


# The zip: data.pkl and data/KEY for each storage, in a folder of any name


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
    if signature != _ZIP or info.compress_size != n_bytes or start + n_bytes > _size(file):
        raise ValueError(f"{name:.60} is not where the directory of the zip says")
    return _Entry(name, start, n_bytes, info.CRC)


def _read_zip(file: io.BufferedReader, entries: Mapping[str, _Entry]) -> Any:
    if (order := entries.get("byteorder")) is not None:
        file.seek(order.start)
        if file.read(min(order.n_bytes, 16)) != b"little":
            raise _big_endian()
    pickled = entries["data.pkl"]
    file.seek(pickled.start)
    pickled.check(file.read(pickled.n_bytes))
    file.seek(pickled.start)
    unpickler = _TensorUnpickler(file, pickled.start + pickled.n_bytes, _size(file))
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


# Storages and tensors


class _Storage:
    """The numbers that tensors are views of, filled when all of the pickle is known."""

    def __init__(self, kind: str, count: int) -> None:
        self.kind, self.count = kind, count
        self.n_bytes = count * (2 if kind == _BFLOAT16 else np.dtype(kind).itemsize)

    @functools.cached_property
    def array(self) -> np.ndarray:
        """[count], without values until ``fill``."""
        return np.empty(self.count, np.float32 if self.kind == _BFLOAT16 else self.kind)

    def fill(self, file: io.BufferedReader) -> memoryview:
        """Read the numbers from a file that stands at them; gives them as they are there."""
        if self.kind != _BFLOAT16:
            file.readinto(self.array.data)
            return self.array.data
        raw = np.empty(self.count, "<u2")
        file.readinto(raw.data)
        bits = self.array.view("<u4")
        bits[:] = raw
        bits <<= 16  # bfloat16 is the upper half of a float32
        return raw.data


@dataclasses.dataclass(frozen=True)
class _Numbers:
    """What a tensor is a view of: a storage or a part of one, [count]."""

    array: np.ndarray


@dataclasses.dataclass
class _ArrayType:
    """The type of a NumPy array: its code without the byte order, which comes later."""

    code: str
    order: str = "="


class _TensorUnpickler(Unpickler):
    """Reads pickles with tensors; ``storages`` are those that it met, still to be filled."""

    def __init__(self, file: io.BufferedReader, end: int, file_size: int) -> None:
        super().__init__(file, end)
        self.storages: dict[str, _Storage] = {}
        self._file_size, self._n_claimed, self._n_made = file_size, 0, 0
        reconstruct = StandIn("_reconstruct", _new_array)
        self._stand_ins = {
            "collections.OrderedDict": StandIn("OrderedDict", lambda: {}),
            "torch._utils._rebuild_tensor": StandIn("_rebuild_tensor", _tensor),
            "torch._utils._rebuild_tensor_v2": StandIn("_rebuild_tensor_v2", _tensor),
            "torch._utils._rebuild_parameter": StandIn("_rebuild_parameter", _parameter),
            "numpy.core.multiarray._reconstruct": reconstruct,
            "numpy._core.multiarray._reconstruct": reconstruct,
            "numpy.ndarray": StandIn("ndarray"),
            "numpy.dtype": StandIn("dtype", _array_type),
            "_codecs.encode": StandIn("encode", self._encoded),
            **{f"torch.{name}": StandIn(name) for name in _STORAGES},
        }

    def find_class(self, module: str, name: str) -> StandIn:
        """What stands in for a function or class that files of tensors may name."""
        if (stand_in := self._stand_ins.get(f"{module}.{name}")) is None:
            raise UnreadableError(
                f"it refers to {f'{module}.{name}':.80}, and only tensors, arrays and plain data "
                "are read, so that no file can run code. Nothing in it was run. Expected a state "
                "dict, as torch.save(model.state_dict(), file) writes it"
            )
        return stand_in

    def persistent_load(self, persistent_id: Any) -> _Numbers:
        """The storage that ``("storage", type, key, location, count[, view])`` describes."""
        tag, stand_in, key, _, count, *views = persistent_id
        if tag != "storage" or type(key) is not str:
            raise ValueError("a reference to something other than a storage")
        kind, count = _STORAGES[stand_in.name], _count(count)
        if key not in self.storages:
            storage = _Storage(kind, count)
            self._n_claimed += storage.n_bytes
            if self._n_claimed > self._file_size:
                raise UnreadableError(
                    f"the file is truncated or damaged: its tensors take at least "
                    f"{self._n_claimed:,} bytes, but it has {self._file_size:,}; copy or download "
                    "it again"
                )
            self.storages[key] = storage
        storage = self.storages[key]
        if (storage.kind, storage.count) != (kind, count):
            raise ValueError(f"two descriptions of storage {key:.60}")
        if not views or views == [None]:
            return _Numbers(storage.array)
        ((_, start, length),) = views
        if _count(start) + _count(length) > count:
            raise ValueError(f"a part beyond the end of storage {key:.60}")
        return _Numbers(storage.array[start : start + length])

    def build(self, instance: Any, state: Any) -> None:
        """Give a dictionary, NumPy array or type its state."""
        if type(instance) is dict:
            return  # the version numbers of a state dict
        if isinstance(instance, _ArrayType):
            instance.order = state[1]
        elif isinstance(instance, np.ndarray) and instance.size == 0:
            self._set_array(instance, *state)
        else:
            raise TypeError(f"a state for an object of type {type(instance).__name__}")

    def _set_array(
        self, array: np.ndarray, version: int, shape: Any, kind: Any, fortran: bool, content: Any
    ) -> None:
        _check_axes(shape)
        if kind.order not in ("<", ">", "=", "|"):
            raise ValueError("a type without a byte order")
        dtype = np.dtype(kind.order + kind.code)
        if type(content) is not bytes or len(content) != math.prod(shape) * dtype.itemsize:
            raise ValueError("an array with too many or too few bytes")
        if not dtype.isnative:
            self._charge(len(content))
        # NumPy's own method keeps these bytes, or makes them native if they are not.
        array_state: Any = (1, shape, dtype, fortran is True, content)
        array.__setstate__(array_state)

    def _encoded(self, text: str, encoding: str) -> bytes:
        """The bytes of an array, which protocol 2 can only write as a text."""
        if encoding != "latin1":
            raise ValueError("bytes in another encoding than Latin-1")
        self._charge(len(text))
        return text.encode("latin1")

    def _charge(self, n_bytes: int) -> None:
        """Count what is made of the bytes of arrays: a few steps could repeat it for ever."""
        self._n_made += n_bytes
        if self._n_made > 2 * self._file_size:
            raise UnreadableError("its arrays are larger than the file")


def _tensor(
    storage: _Numbers, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any
) -> np.ndarray:
    """A view of a storage; what follows the strides is for training (gradients, hooks)."""
    array = storage.array
    _check_axes(size)
    _check_axes(stride)
    if len(size) != len(stride):
        raise ValueError(f"a tensor with {len(size)} sizes and {len(stride)} strides")
    last = _count(offset) + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    n_elements = math.prod(size)
    # A tensor with a stride of 0 could be larger than its storage by any factor.
    if n_elements > 0 and (last >= array.size or n_elements > array.size):
        raise UnreadableError(
            f"it is damaged: a tensor of {n_elements:,} numbers ends at number {last:,} of a "
            f"storage that has {array.size:,}"
        )
    if n_elements == 0:
        return np.empty(size, array.dtype)
    steps = [step * array.itemsize for step in stride]
    return np.ndarray(size, array.dtype, array, offset * array.itemsize, steps)


def _parameter(tensor: np.ndarray, *_: Any) -> np.ndarray:
    return tensor


def _new_array(*_: Any) -> np.ndarray:
    return np.empty(0, np.int8)  # its state follows


def _array_type(code: str, *_: Any) -> _ArrayType:
    if not _ARRAY_TYPE.fullmatch(code):
        raise UnreadableError(
            f"it has a NumPy array of type {code!r:.20}, and only numbers are read"
        )
    return _ArrayType(code)


def _check_axes(values: Any) -> None:
    if type(values) is not tuple or len(values) > _MOST_AXES:
        raise ValueError("a shape that no array has")
    for value in values:
        _count(value)


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("a size, offset or stride that is negative or no whole number")
    return value
