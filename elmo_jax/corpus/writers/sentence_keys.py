"""Sentences as the names of their datasets in HDF5, instead of numbers.

``allennlp elmo --use-sentence-keys`` takes a sentence as it stands in the file, "text" here. The
command of ELMoForManyLangs takes its words with tabs between them, "words" here, and escapes both
``/`` and ``.``. For HDF5 a ``/`` ends the name of a group, and the name ``.`` is the group itself.
"""

from __future__ import annotations

from ...errors import ElmoError, shortened
from ...text.readers import Record

SENTENCE_KEYS = ("text", "words")
"""What a key is made of."""

_OR_NUMBERS = "or leave out the choice of keys: numbers do for any sentence"


def sentence_key(record: Record, kind: str, escaped: bool) -> str:
    """The key of a sentence; ``kind`` is one of SENTENCE_KEYS."""
    key = record.text if kind == "text" else "\t".join(record.words)
    return key.replace("/", "$backslash$").replace(".", "$period$") if escaped else key


class SentenceKeyChecker:
    """Checks that HDF5 can hold the key of every sentence, and that no two have the same.

    It remembers every key, as HDF5 does.
    """

    def __init__(self, kind: str, escaped: bool) -> None:
        if kind not in SENTENCE_KEYS:
            expected = " or ".join(map(repr, SENTENCE_KEYS))
            raise ElmoError(f"Unknown sentence_keys={kind!r}: expected {expected}.")
        self._kind, self._escaped = kind, escaped
        self._places: dict[str, tuple[str, int]] = {}

    def add(self, record: Record) -> None:
        """Check one more sentence; raises ElmoError with its place."""
        key = sentence_key(record, self._kind, self._escaped)
        problem = _problem(key)
        if key in self._places:
            file, number = self._places[key]
            problem = (
                f"the key {shortened(key)} is also that of {file}, line {number}. Remove one of "
                f"them, {_OR_NUMBERS}"
            )
        if problem:
            raise ElmoError(f"{record.file}, line {record.number}: {problem}.")
        self._places[key] = record.file, record.number


def _problem(key: str) -> str:
    """Why HDF5 cannot hold a key; "" if it can."""
    if not key:
        return f"a sentence without words has no key. Remove it, {_OR_NUMBERS}"
    if "/" in key or key == ".":
        what = "a slash ends the name of a group" if "/" in key else "this is the name of a group"
        return (
            f"the key is {shortened(key)}, and in HDF5 {what}. Write slashes and full stops as "
            f"ELMoForManyLangs does, with escape_keys=True; {_OR_NUMBERS}"
        )
    if "\0" in key:
        return f"the key {shortened(key)} has a NUL character, which HDF5 cannot hold"
    try:
        key.encode("utf-8")
    except UnicodeEncodeError:
        return f"the key {shortened(key)} has half a character (a lone surrogate)"
    return ""
