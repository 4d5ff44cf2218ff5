"""``elmo-jax convert``: a model from one format to the other."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..checkpoint import (
    FILES,
    FORMATS,
    VOCABULARY_FILE,
    WEIGHT_NAMES,
    is_native,
    load,
    model_folder,
    open_vocabulary,
    read_metadata,
    read_vocabulary_record,
    write_model,
)
from ..errors import ElmoWarning, warn
from ..files import refuse_input
from ..model.parameters import count_parameters
from .flags import add_flag, add_flags, add_model
from .inputs import files_in, model_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_flags(parser, "--options-file", "--weight-file")
    add_flag(parser, "--output", ": a folder", required=True)
    add_flag(parser, "--format", " (default: native; hdf5 for a native MODEL)", choices=FORMATS)
    add_flag(parser, "--dtype", ", if it is native; float16 takes half the space")
    add_flags(parser, "--overwrite")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """``source`` is the weight file if two files were named, ``parameters`` counts numbers."""
    config, params = load(args.model, options_file=args.options_file, weight_file=args.weight_file)
    source = Path(args.weight_file) if args.weight_file else model_folder(args.model)
    format = args.format or ("hdf5" if is_native(source) else "native")
    output = Path(args.output)
    for name in (*FILES[format], *WEIGHT_NAMES):
        refuse_input(output / name, [*model_files(args), *files_in(source)])
    options = Path(args.options_file) if args.options_file else None
    words = open_vocabulary(source, params, options)
    write_model(
        output,
        config,
        params,
        format,
        words=words,
        words_record=read_vocabulary_record(source),
        dtype=args.dtype,
        metadata=read_metadata(source),
        overwrite=args.overwrite,
    )
    if "softmax" in params and words is None:
        warn(
            f"{output} has a softmax, but not its words: there is no {VOCABULARY_FILE} beside "
            f"{source}. Put the one it was trained with into {output} to evaluate or train the "
            "model.",
            ElmoWarning,
        )
    return {
        "source": str(source),
        "output": str(output),
        "format": format,
        "parameters": count_parameters(params),
        "bytes": sum((output / name).stat().st_size for name in FILES[format]),
    }


def text(summary: dict[str, Any]) -> str:
    return (
        f"{summary['source']} -> {summary['output']} ({summary['format']}): "
        f"{summary['parameters']:,} parameters, {summary['bytes'] / 1e6:.1f} MB"
    )
