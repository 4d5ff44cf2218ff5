"""The datasets of an HDF5 file from anywhere, as arrays that lie in that file and nowhere else.

HDF5 has many ways to show numbers that a file does not hold: links and external storage show those
of any other file that the user may read, virtual datasets those of several, and what was never
written shows as zeros. Weights in published files use none of these.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from ..errors import ElmoError, counted, first_few, shortened
from ..files import shown_size
from .stored_arrays import StoredArray, UnreadableArray

HDF5_ERRORS = (OSError, RuntimeError, KeyError, TypeError, ValueError)
"""What h5py raises for a file with wrong bytes, depending on where they are."""

DAMAGED = "the file is damaged; copy or download it again"
"""Why, in an error, it cannot be read."""

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""The first bytes of every HDF5 file."""

_MOST_ENTRIES = 50_000
"""Groups and datasets in a file. Each costs memory; a model of 1,000 layers has 15,000."""

_MOST_EXPANSION, _ALWAYS_EXPANDED = 20, 10**8
"""Compressed datasets may take 20 times the bytes of their file, or 100 MB more than it if that is
more. Weights hardly shrink: more is a file that was made to fill the memory."""

_FILTERS = (
    *(h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32),
    *(h5py.h5z.FILTER_SZIP, h5py.h5z.FILTER_LZF),
)
"""What compresses and checks datasets without a plugin and without a loss."""


def open_hdf5(path: Path, name: str, kind: str = "weight file") -> h5py.File:
    """Open an HDF5 file, or raise ElmoError with the likely cause. Errors call it ``kind name``."""
    if not path.is_file():
        raise ElmoError(f"{kind.capitalize()} {name} does not exist.")
    try:
        return h5py.File(path, "r")
    except HDF5_ERRORS as error:
        reason = str(error)
    try:
        with path.open("rb") as file:
            beginning = file.read(24)
    except OSError as error:
        raise unreadable(name, f"{error.strerror}", reason, kind) from None
    if "truncated" in reason:
        cause = "the file is truncated; copy or download it again"
    elif beginning.startswith(SIGNATURE):
        cause = DAMAGED
    elif not beginning:
        cause = "the file is empty; copy or download it again"
    else:
        cause = f"it is not an HDF5 file: it starts with {beginning!r}"
    raise unreadable(name, cause, reason, kind)


def unreadable(name: str, cause: str, reason: object, kind: str = "weight file") -> ElmoError:
    """The error for an HDF5 file that cannot be read."""
    return ElmoError(f"Cannot read the {kind} {name}: {cause}. [HDF5: {reason}]")


def arrays_in(file: h5py.File, name: str, kind: str = "weight file") -> dict[str, StoredArray]:
    """All datasets of a file by name; none is read yet.

    Raises:
        ElmoError: if the file is damaged, has links, or its datasets claim far more bytes than it
            has. What is wrong with a single dataset is the ``problem`` of its array.
    """
    try:
        datasets = _datasets_in(file, name, kind)
        storages = {path: _storage(dataset) for path, dataset in datasets.items()}
        _check_sizes(file, list(storages.values()), name, kind)
        return {path: _array(path, datasets[path], storages[path]) for path in datasets}
    except ElmoError:
        raise
    except HDF5_ERRORS as error:
        raise unreadable(name, DAMAGED, error, kind) from None


def has_group(file: h5py.File, name: str) -> bool:
    """Whether a file has a group of its own at its top, rather than a link to one."""
    link = file.get(name, getlink=True)
    return isinstance(link, h5py.HardLink) and file.get(name, getclass=True) is h5py.Group


def _datasets_in(file: h5py.File, name: str, kind: str) -> dict[str, h5py.Dataset]:
    """All datasets below a file's groups; ElmoError if there is any link, which may lead anywhere.

    A group that is reached a second time is passed over, so that none can be a part of itself.
    """
    datasets: dict[str, h5py.Dataset] = {}
    links, n_entries = [], 0
    groups, known = [("", file["/"])], set()
    while groups:
        folder, group = groups.pop()
        if (address := h5py.h5o.get_info(group.id).addr) in known:
            continue
        known.add(address)
        n_entries += len(group)
        if n_entries > _MOST_ENTRIES:
            raise ElmoError(
                f"The {kind} {name} has more than {_MOST_ENTRIES:,} groups and datasets, expected "
                "the few of one model."
            )
        for key in group:
            # A name that is not UTF-8 comes as bytes.
            path = folder + (key if isinstance(key, str) and key.isprintable() else repr(key))
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                links.append(f"{path:.60} to {shortened(link.path)} in {link.filename!r:.60}")
            elif isinstance(link, h5py.SoftLink):
                links.append(f"{path:.60} to {shortened(link.path)}")
            elif not isinstance(link, h5py.HardLink):
                raise KeyError(key)  # listed, and yet not there
            elif isinstance(item := group[key], h5py.Group):
                groups.append((f"{path}/", item))
            elif isinstance(item, h5py.Dataset):
                datasets[path] = item
    if links:
        raise ElmoError(
            f"The {kind} {name} has {counted(len(links), 'link')}: {first_few(links)}. A link may "
            "lead to any file of this machine, so none is followed. Expected all numbers in the "
            "file itself: copy there what the links lead to (h5copy), if you trust the file."
        )
    return dict(sorted(datasets.items()))


