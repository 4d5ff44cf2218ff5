"""A file for a library that cannot bear a failed write: the failure is kept until it is asked for.

HDF5 goes on trying to write what it holds, and leaves its file open, for the rest of the process.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any


class DeferringFile(io.RawIOBase):
    """A new file; from the first write that fails on, nothing is written any more.

    Args:
        path: the file.

    Attributes:
        failure: what the first failed write raised.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self.failure: OSError | None = None

    def check(self) -> None:
        """Raise the failure, if there was one."""
        if self.failure is not None:
            raise self.failure

    def write(self, data: Any) -> int:
        """See ``io.RawIOBase``; says that all is written."""
        rest = memoryview(data).cast("B")
        try:
            while self.failure is None and len(rest):
                rest = rest[self._file.write(rest) :]  # a disk that is all but full takes a part
        except OSError as error:
            self.failure = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """See ``io.RawIOBase``."""
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        """See ``io.RawIOBase``."""
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See ``io.RawIOBase``."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """See ``io.RawIOBase``."""
        return self._file.tell()

    def close(self) -> None:
        """See ``io.RawIOBase``."""
        self._file.close()
        super().close()
