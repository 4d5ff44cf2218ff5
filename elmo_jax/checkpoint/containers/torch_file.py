"""Files of ``torch.save``, read without torch.

There are two containers. The older one, up to torch 1.5, is a stream: five pickles and then the
numbers. The newer one is a zip with a pickle and one entry for each storage. In both, a tensor is a
view of a storage: an offset, sizes and strides, which need not be contiguous.

Nothing in a file is run, and nothing is allocated that the file is too small to fill.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ElmoError
from .pickles import UnreadableError
from .torch_tensors import TensorUnpickler, big_endian, size_of
from .torch_zip import ZIP, read_zip

_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of a number that torch chose
_VERSION = 1001
_TAR, _TAR_OFFSET = b"ustar", 257

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
        if head.startswith(ZIP):
            return read_zip(file, path)
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
    size = size_of(file)
    unpickler = TensorUnpickler(file, size, size)
    _, version, system = unpickler.load(), unpickler.load(), unpickler.load()
    if version != _VERSION:
        raise UnreadableError(f"it has another version of its format than {_VERSION}")
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise big_endian()
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
