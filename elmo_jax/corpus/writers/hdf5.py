"""HDF5 in the format of ``allennlp elmo``, which other tools read.

Dataset ``str(i)`` holds sentence i, counted from 0, and ``sentence_to_index`` holds one JSON object
{sentence: "i"}. Names are numbers, so any sentence is safe; of equal sentences, only the last has
an entry. If records have keys, ``keys[i]`` is the key of sentence i, "" without one.

With sentence keys, datasets have the names that ``sentence_keys`` describes, and there are no other
datasets.
"""

from __future__ import annotations

from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from pathlib import Path

import numpy as np

from .hdf5_file import Hdf5File
from .layout import FileLayout, RecordVectors
from .sentence_keys import sentence_key

# Bytes of a dataset beside its numbers, for header, name and index: 171 to 187 were measured.
_BYTES_PER_DATASET = 190
# Bytes beside the datasets, for the file's header and the heap of sentence_to_index.
_BYTES_PER_FILE = 6000
# sentence_to_index is one string in memory; it is left out if the texts are longer.
_MAX_TEXT_BYTES = 1 << 28
_KEYS_PER_BLOCK = 1024


def notes(layout: FileLayout) -> Iterator[str]:
    """Remarks for the user."""
    if layout.with_text and not layout.sentence_keys and not _has_index(layout):
        size = f"{layout.text_bytes / 1e9:.2f} GB"
        yield f"sentence_to_index is left out: the texts have {size}, too much for it"


def estimated_bytes(layout: FileLayout) -> int:
    """The approximate size of the file."""
    index = layout.text_bytes + 12 * layout.sentences if _has_index(layout) else 0
    keys = layout.sentences * (layout.longest_key + 32) if _has_keys(layout) else 0
    names = layout.text_bytes if layout.sentence_keys else 0
    datasets = layout.sentences * _BYTES_PER_DATASET
    return _BYTES_PER_FILE + layout.value_bytes + datasets + index + keys + names


def write(path: Path, layout: FileLayout, results: RecordVectors) -> None:
    """Write results one by one."""
    index_entries, keys, key_blocks = list[str](), list[str](), list[np.ndarray]()
    with Hdf5File(path) as file:
        for index, (record, vectors) in enumerate(results):
            if layout.sentence_keys is None:
                file.add(vectors)
            else:
                file.add(vectors, sentence_key(record, layout.sentence_keys, layout.escape_keys))
            if _has_index(layout):
                # Equal sentences make equal names; JSON readers keep the last, as AllenNLP did.
                index_entries.append(f'{encode_basestring_ascii(record.text)}: "{index}"')
            if _has_keys(layout):
                keys.append(layout.key(record))
                if len(keys) == _KEYS_PER_BLOCK:
                    key_blocks.append(file.add_texts(keys))
                    keys.clear()
        if _has_keys(layout):
            file.name_texts("keys", np.concatenate([*key_blocks, file.add_texts(keys)]))
        if _has_index(layout):
            index_json = "{" + ", ".join(index_entries) + "}"
            file.name_texts("sentence_to_index", file.add_texts([index_json]))


def _has_index(layout: FileLayout) -> bool:
    is_small = layout.text_bytes <= _MAX_TEXT_BYTES
    return layout.with_text and layout.sentence_keys is None and is_small


def _has_keys(layout: FileLayout) -> bool:
    return layout.longest_key > 0 and layout.sentence_keys is None
