"""The files of a model, whether they lie in a folder, in an archive, or beside a checkpoint."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import ElmoError
from ...files import shown_size
from ...json_text import parse_json_object
from ...text.contents import HEAD_BYTES, binary_kind
from .archives import ARCHIVE_KINDS, Member, archive_kind, open_archive

MOST_LEVELS = 4
"""How deep files are looked for; TF-Hub modules and AllenNLP archives need two levels."""

_MOST_BELOW = 10_000
"""Beyond this many files, no further folder is looked into: it is not that of one model."""

_MOST_OF_FREE_SPACE = 0.9
"""The share of the free space for temporary files that files may claim in an archive: other
programs need some, and an archive may claim anything."""

_CHECKPOINT_FILE = re.compile(r"(.+)\.(index|meta|data-\d{5}-of-\d{5})")


class ModelFiles:
    """The files of a model by their names: POSIX paths relative to the model's folder.

    Dot files, and what macOS adds to archives, are left out.

    Attributes:
        source: what the user named.
        names: all files, sorted, at most ``MOST_LEVELS`` deep.
        prefix: the first part of the names of a TensorFlow checkpoint's files, if one was named.
        depth: how many folders below the top of an archive these files lie, see ``roots``.
    """

    depth = 0

    def __init__(
        self, source: Path, folder: Path, names: Iterable[str], prefix: str | None = None
    ) -> None:
        self.source, self.names, self.prefix = source, tuple(sorted(names)), prefix
        self._folder = folder

    def roots(self) -> list[ModelFiles]:
        """Where the model may lie: here, and in an archive also in any of its folders.

        The nearest come first, each with names relative to itself.
        """
        return [self]

    def label(self, name: str) -> str:
        """What errors call a file: its path, or "model.zip:encoder.pkl"."""
        return str(self._folder / name)

    def path(self, name: str) -> Path:
        """A file that can be opened and lasts as long as this object."""
        return self.paths([name])[0]

    def paths(self, names: Sequence[str]) -> list[Path]:
        """Several files at once, in one pass through a compressed tar."""
        self._check(names)
        return [self._folder / name for name in names]

    def read(self, name: str, most: int) -> bytes:
        """The content of a file that is expected to have at most ``most`` bytes."""
        path = self.path(name)
        try:
            self._check_size(name, path.stat().st_size, most)
            return path.read_bytes()
        except OSError as error:
            raise ElmoError(f"Cannot read {self.label(name)}: {error.strerror}.") from None

    def read_json(self, name: str, most: int) -> dict[str, Any]:
        """The JSON object in a file of at most ``most`` bytes."""
        return parse_json_object(self.read(name, most), self.label(name))

    def _check(self, names: Sequence[str]) -> None:
        if missing := [name for name in names if name not in self.names]:
            raise ElmoError(f"{self.source} has no {', '.join(missing)}; found {self.listed()}.")

    def _check_size(self, name: str, size: int, most: int) -> None:
        if size > most:
            raise ElmoError(
                f"{self.label(name)} has {size:,} bytes, expected at most {most:,}. Is it another "
                "kind of file?"
            )

    def listed(self, names: Sequence[str] | None = None) -> str:
        """Some of the names, for errors."""
        names = self.names if names is None else names
        if not names:
            return "nothing"
        return ", ".join(names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")


@contextlib.contextmanager
def open_files(path: Path) -> Iterator[ModelFiles]:
    """The files of a folder, of an archive, or of a TensorFlow checkpoint named by its prefix.

    An archive is a zip or a tar, the tar as it is or compressed with gzip, bzip2 or xz; its content
    tells. If all its files lie in one folder, names are relative to that. Only files that are asked
    for are unpacked, into a temporary folder that is removed at the end. A checkpoint is also found
    by the name of one of its files.

    Raises:
        ElmoError: if there is nothing of that name, or nothing of these kinds; if an archive is
            damaged or encrypted, has links or names that lead out of it, or claims sizes that
            cannot be.
    """
    prefix = _checkpoint_prefix(path)
    if path.is_dir():
        yield ModelFiles(path, path, _names_below(path))
    elif prefix is not None:
        folder = prefix.parent
        yield ModelFiles(path, folder, _names_below(folder), prefix.name)
    elif path.is_file():
        with _open_archived(path) as files:
            yield files
    else:
        raise ElmoError(f"There is no model at {path}: no such file or folder.")


def _checkpoint_prefix(path: Path) -> Path | None:
    match = _CHECKPOINT_FILE.fullmatch(path.name)
    prefix = path.with_name(match[1]) if match and path.is_file() else path
    # The name of "." is empty.
    has_index = prefix.name and prefix.with_name(f"{prefix.name}.index").is_file()
    return prefix if has_index else None


def _names_below(folder: Path) -> list[str]:
    """The files in a folder and below, but not in folders that are links: they may form circles."""
    names: list[str] = []
    folders = deque([""])  # the top comes first, then level by level
    while folders and len(names) <= _MOST_BELOW:
        below = folders.popleft()
        try:
            entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
        except OSError as error:
            if not below:
                raise ElmoError(f"Cannot read the folder {folder}: {error.strerror}.") from None
            continue
        for entry in entries:
            name = f"{below}{entry.name}"
            if entry.name.startswith("."):
                continue
            if entry.is_file():
                names.append(name)
            elif entry.is_dir(follow_symlinks=False) and name.count("/") + 1 < MOST_LEVELS:
                folders.append(f"{name}/")
    return names


@contextlib.contextmanager
def _open_archived(path: Path) -> Iterator[ModelFiles]:
    try:
        kind = archive_kind(path)
    except OSError as error:
        raise ElmoError(f"Cannot read {path}: {error.strerror}.") from None
    if kind is None:
        raise ElmoError(
            f"{path} is {_what(path)}, expected a folder, or an archive "
            f"({', '.join(ARCHIVE_KINDS)}), of a model. A weight file alone is opened with "
            "options_file= and weight_file=."
        )
    with (
        open_archive(path, kind) as members,
        tempfile.TemporaryDirectory(prefix="elmo-jax-") as temporary,
    ):
        root = _common_folder(members)
        below_root = {name.removeprefix(root): member for name, member in members.items()}
        yield _ArchivedFiles(path, Path(temporary), below_root)


def _what(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return binary_kind(head)[0] or ("a file" if head else "an empty file")


class _ArchivedFiles(ModelFiles):
    """The files in an archive, or in a folder of it, unpacked when they are asked for."""

    def __init__(
        self, source: Path, temporary: Path, members: Mapping[str, Member], folder: str = ""
    ) -> None:
        self._temporary, self._all, self.depth = temporary, members, folder.count("/")
        self._members = {
            name: member
            for full_name, member in members.items()
            if full_name.startswith(folder)
            and (name := full_name.removeprefix(folder)).count("/") < MOST_LEVELS
        }
        super().__init__(source, temporary / folder, self._members)

    def roots(self) -> list[ModelFiles]:
        folders = {f"{posixpath.dirname(name)}/" for name in self.names if "/" in name}
        nearest_first = sorted(folders, key=lambda folder: (folder.count("/"), folder))
        below = [
            _ArchivedFiles(self.source, self._temporary, self._all, folder)
            for folder in nearest_first
        ]
        return [self, *below]

    def label(self, name: str) -> str:
        return f"{self.source}:{self._members[name].name}"

    def paths(self, names: Sequence[str]) -> list[Path]:
        self._check(names)
        paths = super().paths(names)
        packed = {
            path: self._members[name]
            for path, name in zip(paths, names, strict=True)
            if not _is_there(path)
        }
        self._check_space(list(packed.values()))
        for path, member in sorted(packed.items(), key=lambda item: item[1].position):
            self._unpack(member, path)
        return paths

    def read(self, name: str, most: int) -> bytes:
        self._check([name])
        self._check_size(name, self._members[name].size, most)
        if _is_there(self._folder / name):
            return super().read(name, most)
        return b"".join(self._members[name].chunks())

    def _check_space(self, members: Sequence[Member]) -> None:
        claimed = sum(member.size for member in members)
        free = shutil.disk_usage(self._temporary).free
        if claimed > _MOST_OF_FREE_SPACE * free:
            names = self.listed([member.name for member in members])
            raise ElmoError(
                f"{self.source}: {names} would take {shown_size(claimed)}, but only "
                f"{_MOST_OF_FREE_SPACE:.0%} of the {shown_size(free)} that are free for temporary "
                f"files in {self._temporary.parent} may be used. Make room, set TMPDIR to another "
                "folder, or unpack the archive yourself and name its folder."
            )

    def _unpack(self, member: Member, path: Path) -> None:
        part = self._temporary / ".part"  # no file of an archive starts with a dot
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                for chunk in member.chunks():
                    file.write(chunk)
            part.replace(path)
        except OSError as error:
            raise ElmoError(
                f"Cannot unpack {self.source}:{member.name} to {path}: {error.strerror}."
            ) from None
        finally:
            part.unlink(missing_ok=True)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for this disk
        return False


def _common_folder(names: Iterable[str]) -> str:
    """The folder that all files lie in, with a slash at its end; "" for the top."""
    folders = [posixpath.dirname(name) for name in names]
    folder = posixpath.commonpath(folders) if folders else ""
    return f"{folder}/" if folder else ""
