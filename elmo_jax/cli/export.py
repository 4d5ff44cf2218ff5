"""``elmo-jax export``: a model as one file that runs with JAX alone."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .model import files_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("model", metavar="MODEL", nargs="?", help="folder, zip, or name (default: mini)")
    add("-o", "--output", metavar="OUT.npz", required=True, help="the file to write")
    add("--layers", type=_layers, default="average", help="average (default), top, all, a number")
    add("--pooling", choices=("mean", "max", "none"), default="mean", help="none: token vectors")
    add("--precision", choices=("float32", "tf32", "bfloat16"), default="float32")
    add("--platforms", nargs="+", default=["cpu", "cuda", "tpu"], help="cpu, cuda, rocm, tpu")
    add("--overwrite", action="store_true", help="replace an existing OUT.npz")


def _layers(text: str) -> str | int:
    return int(text) if text.lstrip("-").isdigit() else text


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Export, and give a JSON-ready summary.

    Raises:
        ElmoError: for a model or choice that cannot be exported, or an output that exists.
    """
    from ..checkpoint.loading import load
    from ..export import export_function
    from ..files import refuse_existing, refuse_input

    out = Path(args.output)
    refuse_input(out, files_of(Path(args.model)) if args.model else ())
    refuse_existing(out, args.overwrite)
    config, params = load(args.model)
    export_function(
        out,
        config,
        params,
        layers=args.layers,
        pooling=None if args.pooling == "none" else args.pooling,
        precision=args.precision,
        platforms=args.platforms,
        overwrite=args.overwrite,
    )
    return {"output": str(out), "bytes": out.stat().st_size, "platforms": args.platforms}


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    platforms = ", ".join(summary["platforms"])
    return f"{summary['output']}: {summary['bytes'] / 1e6:.1f} MB, for {platforms}"
