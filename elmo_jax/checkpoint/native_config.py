"""config.json of the native format: what it says, and that it is what was saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ElmoError, count_problem, shortened
from ..json_text import parse_json, parse_json_object, to_json
from .digests import is_digest, json_digest

VERSION = 2
"""Of new files. Those of version 1 have no digests of their tensors and of themselves."""

MOST_BYTES = 10**7
_MOST_NESTED = 50
"""Levels of the JSON, so that whatever shows the metadata can follow them."""


def parse_content(text: bytes, source: str, *, verify: bool = True) -> dict[str, Any]:
    """The content of a config.json that errors call ``source``, with every part of its type.

    ``verify`` compares its digest.

    Raises:
        ElmoError: if it is not of this format, or not what was saved.
    """
    content = parse_json_object(text, source)
    version = content.get("version")
    known = type(version) is int and 1 <= version <= VERSION  # True would be 1
    if content.get("format") != "elmo-jax" or not known:
        raise ElmoError(
            f"{source}: expected format 'elmo-jax' version 1 or {VERSION}, got "
            f"{shortened(content.get('format'))} version {shortened(version)}."
        )
    if _is_deeper(content, _MOST_NESTED):
        raise ElmoError(f"{source} is nested deeper than {_MOST_NESTED} levels.")
    if verify and version != 1 and content.get("sha256") != _digest(content):
        raise ElmoError(
            f"{source} is not what was saved: it has a digest of itself that does not fit. The "
            "file is damaged: copy the model again. If you changed it yourself, open the model "
            "with verify=False and save it."
        )
    if problems := list(_problems(content)):
        raise ElmoError(f"{source}: {'; '.join(problems)}.")
    return content


def to_text(content: Mapping[str, Any]) -> str:
    """The text of a config.json with this content, to which its digest is added.

    Raises:
        ElmoError: if the metadata in it cannot be written as JSON, or is too much.
    """
    try:
        text = to_json(content)
    except (TypeError, ValueError, RecursionError) as error:
        raise ElmoError(f"Cannot write the metadata as JSON: {error}.") from None
    plain = parse_json(text, "The metadata")  # as it will be read: all keys are strings
    text = to_json({**plain, "sha256": _digest(plain)}, indent=2) + "\n"
    if len(text) > MOST_BYTES or _is_deeper(plain, _MOST_NESTED):
        raise ElmoError(
            f"Cannot write the metadata: expected at most {MOST_BYTES:,} bytes of JSON, nested at "
            f"most {_MOST_NESTED - 1} levels deep."
        )
    return text


def _digest(content: Mapping[str, Any]) -> str:
    return json_digest({name: value for name, value in content.items() if name != "sha256"})


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)


def _problems(content: Mapping[str, Any]) -> Iterator[str]:
    for name in ("config", "metadata"):
        value = content.get(name, {} if name == "metadata" else None)
        if not isinstance(value, dict):
            yield f"expected an object '{name}', got {type(value).__name__}"
    for name, keys in (("vocabulary", {"size", "sha256"}), ("alphabet", {"sha256"})):
        record = content.get(name)
        if record is not None and not _is_record(record, keys):
            expected = " and ".join(sorted(keys, reverse=True))
            yield f"expected '{name}' with {expected}, got {shortened(record)}"
    tensors = content.get("tensors", {} if content["version"] == 1 else None)
    if not isinstance(tensors, dict) or not all(map(is_digest, tensors.values())):
        yield f"expected 'tensors' with the digest of each, got {shortened(tensors)}"


def _is_record(record: Any, keys: set[str]) -> bool:
    return (
        isinstance(record, dict)
        and keys <= record.keys()
        and is_digest(record["sha256"])
        and not ("size" in keys and count_problem(record["size"], "size"))
    )