class _Storage(NamedTuple):
    n_bytes: int  # in the file
    n_claimed: int  # that reading takes
    problem: str | None = None  # why there are no numbers that can be read


def _check_sizes(file: h5py.File, storages: list[_Storage], name: str, kind: str) -> None:
    """Raise ElmoError if datasets share their bytes, or claim to be far larger than the file."""
    size = file.id.get_filesize()
    n_bytes = sum(storage.n_bytes for storage in storages)
    n_claimed = sum(storage.n_claimed for storage in storages)
    if n_bytes > size or n_claimed > max(_MOST_EXPANSION * size, size + _ALWAYS_EXPANDED):
        raise ElmoError(
            f"The {kind} {name} has {shown_size(size)}, but its datasets claim to have "
            f"{shown_size(max(n_bytes, n_claimed))}. Expected about as many bytes in the file as "
            "there are numbers for. If it is damaged, copy or download it again."
        )


def _array(name: str, dataset: h5py.Dataset, storage: _Storage) -> StoredArray:
    def read() -> np.ndarray:
        try:
            return dataset[()]
        except HDF5_ERRORS as error:
            raise UnreadableArray(error) from None

    return StoredArray(name, dataset.shape, dataset.dtype.name, read, storage.problem)


def _storage(dataset: h5py.Dataset) -> _Storage:
    """Where and how the numbers of a dataset are stored."""
    plan = dataset.id.get_create_plist()
    if n_files := plan.get_external_count():
        files = [f"{plan.get_external(number)[0]!r:.60}" for number in range(n_files)]
        listed = first_few(files)
        return _Storage(0, 0, f"its numbers lie in another file ({listed}), which is not read")
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        return _Storage(0, 0, "it is a virtual dataset: its numbers lie in others, not read here")
    if dataset.shape is None:
        return _Storage(0, 0)
    n_bytes, itemsize = dataset.id.get_storage_size(), dataset.id.get_type().get_size()
    if layout != h5py.h5d.CHUNKED:
        n_expected = dataset.size * itemsize
        if n_bytes == n_expected:
            return _Storage(n_bytes, n_expected)
        n_missing = f"only {n_bytes:,} of its {counted(n_expected, 'byte')}"
        return _Storage(n_bytes, n_bytes, f"{n_missing} were ever written")
    # A chunk is always read as a whole, even if the dataset ends inside it.
    n_claimed = dataset.id.get_num_chunks() * math.prod(dataset.chunks) * itemsize
    return _Storage(n_bytes, n_claimed, _chunk_problem(dataset, plan))


def _chunk_problem(dataset: h5py.Dataset, plan: Any) -> str | None:
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    if others := [number for number in filters if number not in _FILTERS]:
        return (
            f"it is compressed in an unusual way (filter {others[0]}); expected gzip, LZF or szip"
        )
    sizes = zip(dataset.shape, dataset.chunks, strict=True)
    n_expected = math.prod(-(-size // of_chunk) for size, of_chunk in sizes)
    n_written = _n_chunks(dataset, n_expected)
    if n_written == n_expected:
        return None
    return f"only {n_written:,} of its {counted(n_expected, 'chunk')} were ever written"


def _n_chunks(dataset: h5py.Dataset, n_expected: int) -> int:
    """How many different chunks of a dataset are in the file."""
    n_chunks = int(dataset.id.get_num_chunks())
    if n_chunks != n_expected or not hasattr(dataset.id, "chunk_iter"):
        return n_chunks
    # An index that has one chunk twice lacks another one.
    places = set()

    def visit(chunk: Any) -> None:
        if all(0 <= n < size for n, size in zip(chunk.chunk_offset, dataset.shape, strict=True)):
            places.add(tuple(chunk.chunk_offset))

    dataset.id.chunk_iter(visit)
    return len(places)
