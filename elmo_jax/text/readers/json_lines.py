"""JSON lines: one object per line, with the sentence in one of its members."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import IO

from ...errors import did_you_mean
from ...json_text import parse_json
from ..tokenizers import ASCII_SPACES
from .lines import decoded_lines
from .record import Record, SourceFile, listed

_DUPLICATE = object()  # stands for the value of a member that occurs twice


def read_json_lines(file: IO[bytes], source: SourceFile) -> Iterator[Record]:
    """One record per line; blank lines are skipped. Raises ElmoError at a line of another kind."""
    for number, line in decoded_lines(file, source):
        if not line.strip(ASCII_SPACES):
            continue
        if number == 1 and line.lstrip().startswith("["):
            raise source.error(
                number,
                "a JSON array, expected one object per line. Write its items as lines: "
                "jq -c '.[]' FILE > NEW.jsonl.",
            )
        item = parse_json(line, f"{source.name}, line {number}", _members)
        if not isinstance(item, dict):
            raise source.error(number, f"expected a JSON object, got {type(item).__name__}.")
        for name in filter(None, (source.column, source.key_column)):
            if name not in item:
                names = listed(list(item)) or "none"
                meant = did_you_mean(name, item)
                raise source.error(number, f"no column {name!r}; the columns are: {names}.{meant}")
            if item[name] is _DUPLICATE:
                raise source.error(number, f"the column {name!r} occurs twice.")
        key = item[source.key_column] if source.key_column else None
        yield source.record_from_value(item[source.column], key, number, "line")


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        counts = collections.Counter(name for name, _ in pairs)
        members.update((name, _DUPLICATE) for name, n in counts.items() if n > 1)
    return members
