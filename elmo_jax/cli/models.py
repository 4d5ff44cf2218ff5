"""The model that a command works with: opened once, with the tokenizer that belongs to it."""

from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ElmoError
from ..json_text import parse_json
from ..text.tokenizers import AUTO, Tokenizer, tokenizer_named
from .frame import note

if TYPE_CHECKING:
    from ..checkpoint import Opened
    from ..embedder import Elmo


def open_elmo(args: argparse.Namespace) -> Elmo:
    """The model that ``flags.add_model_flags`` names, with a note if its weights are random."""
    from ..checkpoint import words_of
    from ..embedder import Elmo

    opened = _opened(args)
    del args.opened  # an Elmo has the parameters on the device
    if opened.remarks.get("trained") is False:
        note(args, f"note: the weights of {args.model} are random; its vectors mean nothing")
    choices: dict[str, Any] = {"precision": args.precision, "tokenizer": opened.tokenizer}
    if vars(args).get("pooling") == "sif":
        choices["vocabulary"] = words_of(opened, model_arguments(args))
    return Elmo.from_params(opened.config, opened.params, **choices)


def _opened(args: argparse.Namespace) -> Opened:
    """The model, opened once: --tokenizer auto needs it before the text is read."""
    from ..checkpoint import open_source

    if "opened" not in args:
        args.opened = open_source(**model_arguments(args))
    opened: Opened = args.opened
    return opened


def tokenizer_name(args: argparse.Namespace) -> str:
    """What ``--tokenizer`` says, or the model's own tokenizer if that is auto."""
    if args.tokenizer == AUTO and "model" in args:
        args.tokenizer = _opened(args).tokenizer
        if _opened(args).recorded_tokenizer is None:
            assumed = "the model does not say how its training text was split; this assumes"
            note(args, f"note: {assumed} {args.tokenizer}")
    name: str = args.tokenizer
    return name


def chosen_tokenizer(args: argparse.Namespace) -> Tokenizer:
    """The function that ``--tokenizer`` stands for."""
    return tokenizer_named(tokenizer_name(args))


def model_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """What the flags say of the model to open, as ``load`` takes it."""
    flags = vars(args)
    return {
        "source": flags.get("model"),
        "options_file": flags.get("options_file"),
        "weight_file": flags.get("weight_file"),
        "vocabulary_file": flags.get("vocabulary"),
        "options": options_of(args),
        "alignment": flags.get("alignment"),
        "token_table": flags.get("token_table"),
    }


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """What ``--option`` says, nested as options.json is."""
    options: dict[str, Any] = {}
    for text in vars(args).get("option", ()):
        path, equals, value = text.partition("=")
        if not (path and equals):
            raise ElmoError(f"--option {text}: expected KEY=VALUE, such as lstm.cell_clip=3.")
        *parents, key = path.split(".")
        section = options
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise ElmoError(f"--option {text}: {parent} has a value of its own before.")
        section[key] = _json_or_text(value)
    return options


def _json_or_text(value: str) -> Any:
    try:
        return parse_json(value, "the value")
    except ElmoError:
        return value


def model_files(args: argparse.Namespace) -> list[Path]:
    """The model's files, which no output may replace."""
    flags = ("model", "options_file", "weight_file", "vocabulary", "alignment", "token_table")
    return [
        file for flag in flags if (name := vars(args).get(flag)) for file in files_in(Path(name))
    ]


def files_in(path: Path) -> list[Path]:
    """The files of a folder, those of a checkpoint by its prefix, or the file itself."""
    if path.is_dir():
        return sorted(path.iterdir())
    # Not everything that begins with the name: "mini" is a model, and mini.npz may be an output.
    is_prefix = not path.exists() and path.with_name(f"{path.name}.index").is_file()
    return sorted(path.parent.glob(f"{glob.escape(path.name)}.*")) if is_prefix else [path]


def refuse_inputs_of_model(output: Path, inputs: Iterable[str | os.PathLike[str]]) -> None:
    """Raise ElmoError if a model saved in the folder ``output`` replaces or removes an input."""
    from ..checkpoint.formats import MODEL_FILES
    from ..files import refuse_input

    files = list(inputs)
    for name in dict.fromkeys(MODEL_FILES):
        refuse_input(output / name, files)
