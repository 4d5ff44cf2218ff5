"""Hdf5File: an HDF5 file of many datasets, written from front to back.

The HDF5 library needs more time to create a dataset than to write a thousand numbers into it, and a
corpus has one dataset per sentence. So the file is written here, in the oldest form of the format,
which every version of the library reads: superblock 0, a root group with a symbol table, object
headers of version 1 and contiguous arrays. Names in quotes below are from the HDF5 File Format
Specification 3.0 (https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html).
"""

from __future__ import annotations

import array
import functools
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_UNDEFINED = (1 << 64) - 1
# Half the capacity of a symbol table node and of a B-tree node: the library's defaults.
_LEAF_K, _INTERNAL_K = 4, 16

_SUPERBLOCK = struct.Struct("<8s8B2HI4Q2Q2I2Q")
_BUFFER_BYTES = 1 << 20
_NAMES_PER_BLOCK = 1 << 16  # a multiple of the names in a node

# Both kinds of nodes begin alike; a node with symbols has no level.
_NODE = [("signature", "S4"), ("version_or_type", "u1"), ("level", "u1"), ("n", "<u2")]
_ENTRY = [("name", "<u8"), ("header", "<u8"), ("rest", "V24")]
_PAIRS = ("keys_and_children", "<u8", (4 * _INTERNAL_K + 1,))
_SYMBOLS = np.dtype([*_NODE, ("entries", _ENTRY, (2 * _LEAF_K,))])
_TREE = np.dtype([*_NODE, ("left", "<u8"), ("right", "<u8"), _PAIRS])

_DATATYPES = {  # by NumPy's dtype.char
    # Class 1, "Floating-Point": positions of sign, exponent and mantissa, and the exponent's bias.
    "f": struct.pack("<4BI2H4BI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127),
    "e": struct.pack("<4BI2H4BI", 0x11, 0x20, 15, 0, 2, 0, 16, 10, 5, 0, 10, 15),
    # Class 9, "Variable-Length": a string in UTF-8, made of unsigned bytes.
    "V": struct.pack("<4BI4BI2H", 0x19, 1, 1, 0, 16, 0x10, 0, 0, 0, 1, 0, 8),
}
# An element of a text dataset: it refers to an object of a "Global Heap".
_TEXT_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])


