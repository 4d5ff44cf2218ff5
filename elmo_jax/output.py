"""Embeddings on disk: the HDF5 file that ``allennlp elmo`` wrote, which other tools read.

Dataset ``str(i)`` holds sentence i (its line, counted from 0), and ``sentence_to_index`` one JSON
object {sentence: "i"}. Keys are numbers, so any sentence is safe; of equal sentences the last one
is named.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np

from .errors import ElmoError
from .files import atomic_file

_BYTES_PER_DATASET = 400
"""What HDF5 adds to each small dataset: header, name and index. Measured: 340 to 383."""

_BYTES_PER_FILE = 6000
"""What a file has besides its datasets: its own header, and the heap of ``sentence_to_index``."""


def estimated_bytes(n_values: int, dtype: str, n_sentences: int, text_bytes: int) -> int:
    """About how large the file will be.

    Args:
        n_values: numbers in all datasets together.
        dtype: of the numbers.
        n_sentences: datasets.
        text_bytes: size of the text that ``sentence_to_index`` repeats; 0 without it.
    """
    index = text_bytes + 12 * n_sentences if text_bytes else 0
    values = n_values * np.dtype(dtype).itemsize
    return _BYTES_PER_FILE + values + n_sentences * _BYTES_PER_DATASET + index


def check_space(target: Path, needed: int) -> None:
    """Raise ElmoError if the disk that holds ``target`` has less than ``needed`` bytes free."""
    if not target.absolute().parent.is_dir():
        raise ElmoError(f"Cannot write {target}: the folder {target.parent} does not exist.")
    free = shutil.disk_usage(target.absolute().parent).free
    if needed > free:
        raise ElmoError(
            f"{target} would take about {needed / 1e9:.2f} GB, but its disk has "
            f"{free / 1e9:.2f} GB free. Keep fewer layers (--layers), use --dtype float16, pool "
            "the sentences (--pooling), or write to another disk."
        )


def write_hdf5(
    target: Path,
    results: Iterable[np.ndarray],
    sentences: Iterable[str] | None,
    *,
    overwrite: bool = False,
) -> None:
    """Write results as they come; the file appears under its name when it is complete.

    Args:
        target: the file.
        results: one array for each sentence.
        sentences: the sentences, for ``sentence_to_index``; None leaves it out.
        overwrite: replace an existing file.

    Raises:
        ElmoError: if ``target`` exists or cannot be written.
    """
    with atomic_file(target, overwrite=overwrite) as temporary, h5py.File(temporary, "w") as file:
        for index, result in enumerate(results):
            file.create_dataset(str(index), data=result)
        if sentences is not None:
            text = h5py.string_dtype("utf-8")
            listing = file.create_dataset("sentence_to_index", (1,), dtype=text)
            listing[0] = "{" + ", ".join(_members(sentences)) + "}"


def _members(sentences: Iterable[str]) -> Iterator[str]:
    # Equal sentences give equal keys, of which JSON readers keep the last, as AllenNLP did.
    for index, sentence in enumerate(sentences):
        yield f'{json.dumps(sentence)}: "{index}"'
