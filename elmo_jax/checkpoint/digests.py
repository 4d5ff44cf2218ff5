"""SHA-256 digests that bind the files of a native model to each other.

They show damage, and that files are of different models. They are no signature: whoever changes
weights on purpose can write the digest of the new ones.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

_MOST_THREADS = 8

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """``function`` of each item, in order. NumPy and hashlib work on large arrays in parallel."""
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def tensor_digest(array: np.ndarray) -> str:
    """The digest of an array: of ``float16 [2, 3]`` and a newline, then its bytes in C order."""
    digest = hashlib.sha256(f"{array.dtype.name} {list(array.shape)}\n".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def json_digest(value: Mapping[str, Any]) -> str:
    """The digest of a JSON object, however it was laid out: with sorted keys, in ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def is_digest(value: Any) -> bool:
    """Whether a value is a digest in hexadecimal digits."""
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")
