"""``elmo-jax init``: a new model with random weights."""

from __future__ import annotations

import argparse
import math
import os
import shutil
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from ..files import shown_size
from ..model.config import ElmoConfig
from .flags import add_flag, add_flags
from .models import refuse_inputs_of_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_flag(parser, "--output", ": a folder", required=True)
    architecture = parser.add_mutually_exclusive_group()
    add_flag(architecture, "--preset", default="tiny")
    add_flag(architecture, "--options-file", ", with the architecture")
    add_flag(parser, "--vocabulary", ", for a model that reads whole words")
    add_flag(parser, "--seed", default=0)
    add_flags(parser, "--overwrite")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from ..checkpoint import read_options, save
    from ..checkpoint.vocabulary import Vocabulary
    from ..model.bilm import init_params
    from ..model.parameters import count_parameters
    from ..training.alphabets import with_alphabet

    files = [name for name in (args.options_file, args.vocabulary) if name is not None]
    refuse_inputs_of_model(Path(args.output), files)
    if args.options_file:
        options = read_options(Path(args.options_file))
        config = ElmoConfig.from_options(options, args.options_file)
    else:
        config = ElmoConfig.preset(args.preset)
    if args.vocabulary:
        vocabulary = Vocabulary.read(args.vocabulary)
        if config.token_layer == "bytes":
            raise ElmoError(
                f"--vocabulary {args.vocabulary} is for a model that reads whole words, but this "
                "architecture reads the bytes of any word. Leave it out."
            )
        config = with_alphabet(config, vocabulary)
    _check_size(config, Path(args.output))
    params = init_params(config, args.seed)
    metadata = {"trained": False, "origin": f"random weights, seed {args.seed}"}
    save(args.output, config, params, metadata=metadata, overwrite=args.overwrite)
    return {"output": args.output, "parameters": count_parameters(params), **metadata}


def _check_size(config: ElmoConfig, output: Path) -> None:
    """Raise ElmoError for a model that neither the memory nor the disk can take."""
    from ..model.parameters import datasets

    sizes = [
        math.prod(size or 0 for size in part.shape)
        for part in datasets(config)
        if not part.optional
    ]
    n_bytes = 4 * sum(sizes)
    existing = next(folder for folder in output.absolute().parents if folder.is_dir())
    places = {"disk": shutil.disk_usage(existing).free}
    if hasattr(os, "sysconf"):  # not on Windows
        places["memory"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for name, there in places.items():
        if n_bytes > there:
            raise ElmoError(
                f"A model of this architecture has {sum(sizes):,} parameters, which take "
                f"{shown_size(n_bytes)}; the {name} has {shown_size(there)}."
            )


def text(summary: dict[str, Any]) -> str:
    return (
        f"{summary['output']}: {summary['parameters']:,} parameters, {summary['origin']}. "
        "It has learned nothing: its vectors mean nothing."
    )
