"""JSON files that carry the hash of their own content, so that damage and edits are noticed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from ..files import atomic_file
from ..json_text import parse_json_object, to_json

_SEAL = "sha256"


def write_sealed(path: Path, content: dict[str, Any]) -> None:
    """Write an object, with its hash under the key ``sha256``, in one go."""
    with atomic_file(path, overwrite=True) as temporary:
        sealed = {**content, _SEAL: hash_of(content)}
        temporary.write_text(to_json(sealed, indent=2) + "\n", encoding="utf-8")


def read_sealed(path: Path, remedy: str) -> dict[str, Any] | None:
    """The object in a file, without its hash; None if there is no file.

    Raises:
        ElmoError: if the file cannot be read, is not a JSON object, or has another hash. The
            message ends with ``remedy``.
    """
    try:
        content = parse_json_object(path.read_bytes(), str(path))
        seal = content.pop(_SEAL, None)
        if seal == hash_of(content):
            return content
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ElmoError(f"Cannot read {path}: {error.strerror or error}. {remedy}") from None
    except ElmoError as error:
        raise ElmoError(f"{error} {remedy}") from None
    except RecursionError:
        raise ElmoError(f"{path} is nested too deep. {remedy}") from None
    if seal is None:
        raise ElmoError(f"{path} has no {_SEAL}: it is damaged or was not written here. {remedy}")
    raise ElmoError(
        f"{path} has other contents than its {_SEAL} says: it is damaged or edited. {remedy}"
    )


def hash_of(content: dict[str, Any]) -> str:
    """The SHA-256 of an object that came from JSON or is ready for it."""
    return hashlib.sha256(to_json(content).encode()).hexdigest()
