"""Vectors as ``Elmo`` returns them: beside their words, scaled, or as JAX arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

_ALIGNMENT = 64
"""Bytes. On a CPU, JAX takes over an array that starts at a multiple, and copies any other."""


class EmbeddedTokens(NamedTuple):
    """The words of one sentence and their vectors, as ``return_tokens=True`` gives them.

    Attributes:
        tokens: T words.
        vectors: [T, D], or [L, T, D] for all layers.

    Example:
        >>> elmo = elmo_jax.Elmo()
        >>> texts = ["The bank isn't open."]
        >>> (result,) = elmo.embed(texts, 1, tokenizer="auto", return_tokens=True)
        >>> result.tokens, result.vectors.shape
        (['The', 'bank', 'is', "n't", 'open', '.'], (6, 256))
    """

    tokens: list[str]
    vectors: Any  # np.ndarray, or jax.Array if that was asked for


def empty_aligned(shape: Sequence[int], dtype: str) -> np.ndarray:
    """An array to be filled, which ``to_jax`` need not copy on a CPU."""
    dtype_ = np.dtype(dtype)
    n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype_.itemsize
    buffer = np.empty(n_bytes + _ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % _ALIGNMENT
    return buffer[start : start + n_bytes].view(dtype_).reshape(shape)


def to_jax(arrays: Any, devices: Sequence[jax.Device] | None) -> Any:
    """The arrays on the first of these devices, or on JAX's default device.

    They may be the same memory, so nothing may write to the NumPy arrays any more.
    """
    return jax.device_put(arrays, devices[0] if devices else None)


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length 1, so that their products are cosines; zeros stay zeros."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
