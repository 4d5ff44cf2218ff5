"""JSON lines: one object per line, with the sentence in one of its members."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO

from .lines import decoded_lines
from .record import Record, SourceFile

_DUPLICATE = object()  # stands for the value of a member that occurs twice


def read_json_lines(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per line; blank lines are skipped. Raises ElmoError at a line of another kind."""
    for number, line in decoded_lines(file, source):
        if not line.strip():
            continue
        if number == 1 and line.lstrip().startswith("["):
            raise source.error(
                number,
                "a JSON array, expected one object per line. Write its items as lines: "
                "jq -c '.[]' FILE > NEW.jsonl.",
            )
        try:
            item = json.loads(line, object_pairs_hook=_members)
        except ValueError as error:
            raise source.error(number, f"not JSON: {error}.") from None
        if not isinstance(item, dict):
            raise source.error(number, f"expected a JSON object, got {type(item).__name__}.")
        for name in filter(None, (source.column, source.key_column)):
            if name not in item:
                names = ", ".join(map(repr, item)) or "none"
                raise source.error(number, f"no column {name!r}; the columns are: {names}.")
            if item[name] is _DUPLICATE:
                raise source.error(number, f"the column {name!r} occurs twice.")
        key = item[source.key_column] if source.key_column else None
        record = source.record_from_value(item[source.column], key, number, "line")
        try:
            "".join([record.text, record.key or "", *record.words]).encode("utf-8")
        except UnicodeEncodeError:  # JSON can write half a character, which no text file can hold
            problem = "half a character (a lone surrogate), not Unicode."
            raise source.error(number, problem) from None
        yield record


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        members.update((name, _DUPLICATE) for name in names if names.count(name) > 1)
    return members
