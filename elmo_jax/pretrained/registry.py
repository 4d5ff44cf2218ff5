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
    """A file on a server, with its size in bytes and SHA-256 if they are known."""

    url: str
    size: int | None = None
    sha256: str | None = None  # 64 lower-case hexadecimal digits

    @property
    def expectation(self) -> str:
        """What is known about the bytes, for error messages."""
        size = "size not known" if self.size is None else f"{self.size:,} bytes"
        digest = "sha256 not known" if self.sha256 is None else f"sha256 {self.sha256}"
        kind = ", a JSON object" if self.url.endswith(".json") else ""
        return f"{size}, {digest}{kind}"

    def problem(self, path: Path, *, check_hash: bool = True) -> str | None:
        """What is at ``path`` instead of this file, or None if nothing is wrong.

        Only ``check_hash`` compares the SHA-256, for which the whole file must be read.
        """
        if not path.is_file():
            return "something that is not a file"
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"{size:,} bytes{_beginning(path)}"
        if check_hash and self.sha256 is not None and (digest := sha256_of(path)) != self.sha256:
            return f"{size:,} bytes with sha256 {digest}{_beginning(path)}"
        if self.url.endswith(".json") and not _holds_json_object(path):
            return f"{size:,} bytes that are not a JSON object{_beginning(path)}"
        return None


@dataclass(frozen=True)
class PublishedModel:
    """An options file and a weight file on a server; ``name`` is their folder in the cache."""

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


def _published(
    name: str, variant: str, size: int, sha256: str | None = None
) -> tuple[str, PublishedModel]:
    base = f"https://allennlp.s3.amazonaws.com/models/elmo/{variant}/elmo_{variant}"
    # Sizes and hashes of the options files are not published; they must be JSON.
    options = RemoteFile(f"{base}_options.json")
    return name, PublishedModel(name, options, RemoteFile(f"{base}_weights.hdf5", size, sha256))


_SMALL_SHA256 = "747ba97abce8a5f446558369e10bb0f7931437a46867476fdd156f5d7f576229"
# This one comes from a single source.
_ORIGINAL_SHA256 = "a6b92b9ccbb13fe489faacd2221c795d4bebe84b75f8aded9d85ea464fa5c994"

_PUBLISHED = (
    _published("small", "2x1024_128_2048cnn_1xhighway", 54_402_456, _SMALL_SHA256),
    # The size follows from the parameter shapes and the layout of the file above.
    _published("medium", "2x2048_256_2048cnn_1xhighway", 112_140_184),
    _published("original", "2x4096_512_2048cnn_2xhighway", 374_434_792, _ORIGINAL_SHA256),
    # The same shapes as "original", so the same size.
    _published("original_5p5b", "2x4096_512_2048cnn_2xhighway_5.5B", 374_434_792),
)

MODELS: Mapping[str, PublishedModel] = MappingProxyType(dict(_PUBLISHED))
"""The four published English ELMos, smallest first."""
