"""What text files contained when a run counted them, to notice that one changes.

A file is hashed while it is read anyway. Between two readings its size and its times tell whether
it was touched, and only then it is hashed again. So a run that is resumed starts at once, however
large its text is.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ..errors import ElmoError, counted, first_few
from ..text.readers import BrokenFile, open_file
from ..text.readers.stored_bytes import stored_position

_BUFFER_BYTES = 1 << 17

_REMEDY = (
    "Put back what was there when the run was started, or start another run in another folder."
)


@dataclasses.dataclass(frozen=True)
class FileContent:
    """What a text file contained.

    Attributes:
        name: without its folder.
        size: in bytes, compressed if the file is.
        modified_ns: the time of the last change of the content.
        changed_ns: that of the content or of the file's properties, which no program can set back.
        sha256: of the content that can be read, decompressed.
        breaks_off: where and why it cannot be read to its end; None if it can.
        n_bad_lines: lines with bytes that are not UTF-8.
    """

    name: str
    size: int
    modified_ns: int
    changed_ns: int
    sha256: str
    breaks_off: str | None = None
    n_bad_lines: int = 0

    @property
    def stamp(self) -> tuple[int, int, int]:
        """What changes when the file is touched."""
        return self.size, self.modified_ns, self.changed_ns


class TextContents:
    """The contents of the files of a corpus; those that are not known yet are added when read."""

    def __init__(self) -> None:
        self._contents: dict[Path, FileContent] = {}

    def of(self, path: Path) -> FileContent:
        """What a file that was read contained."""
        return self._contents[path]

    def hashes(self, paths: Iterable[Path]) -> list[str]:
        """The hash of each file's content."""
        return [self._contents[path].sha256 for path in paths]

    @contextlib.contextmanager
    def opened(self, path: Path) -> Iterator[HashedFile]:
        """Open a file to read it; ElmoError if it was touched and has other contents."""
        if path in self._contents:
            self.check([path])
        with HashedFile(path) as file:
            yield file

    def add(self, path: Path, file: HashedFile, breaks_off: str | None, n_bad_lines: int) -> None:
        """Take in what a reading to the end has found.

        Raises:
            ElmoError: if an earlier reading has found something else, or if the file was touched
                during the first reading.
        """
        earlier = self._contents.get(path)
        if earlier is None:
            if _stamp(path) != file.stamp:
                raise ElmoError(
                    f"{path} was changed while it was read. Leave the text alone, and start again."
                )
            digest = file.sha256
            content = FileContent(path.name, *file.stamp, digest, breaks_off, n_bad_lines)
            self._contents[path] = content
        elif file.sha256 != earlier.sha256:
            if breaks_off is not None and earlier.breaks_off is None:
                raise ElmoError(
                    f"{path} could be read to its end when the run was started, and now breaks "
                    f"off {breaks_off}. Is its disk or its network in order? Then the same command "
                    "resumes."
                )
            raise ElmoError(f"{_change(path, earlier)}. {_REMEDY}")

    def check(self, paths: Iterable[Path] | None = None) -> None:
        """Raise ElmoError, which names them, if files have other contents than they had."""
        if changes := self.changes(paths):
            raise ElmoError(f"{first_few(changes)}. {_REMEDY}")

    def changes(self, paths: Iterable[Path] | None = None) -> list[str]:
        """Which files have other contents than they had.

        Only files that were touched are read. A file that is gone has not changed: who opens it
        next will say so.
        """
        changed = []
        for path in list(self._contents if paths is None else paths):
            earlier = self._contents[path]
            with contextlib.suppress(FileNotFoundError):
                if _stamp(path) == earlier.stamp:
                    continue
                content = _read_content(path, earlier)
                if content.sha256 == earlier.sha256:
                    self._contents[path] = content
                else:
                    changed.append(_change(path, earlier))
        return changed

    def digest(self, files: Sequence[Path], max_tokens: int | None = None) -> str:
        """One hash for the text in these files, up to ``max_tokens``."""
        contents = [self.of(path).sha256 for path in files]
        return hashlib.sha256(repr((contents, max_tokens)).encode()).hexdigest()

    @property
    def broken(self) -> list[dict[str, str]]:
        """The files that cannot be read to their end, and where each breaks off."""
        return [
            {"file": str(path), "breaks_off": content.breaks_off}
            for path, content in self._contents.items()
            if content.breaks_off is not None
        ]

    def refuse_faults(self) -> None:
        """Raise ElmoError if a file breaks off or has bytes that are not UTF-8."""
        for path, content in self._contents.items():
            problem = content.breaks_off and f"breaks off {content.breaks_off}"
            if content.n_bad_lines:
                problem = (
                    f"has {counted(content.n_bad_lines, 'line')} with bytes that are not UTF-8"
                )
            if problem:
                raise ElmoError(
                    f"{path} {problem}. (Without strict, this is reported and passed over.)"
                )

    def to_json(self, files: Sequence[Path]) -> list[dict[str, Any]]:
        """A record of each file, for ``from_json``."""
        return [dataclasses.asdict(self.of(path)) for path in files]

    @classmethod
    def from_json(cls, files: Sequence[Path], records: Any) -> TextContents:
        """The contents that ``to_json`` recorded; the files may lie in another folder now.

        Raises:
            ElmoError: if these are other files by their names or their order.
        """
        earlier = _checked_contents(records)
        before, now = [content.name for content in earlier], [path.name for path in files]
        if before != now:
            raise ElmoError(f"the text files were {_listed(before)}, and now are {_listed(now)}")
        contents = cls()
        contents._contents = dict(zip(files, earlier, strict=True))
        return contents


