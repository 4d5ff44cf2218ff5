"""``elmo-jax info``: what a model is."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from typing import Any

from ..errors import counted
from ..files import shown_size
from .flags import add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    from ..checkpoint import is_native, model_folder, open_model, read_metadata
    from ..model.parameters import count_parameters

    path = model_folder(args.model)
    config, params = open_model(path)
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    return {
        "model": str(path),
        "format": "native" if is_native(path) else "hdf5",
        "metadata": read_metadata(path),
        "config": dataclasses.asdict(config),
        "layers": config.n_output_layers,
        "dim": config.output_dim,
        "parameters": count_parameters(params),
        "parameters_by_part": {part: count_parameters(tree) for part, tree in params.items()},
        "files": {file.name: file.stat().st_size for file in files},
    }


def text(summary: dict[str, Any]) -> str:
    layers, dimensions = counted(summary["layers"], "layer"), counted(summary["dim"], "dimension")
    rows = [("model", f"{summary['model']} ({summary['format']})")]
    for key, value in summary["metadata"].items():
        rows += _rows(key, value)
    rows += [(key, str(value)) for key, value in summary["config"].items()]
    rows += [("output", f"{layers} of {dimensions}"), ("parameters", f"{summary['parameters']:,}")]
    rows += [(f"  {part}", f"{n:,}") for part, n in summary["parameters_by_part"].items()]
    rows += [(name, shown_size(size)) for name, size in summary["files"].items()]
    return "\n".join(f"{key:26} {value}".rstrip() for key, value in rows)


def _rows(key: str, value: Any, indent: str = "") -> Iterator[tuple[str, str]]:
    """A row for an entry of the metadata, and indented ones for what it contains."""
    parts: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list) and any(isinstance(part, dict) for part in value):
        parts = [(str(number), part) for number, part in enumerate(value, 1)]
    yield indent + key, "" if parts else str(value)
    for name, part in parts:
        yield from _rows(name, part, indent + "  ")
