"""``elmo-jax init``: a new model with random weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from ..model.config import ElmoConfig, preset_names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    parser.add_argument("out", metavar="OUT", help="the folder to write")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument(
        "--preset", choices=preset_names(), default="tiny", help="its size (default: tiny)"
    )
    shape.add_argument("--options-file", metavar="JSON", help="its size, as an options.json")
    parser.add_argument("--seed", type=int, default=0, help="of the weights (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace a model in OUT")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Make the model, and give a JSON-ready summary.

    Raises:
        ElmoError: if OUT cannot be written, or the options describe no ELMo.
    """
    from ..checkpoint import read_options, save
    from ..model.bilm import init_params
    from ..model.parameters import count_parameters

    if args.options_file:
        config = read_options(_read(Path(args.options_file)), args.options_file)
    else:
        config = ElmoConfig.preset(args.preset)
    params = init_params(config, args.seed)
    metadata = {"trained": False, "origin": f"random weights, seed {args.seed}"}
    save(args.out, config, params, metadata=metadata, overwrite=args.overwrite)
    return {"out": args.out, "parameters": count_parameters(params), **metadata}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ElmoError(f"Cannot read {path}: {error.strerror}.") from None


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    return (
        f"{summary['out']}: {summary['parameters']:,} parameters, {summary['origin']}. "
        "It has learnt nothing: its vectors mean nothing."
    )
