"""Arguments that name a model, and how the commands open it and tell about it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .frame import tell

if TYPE_CHECKING:
    from ..embedder import Elmo


def add_model_arguments(parser: argparse._ActionsContainer) -> None:
    """Declare what ``open_elmo`` reads from the command line."""
    add = parser.add_argument
    add("--model", metavar="MODEL", help="folder, zip, or name of a model (default: mini)")
    add("--options-file", metavar="JSON", help="options.json, together with --weight-file")
    add("--weight-file", metavar="HDF5", help="the HDF5 file that belongs to options.json")
    add("--precision", choices=("float32", "tf32", "bfloat16"), default="float32")


def layers_argument(*names: str) -> Callable[[str], str | int]:
    """A function that reads what ``--layer`` or ``--layers`` says: a number or a name."""

    def read(text: str) -> str | int:
        if text in names:
            return text
        if re.fullmatch("-?[0-9]+", text):
            return int(text)
        in_python = " The layers 'mix' are for Python: they need mix_weights." * (text == "mix")
        raise argparse.ArgumentTypeError(
            f"{text!r} is no layer; expected {', '.join(names)}, or a number from 0, the token "
            f"layer.{in_python}"
        )

    return read


def model_files(args: argparse.Namespace) -> list[Path]:
    """The files of the model, where the arguments name files, which no output may replace."""
    named = [Path(name) for name in (args.model, args.options_file, args.weight_file) if name]
    return [file for path in named for file in files_of(path)]


def files_of(model: Path) -> list[Path]:
    """A file, or the files of a folder; none of what is not there."""
    return sorted(model.iterdir()) if model.is_dir() else [model]


def open_elmo(args: argparse.Namespace) -> Elmo:
    """The model, with a note if its weights are random.

    Raises:
        ElmoError: if there is no such model, or its files have problems.
    """
    from ..checkpoint import is_native, read_metadata
    from ..checkpoint.loading import model_folder
    from ..embedder import Elmo

    files = {"options_file": args.options_file, "weight_file": args.weight_file}
    source = args.model
    if not any(files.values()):
        source = model_folder(source)
        if is_native(source) and read_metadata(source).get("trained") is False:
            note(args, f"note: the weights of {source} are random; its vectors mean nothing")
    return Elmo(source, **files, precision=args.precision)


def note(args: argparse.Namespace, message: str) -> None:
    """Tell something on stderr, unless ``--quiet``."""
    if not args.quiet:
        tell(message)
