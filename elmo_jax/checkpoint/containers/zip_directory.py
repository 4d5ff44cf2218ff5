"""A bound on the directory of a zip, which ``zipfile`` reads as a whole, whatever it claims."""

from __future__ import annotations

import io

_MOST_BYTES = 1 << 20
"""Enough for 10,000 entries with names of usual length. Each costs memory when it is listed."""


class LargeDirectory(Exception):
    """The directory of a zip is larger than that of any model."""


class SmallDirectoryFile(io.FileIO):
    """A zip that is read entry by entry, or fails with ``LargeDirectory``."""

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; no single read needs many but that of the directory."""
        if size is not None and size > _MOST_BYTES:
            raise LargeDirectory(f"it is a zip with a directory of {size:,} bytes")
        return super().read(size)
