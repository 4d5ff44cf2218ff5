"""JSON lines: an object a line, one of whose members holds the sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO

from .lines import decoded_lines
from .record import Record, Source

_TWICE = object()
"""Stands for the value of a member that comes twice in its object."""

_ARRAY = "Write its items as lines: jq -c '.[]' FILE > NEW.jsonl."


def read_json_lines(file: IO[bytes], source: Source) -> Iterator[Record]:
    """A record a line; blank lines are passed over.

    Raises:
        ElmoError: at a line that is no JSON object, or has no such member.
    """
    for number, line in decoded_lines(file, source):
        if not line.strip():
            continue
        if number == 1 and line.lstrip().startswith("["):
            raise source.error(number, f"a JSON array, expected an object a line. {_ARRAY}")
        try:
            found = json.loads(line, object_pairs_hook=_members)
        except ValueError as error:
            raise source.error(number, f"not JSON: {error}.") from None
        if not isinstance(found, dict):
            raise source.error(number, f"expected a JSON object, got {type(found).__name__}.")
        for name in filter(None, (source.column, source.key_column)):
            if name not in found:
                there = ", ".join(map(repr, found)) or "none"
                raise source.error(number, f"no column {name!r}; those there: {there}.")
            if found[name] is _TWICE:
                raise source.error(number, f"the column {name!r} comes twice.")
        key = found[source.key_column] if source.key_column else None
        record = source.of_value(found[source.column], key, number, "line")
        _check_unicode(record, number, source)
        yield record


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        members.update((name, _TWICE) for name in names if names.count(name) > 1)
    return members


def _check_unicode(record: Record, number: int, source: Source) -> None:
    """JSON can spell half a character, which no file of text can hold."""
    try:
        "".join([record.text, record.key or "", *record.words]).encode("utf-8")
    except UnicodeEncodeError:
        raise source.error(number, "half a character (a lone surrogate), not Unicode.") from None
