"""``elmo-jax convert``: a model of any format to the native or the published one."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from ..checkpoint import (
    FILES,
    FORMATS,
    model_folder,
    open_source,
    save_opened,
)
from ..errors import ElmoError
from ..model.parameters import count_parameters
from ..text.tokenizers import check_plain_name
from .flags import add_flag, add_flags, add_model
from .models import files_in, model_arguments, model_files, refuse_inputs_of_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_flags(parser, "--options-file", "--weight-file")
    add_flag(parser, "--output", ": a folder", required=True)
    add_flag(parser, "--format", " (default: native; hdf5 for a native MODEL)", choices=FORMATS)
    add_flag(parser, "--dtype", ", if it is native; float16 takes half the space")
    only = (
        "make a model that reads only the words of --token-table and no characters, as bilm-tf does"
    )
    parser.add_argument("--words-only", action="store_true", help=only)
    add_flags(parser, "--tokenized-with", "--overwrite")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """``source`` is the weight file if two files were named, ``parameters`` counts numbers."""
    opened = open_source(**model_arguments(args), words_only=args.words_only)
    source = Path(args.weight_file) if args.weight_file else model_folder(args.model)
    format = args.format or ("hdf5" if opened.format == "native" else "native")
    if args.tokenized_with is not None:
        check_plain_name(args.tokenized_with)
        remarks = {**opened.remarks, "tokenizer": args.tokenized_with}
        opened = dataclasses.replace(opened, remarks=remarks)
        if format != "native":
            raise ElmoError(
                "An options.json has no place for a tokenizer: leave out --tokenized-with, or "
                "write --format native."
            )
    output = Path(args.output)
    refuse_inputs_of_model(output, [*model_files(args), *files_in(source)])
    save_opened(
        output,
        opened,
        model_arguments(args),
        format,
        dtype=args.dtype,
        overwrite=args.overwrite,
    )
    return {
        "source": str(source),
        "output": str(output),
        "format": format,
        "parameters": count_parameters(opened.params),
        "bytes": sum((output / name).stat().st_size for name in FILES[format]),
    }


def text(summary: dict[str, Any]) -> str:
    return (
        f"{summary['source']} -> {summary['output']} ({summary['format']}): "
        f"{summary['parameters']:,} parameters, {summary['bytes'] / 1e6:.1f} MB"
    )
