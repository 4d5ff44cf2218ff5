"""The HDF5 file that ``allennlp elmo`` wrote, which other tools read.

Dataset ``str(i)`` holds sentence i, counted from 0, and ``sentence_to_index`` one JSON object
{sentence: "i"}. Names are numbers, so any sentence is safe; of equal sentences the last one is
named. Where records have keys of their own, ``keys[i]`` is that of sentence i, "" without one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from .deferring_file import DeferringFile
from .layout import Layout, Results

_BYTES_PER_DATASET = 400
"""What HDF5 adds to each small dataset: header, name and index. Measured: 340 to 383."""

_BYTES_PER_FILE = 6000
"""What a file has besides its datasets: its own header, and the heap of ``sentence_to_index``."""

_MOST_TEXT = 1 << 28
"""``sentence_to_index`` is one string, which must fit into memory; longer texts are left out."""

_KEYS_AT_ONCE = 1024


def check(layout: Layout) -> None:
    """Raise ElmoError for what the format cannot hold: it holds everything."""


def notes(layout: Layout) -> Iterator[str]:
    """What the user should know about this file."""
    if layout.with_text and not _keeps_text(layout):
        yield (
            f"the texts have {layout.text_bytes / 1e9:.2f} GB, too much for sentence_to_index, "
            "which is left out"
        )


def estimated_bytes(layout: Layout) -> int:
    """About how large the file will be."""
    index = layout.text_bytes + 12 * layout.sentences if _keeps_text(layout) else 0
    keys = layout.sentences * (layout.longest_key + 32) if layout.longest_key else 0
    datasets = layout.sentences * _BYTES_PER_DATASET
    return _BYTES_PER_FILE + layout.value_bytes + datasets + index + keys


def write(path: Path, layout: Layout, results: Results) -> None:
    """Write results as they come.

    Raises:
        OSError: if the disk is full, or fails.
    """
    with DeferringFile(path) as raw:
        try:
            with h5py.File(raw, "w") as file:
                _fill(file, layout, _until_failure(raw, results))
        finally:
            raw.check()  # says more than what HDF5 makes of a disk that is full


def _until_failure(raw: DeferringFile, results: Results) -> Results:
    for result in results:
        yield result
        raw.check()


def _fill(file: h5py.File, layout: Layout, results: Results) -> None:
    text, members, keys = h5py.string_dtype("utf-8"), list[str](), list[str]()
    key_of = None
    if layout.longest_key:
        key_of = file.create_dataset("keys", (layout.sentences,), text, track_times=False)
    for index, (record, vectors) in enumerate(results):
        # Without times, equal results make equal files.
        file.create_dataset(str(index), data=vectors, track_times=False)
        if _keeps_text(layout):
            # Equal names, of which JSON readers keep the last, as AllenNLP did.
            members.append(f'{json.dumps(record.text)}: "{index}"')
        if key_of is not None:
            keys.append(record.key or "")
            if len(keys) == _KEYS_AT_ONCE or index == layout.sentences - 1:
                key_of[index + 1 - len(keys) : index + 1] = np.array(keys, object)
                keys.clear()
    if _keeps_text(layout):
        listing = file.create_dataset("sentence_to_index", (1,), text, track_times=False)
        listing[0] = "{" + ", ".join(members) + "}"


def _keeps_text(layout: Layout) -> bool:
    return layout.with_text and layout.text_bytes <= _MOST_TEXT
