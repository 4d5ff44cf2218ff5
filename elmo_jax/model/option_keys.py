"""The keys of an options file that have no meaning, and what was meant by them.

An absent key has a default, so a misspelled one would silently give other vectors.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import UnusedOptionsWarning, first_few, shortened, warn

_LIKENESS = 0.8
"""From this share of equal letters on, a key is taken for a misspelled other one."""

_REMARKS = ("note", "notes", "comment", "comments", "description", "license", "source", "version")
"""What people write into options files for each other."""


def key_problems(
    options: Mapping[str, Any], known: Iterable[str], unused: Iterable[str], source: str
) -> list[str]:
    """The keys that are misspelled or in a wrong section, each with the one that was meant.

    Args:
        options: nested as the file is.
        known: the paths that have a meaning, with dots between the keys.
        unused: paths that others put there, and that decide nothing here.
        source: what warnings call the file.

    Warns:
        UnusedOptionsWarning: naming all other keys that change nothing.
    """
    paths = set(known)
    accepted = {*paths, *unused, *_REMARKS}
    problems, without_effect = [], []
    for path in _unknown(options, accepted):
        meant = _meant(path, paths)
        if meant == path:
            problems.append(f"{path} is one key with a dot in it; expected an object in another")
        elif meant is not None:
            problems.append(f"{shortened_path(path)} is no key; did you mean {meant}?")
        else:
            without_effect.append(shortened_path(path))
    if without_effect and not problems:
        warn(f"{source}: {first_few(without_effect, 8)} has no effect.", UnusedOptionsWarning)
    return problems


def shortened_path(path: str) -> str:
    """A path for a message: as it is, or as a short repr if it is no usual one."""
    return path if path.isprintable() and len(path) <= 60 else shortened(path)


def _unknown(
    options: Mapping[str, Any], accepted: set[str], section: tuple[str, ...] = ()
) -> Iterator[str]:
    """The paths of keys that are not accepted; nothing below such a key is looked at."""
    for key, value in options.items():
        path = ".".join((*section, str(key)))
        if "." in str(key):
            yield path
            continue
        if path in accepted or (not section and str(key).startswith("_")):
            continue
        is_section = any(other.startswith(f"{path}.") for other in accepted)
        if is_section and isinstance(value, Mapping):
            yield from _unknown(value, accepted, (*section, str(key)))
        elif not is_section:
            yield path


def _meant(path: str, known: set[str]) -> str | None:
    """The known path that a key was likely meant to be, if there is one."""
    section, _, key = path.rpartition(".")
    prefix = f"{section}." if section else ""
    beside = {
        other.removeprefix(prefix).partition(".")[0] for other in known if other.startswith(prefix)
    }
    by_form = {_form(name): f"{prefix}{name}" for name in beside}
    if same_letters := [name for name in by_form if sorted(name) == sorted(_form(key))]:
        return by_form[same_letters[0]]
    if close := difflib.get_close_matches(_form(key), by_form, 1, _LIKENESS):
        return by_form[close[0]]
    elsewhere = sorted(other for other in known if other.rpartition(".")[2] == _form(key))
    return elsewhere[0] if elsewhere else None


def _form(key: str) -> str:
    # Longer ones are no key, and comparing them would take long.
    return key[:100].strip().lower().replace("-", "_").replace(" ", "_")
