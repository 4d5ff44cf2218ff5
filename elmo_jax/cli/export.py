"""``elmo-jax export``: a model as one file that runs with JAX alone."""

from __future__ import annotations

import argparse
from typing import Any

from ..model.config import POOLINGS
from .flags import add_flag, add_flags, add_layers, add_model
from .inputs import check_output
from .mixes import add_mix_flags, mix_arguments, mix_files
from .models import model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_flag(parser, "--output", " (.npz)", required=True)
    add_layers(parser, "all", "average", "top", "mix", default="average")
    add_mix_flags(parser)
    choices = (*POOLINGS, "none")
    add_flag(parser, "--pooling", "; none: one per token", choices=choices, default="mean")
    add_flag(parser, "--precision")
    platforms = "one or more of cpu, cuda, rocm, tpu (default: cpu cuda tpu)"
    parser.add_argument("--platforms", nargs="+", default=["cpu", "cuda", "tpu"], help=platforms)
    add_flags(parser, "--overwrite")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from ..checkpoint import load
    from ..export import export_function
    from ..files import refuse_input

    mix, output = mix_arguments(args), check_output(args)
    refuse_input(output, mix_files(args))
    export_function(
        output,
        *load(**model_arguments(args)),
        layers=args.layers,
        pooling=None if args.pooling == "none" else args.pooling,
        **mix,
        precision=args.precision,
        platforms=args.platforms,
        overwrite=args.overwrite,
    )
    return {"output": str(output), "bytes": output.stat().st_size, "platforms": args.platforms}


def text(summary: dict[str, Any]) -> str:
    platforms = ", ".join(summary["platforms"])
    return f"{summary['output']}: {summary['bytes'] / 1e6:.1f} MB, for {platforms}"
