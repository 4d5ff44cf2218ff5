"""Convert a model between the native format and the published one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..checkpoint import (
    DTYPES,
    FILES,
    FORMATS,
    VOCABULARY_FILE,
    WEIGHT_NAMES,
    is_native,
    open_files,
    open_model,
    open_vocabulary,
    read_metadata,
    read_vocabulary_record,
    save,
)
from ..checkpoint.loading import model_folder
from ..errors import ElmoWarning, warn
from ..files import refuse_input
from ..model.parameters import count_parameters
from .model import files_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="folder, zip or name of a model; or, with WEIGHTS, an options.json",
    )
    parser.add_argument(
        "weights", metavar="WEIGHTS", nargs="?", help="the HDF5 file that belongs to options.json"
    )
    parser.add_argument("out", metavar="OUT", help="the folder to write")
    parser.add_argument(
        "--to",
        choices=FORMATS,
        help="the format to write (default: native; hdf5 where SOURCE is native)",
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="of the numbers in a native file; float16 takes half the room (default: float32)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a model of that format in OUT"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Convert, and give a JSON-ready summary.

    Returns:
        ``source`` (of two files the weights), ``out``, ``format``, ``parameters`` (how many
        numbers the model has) and ``bytes`` (the size of what was written).

    Raises:
        ElmoError: if the source cannot be read, or OUT cannot be written.
    """
    source = Path(args.weights) if args.weights else model_folder(args.source)
    if args.weights:
        config, params = open_files(Path(args.source), source)
    else:
        config, params = open_model(source)
    native = is_native(source)
    format, out = args.to or ("hdf5" if native else "native"), Path(args.out)
    sources = [Path(args.source), source] if args.weights else files_of(source)
    for name in (*FILES[format], *WEIGHT_NAMES):
        refuse_input(out / name, sources)
    words = open_vocabulary(source, params, Path(args.source) if args.weights else None)
    save(
        out,
        config,
        params,
        format,
        vocabulary=words,
        dtype=args.dtype,
        metadata=read_metadata(source) if native else {},
        words_record=read_vocabulary_record(source) if native else None,
        overwrite=args.overwrite,
    )
    if "softmax" in params and words is None:
        warn(
            f"{out} has a softmax, but not its words: there is no {VOCABULARY_FILE} beside "
            f"{source}. Put the one it was trained with into {out} to evaluate or train the model.",
            ElmoWarning,
        )
    return {
        "source": str(source),
        "out": str(out),
        "format": format,
        "parameters": count_parameters(params),
        "bytes": sum((out / name).stat().st_size for name in FILES[format]),
    }


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    return (
        f"{summary['source']} -> {summary['out']} ({summary['format']}): "
        f"{summary['parameters']:,} parameters, {summary['bytes'] / 1e6:.1f} MB"
    )
