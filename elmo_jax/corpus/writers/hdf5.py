"""The HDF5 file that ``allennlp elmo`` wrote, which other tools read.

Dataset ``str(i)`` holds sentence i, counted from 0, and ``sentence_to_index`` one JSON object
{sentence: "i"}. Names are numbers, so any sentence is safe; of equal sentences the last one is
named. Where records have keys of their own, ``keys[i]`` is that of sentence i, "" without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from pathlib import Path

import numpy as np

from .hdf5_file import Hdf5File
from .layout import Layout, Results

_BYTES_PER_DATASET = 190
"""What each dataset takes besides its numbers: header, name and index. It is 171 to 187."""

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
    members, keys, places = list[str](), list[str](), list[np.ndarray]()
    with Hdf5File(path) as file:
        for index, (record, vectors) in enumerate(results):
            file.add(vectors)
            if _keeps_text(layout):
                # Equal names, of which JSON readers keep the last, as AllenNLP did.
                members.append(f'{encode_basestring_ascii(record.text)}: "{index}"')
            if layout.longest_key:
                keys.append(record.key or "")
                if len(keys) == _KEYS_AT_ONCE:
                    places.append(file.add_texts(keys))
                    keys.clear()
        if layout.longest_key:
            file.name_texts("keys", np.concatenate([*places, file.add_texts(keys)]))
        if _keeps_text(layout):
            listing = file.add_texts(["{" + ", ".join(members) + "}"])
            file.name_texts("sentence_to_index", listing)


def _keeps_text(layout: Layout) -> bool:
    return layout.with_text and layout.text_bytes <= _MOST_TEXT
