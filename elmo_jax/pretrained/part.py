"""The beginning of a file that is being downloaded, and what is known of the file it belongs to."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import asdict, dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from ..errors import ElmoError
from ..files import atomic_file, sync
from ..json_text import parse_json_object, to_json

_MOST_ORIGIN_BYTES = 10_000
_SETTLED_SECONDS = 60  # a file that is younger may change again within the same second


@dataclass(frozen=True)
class Origin:
    """How a server names one version of a file, and that version's length.

    ``etag`` is a strong one; ``last_modified`` is there only if it tells versions apart.
    """

    etag: str | None = None
    last_modified: str | None = None
    total: int | None = None

    @property
    def validator(self) -> str | None:
        """For ``If-Range``: the server then sends the rest of this version, or a whole new file."""
        return self.etag or self.last_modified

    def is_that_of(self, other: Origin) -> bool:
        """Whether two answers are of one version, as far as this one says."""
        same_total = None in (self.total, other.total) or self.total == other.total
        if self.etag is not None:
            return same_total and self.etag == other.etag
        return same_total and self.last_modified in (None, other.last_modified)


def origin_of(headers: Message, total: int | None) -> Origin:
    """What the headers of a response say about the version of the file."""
    etag = headers.get("ETag")
    is_strong = etag is not None and len(etag) < 1000 and etag[:1] == etag[-1:] == '"'
    modified = headers.get("Last-Modified")
    return Origin(
        etag if is_strong else None,
        modified if modified is not None and _is_settled(modified, headers.get("Date")) else None,
        total,
    )


def _is_settled(modified: str, now: str | None) -> bool:
    """Whether a file was last modified so long ago that the time names one version (RFC 9110)."""
    if now is None or len(modified) > 100:
        return False
    try:
        age = parsedate_to_datetime(now) - parsedate_to_datetime(modified)
    except (ValueError, TypeError, OverflowError):
        return False
    return age.total_seconds() >= _SETTLED_SECONDS


@dataclass(frozen=True)
class Part:
    """``<target>.part``, and beside it ``.part.json``, its origin.

    Neither is read or written through a link that somebody has put in its place.
    """

    target: Path

    @property
    def path(self) -> Path:
        """Where the bytes are."""
        return self.target.with_name(self.target.name + ".part")

    @property
    def _origin_path(self) -> Path:
        return self.target.with_name(self.target.name + ".part.json")

    @property
    def size(self) -> int:
        """How many bytes there are."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return 0
        self._refuse_links(status)
        return status.st_size

    @property
    def origin(self) -> Origin:
        """Where the bytes are from; one that says nothing if that is not known."""
        with contextlib.suppress(OSError, ElmoError, TypeError):
            if stat.S_ISREG(self._origin_path.lstat().st_mode):
                with self._origin_path.open("rb") as file:
                    text = file.read(_MOST_ORIGIN_BYTES)
                return _checked(Origin(**parse_json_object(text, str(self._origin_path))))
        return Origin()

    def open(self, position: int) -> BinaryIO:
        """The file, for writing at a position; what stands behind it is overwritten or cut off."""
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        _ = self.size  # refuses links where there is no O_NOFOLLOW
        file = os.fdopen(os.open(self.path, flags, 0o666), "r+b")
        try:
            self._refuse_links(os.fstat(file.fileno()))
            if position == 0:
                file.truncate()
            file.seek(position)
        except BaseException:
            file.close()
            raise
        return file

    def record(self, origin: Origin) -> None:
        """Write down where the bytes that follow are from. The part must be empty."""
        with atomic_file(self._origin_path, overwrite=True) as temporary:
            temporary.write_text(to_json(asdict(origin)), encoding="utf-8")

    def drop(self) -> None:
        """Delete it."""
        self.path.unlink(missing_ok=True)
        self._origin_path.unlink(missing_ok=True)

    def publish(self) -> None:
        """Give the whole file its name, unless something of that name has appeared."""
        sync(self.path)
        if os.path.lexists(self.target):
            raise FileExistsError(f"{self.target} exists already")
        self.path.replace(self.target)
        self._origin_path.unlink(missing_ok=True)

    def _refuse_links(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(f"{self.path} is a link or something else than a file; delete it")


def _checked(origin: Origin) -> Origin:
    """The origin, if it can be what ``record`` wrote."""
    texts = (origin.etag, origin.last_modified)
    if not all(text is None or (isinstance(text, str) and text.isprintable()) for text in texts):
        raise TypeError
    if origin.total is not None and type(origin.total) is not int:
        raise TypeError
    return origin
