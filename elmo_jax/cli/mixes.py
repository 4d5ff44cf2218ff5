"""``--mix-weights`` and ``--mix-gamma``: which mix ``--layers mix`` stands for."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from ..errors import ElmoError, shortened
from ..json_text import parse_json
from .flags import add_flags, whole_number

_MOST_BYTES = 1 << 20
"""A model has a few layers: a larger file holds something else."""


def add_mix_flags(parser: argparse._ActionsContainer) -> None:
    """Declare what ``mix_arguments`` reads."""
    add_flags(parser, "--mix-weights", "--mix-gamma")


def mix_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """``mix_weights`` and ``mix_gamma`` as ``Elmo.stream`` takes them."""
    if args.layers != "mix" and (args.mix_weights is not None or args.mix_gamma is not None):
        raise ElmoError(
            f"--mix-weights and --mix-gamma belong to --layers mix, got --layers {args.layers}."
        )
    return {
        "mix_weights": None if args.mix_weights is None else _parse(args.mix_weights),
        "mix_gamma": 1.0 if args.mix_gamma is None else args.mix_gamma,
    }


def mix_files(args: argparse.Namespace) -> list[Path]:
    """The file of weights, if there is one, which no output may replace."""
    is_file = args.mix_weights is not None and _is_file(args.mix_weights)
    return [Path(args.mix_weights)] if is_file else []


def _is_file(text: str) -> bool:
    with contextlib.suppress(OSError):  # a name that is too long
        return _numbers(text) is None and Path(text).is_file()
    return False


def _parse(text: str) -> Any:
    """The number of a mix, or a list of weights."""
    if (number := whole_number(text)) is not None:
        return number
    if (numbers := _numbers(text)) is not None:
        return numbers
    if not _is_file(text):
        raise ElmoError(
            f"--mix-weights {shortened(text)}: there is no such file. Expected one, or a number "
            "for each layer, such as 0.5,-1,2, or the number of a mix of the model."
        )
    return _read(Path(text))


def _read(path: Path) -> Any:
    import numpy as np

    if path.stat().st_size > _MOST_BYTES:
        raise ElmoError(f"--mix-weights {path}: too large. Expected one number for each layer.")
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False)
        content = path.read_bytes()
    except (OSError, ValueError, EOFError) as error:
        raise ElmoError(f"--mix-weights {path}: cannot be read ({error}).") from None
    if content.lstrip().startswith(b"["):
        return parse_json(content, f"--mix-weights {path}")
    numbers = _numbers(content.decode("utf-8", "replace"))
    if numbers is None:
        raise ElmoError(
            f"--mix-weights {path}: expected one number for each layer, as text, JSON or .npy; got "
            f"{shortened(content)}."
        )
    return numbers


def _numbers(text: str) -> list[float] | None:
    """The numbers between commas or whitespace; None if there is anything else."""
    try:
        return [float(part) for part in text.replace(",", " ").split()] or None
    except ValueError:
        return None
