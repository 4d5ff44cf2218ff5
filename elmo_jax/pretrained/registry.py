"""The published English ELMos: where their files are, and how to recognise them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server, and what is known about its bytes.

    Attributes:
        url: ``https://`` or ``http://``.
        size: in bytes, or None if it is not known.
        sha256: 64 lower-case hexadecimal digits, or None if it is not known.
    """

    url: str
    size: int | None = None
    sha256: str | None = None

    @property
    def expectation(self) -> str:
        """What is known about the bytes, for error messages."""
        size = "size not known" if self.size is None else f"{self.size:,} bytes"
        digest = "sha256 not known" if self.sha256 is None else f"sha256 {self.sha256}"
        kind = ", a JSON object" if self._is_json else ""
        return f"{size}, {digest}{kind}"

    @property
    def _is_json(self) -> bool:
        return self.url.endswith(".json")

    def problem(self, path: Path, *, check_hash: bool = True) -> str | None:
        """What is at ``path`` instead of this file, or None if nothing is wrong.

        Without ``check_hash`` the SHA-256, which takes reading the whole file, is not checked:
        only the size and, for a ``.json``, whether it is a JSON object.
        """
        if not path.is_file():
            return "something that is not a file"
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"{size:,} bytes{_beginning(path)}"
        if check_hash and self.sha256 is not None and (digest := sha256_of(path)) != self.sha256:
            return f"{size:,} bytes with sha256 {digest}{_beginning(path)}"
        if self._is_json and not _holds_json_object(path):
            return f"{size:,} bytes that are not a JSON object{_beginning(path)}"
        return None


@dataclass(frozen=True)
class PublishedModel:
    """A model as an options file and a weight file on a server.

    Attributes:
        name: what users call it, and its folder in the cache.
        options: its ``options.json``.
        weights: its ``weights.hdf5``.
    """

    name: str
    options: RemoteFile
    weights: RemoteFile

    @property
    def files(self) -> dict[str, RemoteFile]:
        """The files by their names in the model's folder."""
        return {"options.json": self.options, "weights.hdf5": self.weights}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file as 64 lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holds_json_object(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except ValueError:  # not JSON, or not even text
        return False


def _beginning(path: Path, length: int = 60) -> str:
    """The start of a file that is text, quoted: often it is a server's error page."""
    with path.open("rb") as file:
        head = file.read(length).decode("utf-8", errors="replace")
    if not head or not all(c.isprintable() or c.isspace() for c in head) or "\ufffd" in head:
        return ""
    return f", beginning {' '.join(head.split())!r}"


def _published(name: str, variant: str, size: int, sha256: str | None) -> PublishedModel:
    base = f"https://allennlp.s3.amazonaws.com/models/elmo/{variant}/elmo_{variant}"
    return PublishedModel(
        name=name,
        # Sizes and hashes of the options files are not published; they must be JSON.
        options=RemoteFile(f"{base}_options.json"),
        weights=RemoteFile(f"{base}_weights.hdf5", size, sha256),
    )


MODELS: Mapping[str, PublishedModel] = MappingProxyType(
    {
        model.name: model
        for model in (
            _published(
                "small",
                "2x1024_128_2048cnn_1xhighway",
                54_402_456,
                "747ba97abce8a5f446558369e10bb0f7931437a46867476fdd156f5d7f576229",
            ),
            # The size follows from the parameter shapes and the layout of the file above; the hash
            # is not known.
            _published("medium", "2x2048_256_2048cnn_1xhighway", 112_140_184, None),
            # The hash comes from a single source.
            _published(
                "original",
                "2x4096_512_2048cnn_2xhighway",
                374_434_792,
                "a6b92b9ccbb13fe489faacd2221c795d4bebe84b75f8aded9d85ea464fa5c994",
            ),
            # The same shapes as "original", so the same size; the hash is not known.
            _published("original_5p5b", "2x4096_512_2048cnn_2xhighway_5.5B", 374_434_792, None),
        )
    }
)
"""The four published English ELMos, smallest first."""