class Hdf5File:
    """A new file, for a ``with`` statement; the file is complete if that ends without an error."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", _BUFFER_BYTES)
        self._end = 0
        self._numbered = array.array("Q")  # addresses of the headers of datasets "0", "1", …
        self._named: dict[str, int] = {}  # addresses of the headers of the others
        self._header = functools.cache(_Header)
        self._append(bytes(_SUPERBLOCK.size))

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._file:
            if kind is None:
                self._finish()

    def add(self, values: np.ndarray, name: str | None = None) -> None:
        """Write a dataset, float32 or float16: the next numbered one, or one with a new name.

        A file has either numbered datasets or names that may be numbers.
        """
        if name is None:
            self._numbered.append(self._write_dataset(values))
        else:
            self._named[name] = self._write_dataset(values)

    def add_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Write texts without NUL characters; returns references for ``name_texts``."""
        heap = self._end
        references = np.zeros(len(texts), _TEXT_REFERENCE)
        encoded = [text.encode("utf-8") for text in texts]
        references["length"], references["heap"] = list(map(len, encoded)), heap
        references["index"] = np.arange(1, len(texts) + 1)
        objects = b"".join(
            struct.pack("<2HIQ", index, 0, 0, len(text)) + _padded(text)
            for index, text in enumerate(encoded, start=1)
        )
        size = max(16 + len(objects), 4096)  # 4096 is the smallest "Global Heap Collection"
        free = size - 16 - len(objects)
        self._append(struct.pack("<4sB3xQ", b"GCOL", 1, size) + objects)
        # Object 0 is the free space, if that has room for the object's header.
        free_header = struct.pack("<2HIQ", 0, 0, 0, free) if free >= 16 else b""
        self._append(free_header.ljust(free, b"\0"))
        return references

    def name_texts(self, name: str, references: np.ndarray) -> None:
        """Write the dataset of these texts."""
        self._named[name] = self._write_dataset(references)

    def _append(self, data: Any) -> int:
        """Write at the end, which stays a multiple of eight bytes; returns the address."""
        address = self._end
        size = self._file.write(data)
        if size % 8:
            size += self._file.write(bytes(-size % 8))
        self._end += size
        return address

    def _write_dataset(self, values: np.ndarray) -> int:
        header = self._header(values.ndim, values.dtype.char)
        data = self._end + len(header.content) if values.size else _UNDEFINED
        address = self._append(header.fill_in(values.shape, data, values.nbytes))
        if sys.byteorder == "big":
            values = values.astype(values.dtype.newbyteorder("<"))
        self._append(np.ascontiguousarray(values))
        return address

    def _finish(self) -> None:
        n = len(self._numbered)
        # Names are sorted as strings; all other names come after those of digits.
        order = np.argsort(np.arange(n).astype(f"S{len(str(n))}"), kind="stable")
        others = sorted(self._named)
        heap, names = self._append_heap(order, others)
        named = np.array([self._named[name] for name in others], np.uint64)
        headers = np.concatenate([np.frombuffer(self._numbered, np.uint64)[order], named])
        tree = self._append_tree(names, headers)
        group = struct.pack("<HHB3xQQ", 0x11, 16, 0, tree, heap)  # message "Symbol Table"
        root = self._append(struct.pack("<BxHII4x", 1, 1, 1, len(group)) + group)
        self._file.seek(0)
        self._file.write(
            _SUPERBLOCK.pack(
                b"\x89HDF\r\n\x1a\n",
                *(0, 0, 0, 0, 0, 8, 8, 0),  # versions; offsets and lengths have eight bytes
                *(_LEAF_K, _INTERNAL_K, 0),
                *(0, _UNDEFINED, self._end, _UNDEFINED),  # base, free space, end, driver
                *(0, root, 1, 0, tree, heap),  # "Symbol Table Entry" of the root group
            )
        )

    def _append_heap(self, order: np.ndarray, others: list[str]) -> tuple[int, np.ndarray]:
        """Write the "Local Heap" of names; returns its address, and the offset of each name."""
        width = len(_padded(f"{len(order)}\0".encode()))
        data = self._append(bytes(8))
        for first in range(0, len(order), _NAMES_PER_BLOCK):
            numbers = np.arange(first, min(first + _NAMES_PER_BLOCK, len(order)))
            self._append(numbers.astype(f"S{width}"))
        starts = [self._append(_padded(f"{name}\0".encode())) - data for name in others]
        size = self._end - data
        heap = self._append(struct.pack("<4sB3xQQQ", b"HEAP", 0, size, 1, data))
        return heap, np.concatenate([8 + width * order, np.array(starts, np.int64)])

    def _append_tree(self, names: np.ndarray, headers: np.ndarray) -> int:
        """Write "Symbol Table Nodes", and "B-tree Nodes" above them; returns the root's address."""
        children = self._end + _SYMBOLS.itemsize * np.arange(-(-len(names) // (2 * _LEAF_K)))
        for first in range(0, len(names), _NAMES_PER_BLOCK):
            block = slice(first, first + _NAMES_PER_BLOCK)
            (names_NE, headers_NE), counts = _to_nodes([names[block], headers[block]], 2 * _LEAF_K)
            nodes = np.zeros(len(counts), _SYMBOLS)
            nodes["signature"], nodes["version_or_type"], nodes["n"] = b"SNOD", 1, counts
            nodes["entries"]["name"], nodes["entries"]["header"] = names_NE, headers_NE
            self._append(nodes)
        last = names[np.minimum(2 * _LEAF_K * np.arange(1, len(children) + 1), len(names)) - 1]
        level = 0
        while True:
            (children_NE, last_NE), counts = _to_nodes([children, last], 2 * _INTERNAL_K)
            nodes = np.zeros(len(counts), _TREE)
            start = self._end + nodes.itemsize * np.arange(len(nodes))
            nodes["signature"], nodes["level"], nodes["n"] = b"TREE", level, counts
            nodes["left"] = [_UNDEFINED, *start[:-1]]
            nodes["right"] = [*start[1:], _UNDEFINED]
            # The key between two children is the last name of the left one.
            last = last_NE[np.arange(len(nodes)), counts - 1]
            pairs = nodes["keys_and_children"]
            pairs[:, 1::2], pairs[:, 2::2] = children_NE, last_NE
            pairs[:, 0] = [0, *last[:-1]]
            self._append(nodes)
            if len(nodes) == 1:
                return int(start[0])
            children, level = start, level + 1


class _Header:
    """The "Object Header" of all datasets with one rank and datatype."""

    def __init__(self, rank: int, datatype: str) -> None:
        # A new array without a fill value, as the library writes it.
        fill = bytes([2, 2, 0 if datatype == "V" else 2, 1, 0, 0, 0, 0])
        space = bytes([1, rank, 0, 0, 0, 0, 0, 0]) + bytes(8 * rank)
        layout = bytes([3, 1]) + bytes(22)
        messages = b"".join(
            struct.pack("<HHB3x", kind, len(_padded(content)), constant) + _padded(content)
            for kind, constant, content in (
                (0x01, 0, space),
                (0x03, 1, _DATATYPES[datatype]),
                (0x05, 1, fill),
                (0x08, 0, layout),
            )
        )
        # With the lengths and address of the latest dataset.
        self.content = bytearray(struct.pack("<BxHII4x", 1, 4, 1, len(messages)) + messages)
        self._lengths, self._data = struct.Struct(f"<{rank}Q"), struct.Struct("<QQ")

    def fill_in(self, shape: tuple[int, ...], data: int, n_bytes: int) -> bytearray:
        """The header of one dataset. The next call overwrites it."""
        self._lengths.pack_into(self.content, 32, *shape)
        self._data.pack_into(self.content, len(self.content) - 22, data, n_bytes)
        return self.content


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 8) * 8, b"\0")


def _to_nodes(columns: Sequence[np.ndarray], width: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Arrays as [nodes, width], the last node padded with zeros, and the length of each node."""
    n = len(columns[0])
    n_rows = -(-n // width)
    rows = [np.pad(c, (0, n_rows * width - n)).reshape(n_rows, width) for c in columns]
    return rows, np.minimum(width, n - width * np.arange(n_rows))