class HashedFile(io.BufferedReader):
    """An open file, decompressed by its suffix, and the hash of what was read.

    Attributes:
        stamp: of the file, just before it was opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            self.stamp = _stamp(path)
        except OSError as error:
            raise ElmoError(f"Cannot read {path}: {error.strerror or error}.") from None
        self._hashing = _Hashing(open_file(path))
        super().__init__(self._hashing, _BUFFER_BYTES)

    @property
    def sha256(self) -> str:
        """The hash of all bytes that were read, those in the buffer too."""
        return self._hashing.digest.hexdigest()

    @property
    def n_bytes(self) -> int:
        """How many bytes those are."""
        return self._hashing.n_bytes


class _Hashing(io.RawIOBase):
    """The bytes of a file, which are hashed when they are read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file: Any = file
        self.digest, self.n_bytes = hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def stored_position(self) -> int:
        return stored_position(self._file)

    def readinto(self, buffer: Any) -> int:
        # read() would lose what comes before the place where a damaged file breaks off.
        chunk = self._file.read1(len(buffer))
        buffer[: len(chunk)] = chunk
        self.digest.update(chunk)
        self.n_bytes += len(chunk)
        return len(chunk)

    def close(self) -> None:
        self._file.close()
        super().close()


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read_content(path: Path, earlier: FileContent) -> FileContent:
    """What a file that was touched contains now."""
    with HashedFile(path) as file:
        with contextlib.suppress(BrokenFile):
            for _ in file:  # by lines, as in training: elsewhere a damaged file might break off
                pass
        return FileContent(
            path.name, *file.stamp, file.sha256, earlier.breaks_off, earlier.n_bad_lines
        )


def _change(path: Path, earlier: FileContent) -> str:
    try:
        size, modified, _ = _stamp(path)
    except OSError:
        return f"{path} has changed since the run was started, and is gone"
    sizes = (
        "the same size" if size == earlier.size else f"{earlier.size:,} bytes then, {size:,} now"
    )
    when = datetime.datetime.fromtimestamp(modified // 10**9).isoformat(" ")
    return f"{path} has changed since the run was started ({sizes}; last written {when})"


def _listed(names: Sequence[str]) -> str:
    return first_few(names).replace(";", ",") or "none"


def _checked_contents(records: Any) -> list[FileContent]:
    if isinstance(records, list) and all(map(_is_record, records)):
        return [FileContent(**record) for record in records]
    raise ElmoError("run.json does not say what the text files contained")


def _is_record(record: Any) -> bool:
    kinds: dict[str, Any] = {
        "name": str, "size": int, "modified_ns": int, "changed_ns": int, "sha256": str,
        "breaks_off": str | None, "n_bad_lines": int,
    }  # fmt: skip
    return (
        isinstance(record, dict)
        and record.keys() == kinds.keys()
        and all(isinstance(record[name], kind) for name, kind in kinds.items())
    )
