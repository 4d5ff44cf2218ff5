"""``elmo-jax anchors``: the mean vector of each word over a text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import counted
from .chosen_words import (
    add_chosen_word_flags,
    chosen_words,
    count_missing,
    listed_words,
    shown_missing,
    word_files,
)
from .flags import add_flag, add_input, add_layers, add_model_flags, add_word_flags
from .inputs import open_records
from .models import model_files, open_elmo

if TYPE_CHECKING:
    from ..text.readers import Records


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = parser.add_argument_group("input")
    add_input(text)
    add_word_flags(text)
    add_chosen_word_flags(parser)
    anchors = parser.add_argument_group("output")
    add_flag(anchors, "--output", ": a folder", required=True)
    add_layers(anchors, "all", default="1")
    add_flag(anchors, "--overwrite")
    add_model_flags(parser.add_argument_group("model"))
    add_flag(parser, "--quiet")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """``mean_norms`` goes by layer; ``words_missing`` counts those of --only-words."""
    from ..alignment import compute_anchors, write_anchors
    from ..model.layers import select_layers
    from ..progress import progress_bar

    records = open_records(args)
    _check_output(args, records)
    listed = listed_words(args)
    elmo = open_elmo(args)
    select_layers(args.layers, elmo.config)  # an error before the text is read
    words, counts = chosen_words(args, records, listed)
    layers = range(elmo.config.n_output_layers) if args.layers == "all" else (args.layers,)
    with progress_bar(counts.total(), 0, not args.quiet) as bar:
        sentences = (record.words for record in records)
        anchors = compute_anchors(elmo, sentences, words, layers, done=bar.update)
    write_anchors(args.output, anchors, overwrite=args.overwrite)
    return {
        "output": args.output,
        "words": len(words),
        "tokens": counts.total(),
        "dimensions": elmo.config.output_dim,
        "mean_norms": {str(layer): anchors[layer].mean_norm for layer in anchors},
        "words_missing": count_missing(listed, counts),
    }


def _check_output(args: argparse.Namespace, records: Records) -> None:
    from ..alignment.anchor_files import anchor_files_in
    from ..files import refuse_input
    from ..folders import refuse_folder

    output = Path(args.output)
    refuse_folder(output, args.overwrite)
    for file in anchor_files_in(output):
        refuse_input(file, [*records.files, *word_files(args), *model_files(args)])


def text(summary: dict[str, Any]) -> str:
    norms = summary["mean_norms"]
    size = counted(summary["dimensions"], "dimension")
    lines = [
        f"{summary['output']}: {counted(summary['words'], 'anchor')} of {size}, "
        f"from {counted(summary['tokens'], 'token')}"
    ]
    lines += shown_missing(summary["words_missing"])
    lines += [f"mean norm of layer {layer}: {norm:.4g}" for layer, norm in norms.items()]
    return "\n".join(lines)
