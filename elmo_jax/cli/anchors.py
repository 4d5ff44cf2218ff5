"""``elmo-jax anchors``: the mean vector of each word over a text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import counted
from .flags import add_flag, add_flags, add_input, add_layers, add_model_flags, add_word_flags
from .inputs import open_records
from .models import model_files, open_elmo

if TYPE_CHECKING:
    from ..text.readers import Records


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = parser.add_argument_group("input")
    add_input(text)
    add_word_flags(text)
    words = parser.add_argument_group("words")
    add_flag(words, "-n", " words, the most frequent ones", default=50_000)
    add_flags(words, "--min-count", "--only-words")
    anchors = parser.add_argument_group("output")
    add_flag(anchors, "--output", ": a folder", required=True)
    add_layers(anchors, "all", default="1")
    add_flag(anchors, "--overwrite")
    add_model_flags(parser.add_argument_group("model"))
    add_flag(parser, "--quiet")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """``mean_norms`` goes by layer; ``words_missing`` counts those of --only-words."""
    from ..alignment import compute_anchors, count_words, frequent_words, write_anchors
    from ..model.layers import select_layers
    from ..progress import progress_bar

    records = open_records(args)
    _check_output(args, records)
    vocabulary = None if args.only_words is None else read_words(args.only_words)
    elmo = open_elmo(args)
    select_layers(args.layers, elmo.config)  # an error before the text is read
    counts = count_words(record.words for record in records)
    words = frequent_words(counts, args.n, min_count=args.min_count, among=vocabulary)
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
        "words_missing": sum(word not in counts for word in vocabulary or ()),
    }


def _check_output(args: argparse.Namespace, records: Records) -> None:
    from ..alignment.anchor_files import anchor_files_in
    from ..files import refuse_input
    from ..folders import refuse_folder

    output = Path(args.output)
    refuse_folder(output, args.overwrite)
    words = [] if args.only_words is None else [args.only_words]
    for file in anchor_files_in(output):
        refuse_input(file, [*records.files, *words, *model_files(args)])


def read_words(path: str) -> list[str]:
    """The words of a file with one word per line."""
    from ..text.readers import Records

    words = (line.strip() for _, _, line in Records.of(path, "text").lines())
    return [word for word in dict.fromkeys(words) if word]


def text(summary: dict[str, Any]) -> str:
    n_missing, norms = summary["words_missing"], summary["mean_norms"]
    size = counted(summary["dimensions"], "dimension")
    lines = [
        f"{summary['output']}: {counted(summary['words'], 'anchor')} of {size}, "
        f"from {counted(summary['tokens'], 'token')}"
    ]
    if n_missing:
        lines.append(f"not in the text: {counted(n_missing, 'word')} of --only-words")
    lines += [f"mean norm of layer {layer}: {norm:.4g}" for layer, norm in norms.items()]
    return "\n".join(lines)
