"""``elmo-jax info``: what a model is."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from ..errors import counted
from ..files import shown_size
from .flags import add_model
from .models import files_in, model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    verify = "show what was compared with digests, and what could only be checked for plausibility"
    parser.add_argument("--verify", action="store_true", help=verify)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """``assumed`` has the options that the files do not say, by their keys in options.json.

    ``tokenizer`` splits raw text as the training text was split; ``tokenizer_assumed`` says whether
    that is only assumed. ``verified``, with ``--verify``, has what was checked, by the names of
    files.
    """
    from ..checkpoint import model_folder, open_source, verification
    from ..model.parameters import count_parameters

    path = model_folder(args.model)
    opened = open_source(**model_arguments(args))
    config, params = opened.config, opened.params
    files = [file for file in files_in(path) if file.is_file()]
    summary = {
        "model": str(path),
        "format": opened.format,
        "assumed": opened.assumed_options,
        "metadata": dict(opened.remarks),
        "tokenizer": opened.tokenizer,
        "tokenizer_assumed": opened.recorded_tokenizer is None,
        "config": config.to_dict(),
        "alphabet": config.alphabet and config.alphabet.describe(),
        "layers": config.n_output_layers,
        "dim": config.output_dim,
        "parameters": count_parameters(params),
        "parameters_by_part": {part: count_parameters(tree) for part, tree in params.items()},
        "scalar_mixes": _mixes(params),
        "files": {file.name: file.stat().st_size for file in files},
    }
    return {**summary, "verified": verification(path, opened)} if args.verify else summary


def _mixes(params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The share of each layer in the model's own mixes, and their scale."""
    import numpy as np

    mixes = {}
    for number, mix in params.get("scalar_mixes", {}).items():
        exponentials = np.exp(mix["weights"] - mix["weights"].max())
        shares = exponentials / exponentials.sum()
        mixes[number] = {
            "shares": [round(float(share), 4) for share in shares],
            "gamma": round(float(mix["gamma"]), 4),
        }
    return mixes


def text(summary: dict[str, Any]) -> str:
    layers, dimensions = counted(summary["layers"], "layer"), counted(summary["dim"], "dimension")
    rows = [("model", f"{summary['model']} ({summary['format']})")]
    for key, value in summary["assumed"].items():
        rows.append((f"assumed: {key}", f"{value} (the files do not say; --option {key}=...)"))
    rows.append(("tokenizer", _tokenizer(summary)))
    for key, value in summary["metadata"].items():
        if key != "tokenizer":
            rows += _rows(key, value)
    rows += [(key, str(value)) for key, value in summary["config"].items()]
    if summary["alphabet"]:
        rows.append(("alphabet", summary["alphabet"]))
    for number, mix in summary["scalar_mixes"].items():
        rows.append((f"scalar mix {number}", f"layers {mix['shares']}, gamma {mix['gamma']}"))
    rows += [("output", f"{layers} of {dimensions}"), ("parameters", f"{summary['parameters']:,}")]
    rows += [(f"  {part}", f"{n:,}") for part, n in summary["parameters_by_part"].items()]
    rows += [(name, shown_size(size)) for name, size in summary["files"].items()]
    rows += [(f"verified: {name}", how) for name, how in summary.get("verified", {}).items()]
    return "\n".join(f"{key:26} {value}".rstrip() for key, value in rows)


def _tokenizer(summary: dict[str, Any]) -> str:
    assumed = " (assumed: the files do not say)" if summary["tokenizer_assumed"] else ""
    return summary["tokenizer"] + assumed


def _rows(key: str, value: Any, indent: str = "") -> Iterator[tuple[str, str]]:
    """A row for an entry of the metadata, and indented ones for what it contains."""
    parts: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        parts = [(str(number), part) for number, part in enumerate(value, 1)]
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    yield indent + key, "" if parts else shown
    for name, part in parts:
        yield from _rows(name, part, indent + "  ")
