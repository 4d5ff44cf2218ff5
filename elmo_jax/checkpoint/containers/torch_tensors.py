"""Tensors in pickles of ``torch.save``: views of storages, which lie elsewhere in the file."""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .pickles import StandIn, Unpickler, UnreadableError

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


class TensorUnpickler(Unpickler):
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


def size_of(file: io.BufferedReader) -> int:
    """The bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def big_endian() -> UnreadableError:
    """The error for a file with its bytes in the other order."""
    return UnreadableError(
        "it was written on a big-endian machine, which is not read; load it there with torch, and "
        "save the tensors with NumPy or safetensors"
    )
