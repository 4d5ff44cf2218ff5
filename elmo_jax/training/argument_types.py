"""Checks of the types of arguments: what would otherwise fail far from where it was written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from ..errors import ElmoError, shortened
from ..model.config import ElmoConfig


def choice_problem(value: Any, name: str, choices: Iterable[str]) -> str | None:
    """What is wrong with a value that should be one of these strings, if anything."""
    if isinstance(value, str) and value in choices:
        return None
    return f"{name} is {shortened(value)}, expected one of {', '.join(choices)}"


def path_problem(value: Any, name: str) -> str | None:
    """What is wrong with a value that should be a path of a file or folder, if anything."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        return f"{name} is {shortened(value)}, expected a path"
    try:
        is_possible = b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        is_possible = False
    return None if is_possible else f"{name} is {shortened(value)}, which no path can be"


def check_paths(value: Any, name: str) -> Any:
    """One path or several, checked; an iterator of paths becomes a list.

    Raises:
        ElmoError: for anything else.
    """
    is_one = isinstance(value, str | bytes | os.PathLike)
    if not is_one and not isinstance(value, Iterable):
        raise ElmoError(f"{name} is {shortened(value)}, expected a path or a list of paths.")
    paths = [value] if is_one else list(value)
    refuse(path_problem(path, name) for path in paths)
    return paths


def check_config(config: Any) -> None:
    """Raise ElmoError unless this is an architecture."""
    if not isinstance(config, ElmoConfig):
        raise ElmoError(f"config is {shortened(config)}, expected an ElmoConfig.")


def refuse(problems: Iterable[str | None]) -> None:
    """Raise ElmoError with the problems, if there are any."""
    if real := [problem for problem in problems if problem is not None]:
        raise ElmoError(f"{'; '.join(real)}.")
